"""The gRPC face in one process: requests in, streams out, and what a caller sees when its request is wrong."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2
from ringback_errors import InvalidInput, NotFound
from ringback_telemetry import names, setup
from ringback_tools.adapters.tracing import OtelTracing
from ringback_tools.domain.outcomes import ActionState
from ringback_tools.domain.results import ErrorCode, Status
from ringback_tools.server import ToolsServicer
from ringback_tools.wire import action_key, outcome_to_wire, request_from_wire


def wire_request(request):
    proof = request.proof
    return tools_pb2.ExecuteRequest(
        tenant=request.tenant,
        session_id=request.session_id,
        epoch=request.epoch,
        action_id=request.action_id,
        pack_digest=request.pack_digest,
        tool=request.tool,
        tool_version=request.tool_version,
        arguments_json=request.arguments_json,
        proof=policy_pb2.DecisionProof(
            key_id=proof.key_id,
            mac=proof.mac,
            decision_id=proof.decision_id,
            consent_id=proof.consent_id,
            expires_at_ms=proof.expires_at_ms,
        ),
    )


def servicer(world):
    service = world.replica()
    return ToolsServicer(executor=service.executor, listing=service.listing, erasing=service.erasing)


def test_execute_streams_started_attempting_result(world, kit):
    async def scene():
        request = wire_request(world.request())
        return [message async for message in servicer(world).Execute(request, None)]

    messages = kit.run(scene())
    assert [message.WhichOneof("event") for message in messages] == ["started", "attempting", "result"]
    result = messages[-1].result
    assert result.status == tools_pb2.STATUS_OK
    assert result.message.startswith("Reservation 4 8 2 9 1 5 is cancelled")


def test_run_answers_with_the_result_or_that_it_runs_on(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=500))

    async def scene(served, wait_ms):
        asked = tools_pb2.RunRequest(action=wire_request(world.request()), wait_ms=wait_ms)
        return await served.Run(asked, None)

    async def both():
        served = servicer(world)
        return await scene(served, 250), await scene(served, 700)

    running, ended = kit.run(both())
    assert running.running.elapsed_ms == 250
    assert ended.result.status == tools_pb2.STATUS_OK
    assert ended.result.message.startswith("Reservation 4 8 2 9 1 5 is cancelled")


def test_a_wire_request_is_the_request(world):
    request = world.request()
    assert request_from_wire(wire_request(request)) == request


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", ""),
        ("tenant", "a.b"),
        ("session_id", "epoch"),
        ("session_id", "a b"),
        ("action_id", "x" * 129),
        ("action_id", "*"),
    ],
)
def test_an_id_that_could_not_be_a_key_is_refused_by_name(field, value):
    ids = {"tenant": "local", "session_id": "sess_1", "action_id": "act_1", field: value}
    with pytest.raises(InvalidInput) as refused:
        action_key(**ids)
    assert refused.value.field == field


def test_oversized_arguments_and_scopes_are_refused():
    ids = {"tenant": "local", "session_id": "sess_1", "action_id": "act_1"}
    with pytest.raises(InvalidInput):
        request_from_wire(tools_pb2.ExecuteRequest(**ids, arguments_json="x" * 70_000))
    with pytest.raises(InvalidInput):
        request_from_wire(tools_pb2.ExecuteRequest(**ids, scopes=["s"] * 65))


def test_list_tools_gives_the_agents_tools_in_the_realtime_form(world, kit):
    async def scene():
        request = tools_pb2.ListToolsRequest(
            tenant="local", pack_digest=world.catalogue.pack.digest, agent="reservations"
        )
        return await servicer(world).ListTools(request, None)

    answer = kit.run(scene())
    assert [tool.name for tool in answer.tools] == ["get_reservation", "cancel_reservation"]
    assert answer.tools[1].side_effect == policy_pb2.SIDE_EFFECT_IRREVERSIBLE
    assert all(tool.available for tool in answer.tools)


def test_an_unknown_agent_or_pack_is_not_found(world, kit):
    async def scene(**fields):
        await servicer(world).ListTools(tools_pb2.ListToolsRequest(tenant="local", **fields), None)

    for fields in (
        {"pack_digest": "sha256:0"},
        {"pack_digest": world.catalogue.pack.digest, "agent": "nobody"},
    ):
        with pytest.raises(NotFound):
            kit.run(scene(**fields))


def test_every_error_code_and_state_has_a_wire_form(world, kit):
    for code in ErrorCode:
        assert tools_pb2.ErrorCode.Value(f"ERROR_CODE_{code.name}") > 0
    assert len(ErrorCode) == len(tools_pb2.ErrorCode.values()) - 1
    assert outcome_to_wire(None).state == tools_pb2.ACTION_STATE_UNKNOWN_ACTION

    async def scene():
        request = world.request()
        await kit.result(world.replica(), request)
        key = tools_pb2.GetOutcomeRequest(
            tenant=request.tenant, session_id=request.session_id, action_id=request.action_id
        )
        return await servicer(world).GetOutcome(key, None)

    answer = kit.run(scene())
    assert answer.state == tools_pb2.ACTION_STATE_FINISHED
    assert {state.name for state in ActionState} < {
        name[13:] for name in tools_pb2.ActionState.DESCRIPTOR.values_by_name
    }


def test_spans_of_an_execution_hang_together_and_say_how_it_ended(world, kit):
    world.ledger.fates.append(kit.Fate("drop_before"))
    exporter = InMemorySpanExporter()
    telemetry = setup("tools", extra_processor=SimpleSpanProcessor(exporter))
    try:
        result = kit.run(kit.result(world.replica(tracing=OtelTracing()), world.request()))
    finally:
        telemetry.shutdown()
    assert result.status is Status.OK
    by_name = {}
    for span in exporter.get_finished_spans():
        by_name.setdefault(span.name, []).append(span)
    (execute,) = by_name[names.Span.TOOLS_EXECUTE]
    (check,) = by_name[names.Span.TOOLS_CHECK]
    attempts = by_name[names.Span.TOOLS_ATTEMPT]
    assert {span.parent.span_id for span in [*attempts, check]} == {execute.context.span_id}
    assert [span.attributes[names.Attr.ATTEMPT] for span in attempts] == [1, 2]
    assert attempts[0].attributes[names.Attr.OUTCOME] == "tool_unavailable"
    assert execute.attributes[names.Attr.OUTCOME] == "ok"
    assert execute.attributes[names.Attr.DEPENDENCY] == "airline_reservations"
