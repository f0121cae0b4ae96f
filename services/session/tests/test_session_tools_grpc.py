"""Tools over gRPC, against a real servicer in this process: observing, attaching again, giving up honestly."""

import asyncio

import grpc
import pytest
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_calling import Breaker, Channel
from ringback_session.adapters import tools_grpc
from ringback_session.adapters.tools_grpc import ToolsOverGrpc
from ringback_session.domain.effects import Execute, FetchFact
from ringback_session.domain.inputs import ActionProgressed, ActionResult
from ringback_session.domain.rules import SideEffect
from ringback_session.ports import Pinned

PINNED = Pinned(
    tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=3, agent="reservations"
)
OK = tools_pb2.ExecuteResponse(
    result=tools_pb2.Result(
        status=tools_pb2.STATUS_OK, data_json='{"a":1}', attempts=2, open_breakers=["reservations"]
    )
)


class Servicer(tools_pb2_grpc.ToolsServiceServicer):
    """Plays one script per stream: messages, a status to abort with, or the end. Runs answer first, while there are."""

    def __init__(self):
        self.scripts = []
        self.requests = []
        self.answers = []
        self.runs = []

    async def Run(self, request, context):  # noqa: N802
        self.runs.append(request)
        answer = self.answers.pop(0) if self.answers else grpc.StatusCode.UNIMPLEMENTED
        if isinstance(answer, grpc.StatusCode):
            await context.abort(answer, "no")
        return answer

    async def Execute(self, request, context):  # noqa: N802
        self.requests.append(request)
        for step in self.scripts.pop(0) if self.scripts else []:
            if isinstance(step, grpc.StatusCode):
                await context.abort(step, "no")
            elif isinstance(step, asyncio.Event):
                await step.wait()
            else:
                yield step

    async def ListTools(self, request, context):  # noqa: N802
        self.requests.append(request)
        return tools_pb2.ListToolsResponse(
            tools=[
                tools_pb2.Tool(
                    name="a", version="1.0", parameters_json="{}", side_effect=1, deadline_ms=5_000
                ),
                tools_pb2.Tool(name="b", version="2.1", parameters_json="{}"),
            ],
            open_breakers=["reservations"],
        )


@pytest.fixture
async def servicer():
    return Servicer()


@pytest.fixture
async def tools(servicer, monkeypatch):
    """The adapter, its patience shortened: a margin of 300 ms in place of 3 s."""
    monkeypatch.setattr(tools_grpc, "MARGIN_MS", 300)
    monkeypatch.setattr(tools_grpc, "REATTACH_PAUSE_MS", 10)
    server = grpc.aio.server()
    tools_pb2_grpc.add_ToolsServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = Channel(f"127.0.0.1:{port}", name="tools", breaker=Breaker(name="tools", failures_max=1_000))
    yield ToolsOverGrpc(channel)
    await channel.close()
    await server.stop(None)


def write(**more):
    values = {
        "action_id": "act_1",
        "tool": "refund",
        "version": "1.2",
        "side_effect": SideEffect.IRREVERSIBLE,
        "arguments_json": "{}",
        "proof": {
            "key_id": "k1",
            "mac": "00ff",
            "decision_id": "dec_1",
            "consent_id": "con_1",
            "expires_at_ms": 5,
        },
        "deadline_ms": 200,
    }
    return Execute(**values | more)


async def run(tools, action):
    return [event async for event in tools.execute(action, PINNED)]


async def test_everything_that_tools_need_is_sent(tools, servicer):
    servicer.scripts = [[OK]]
    await run(tools, write(attach_only=True))
    (request,) = servicer.requests
    assert (request.session_id, request.epoch, request.action_id) == ("sess_1", 3, "act_1")
    assert (request.proof.mac, request.proof.consent_id) == (b"\0\xff", "con_1")
    assert request.attach_only


async def test_an_action_that_ends_quickly_is_one_question_and_one_answer(tools, servicer):
    servicer.answers = [tools_pb2.RunResponse(result=OK.result)]
    (result,) = await run(tools, write())
    assert (result.status, result.attempts, result.open_breakers) == ("ok", 2, ("reservations",))
    assert servicer.requests == []
    assert servicer.runs[0].wait_ms == tools_grpc.QUICK_MS
    assert (servicer.runs[0].action.action_id, servicer.runs[0].action.epoch) == ("act_1", 3)


@pytest.mark.parametrize(
    "runs_on", [tools_pb2.RunResponse(running=tools_pb2.Running()), tools_pb2.RunResponse()]
)
async def test_an_action_that_runs_on_is_watched_from_then(tools, servicer, runs_on):
    servicer.answers = [runs_on]
    servicer.scripts = [[tools_pb2.ExecuteResponse(started=tools_pb2.Started(attached=True)), OK]]
    progress, result = await run(tools, write())
    assert (progress.stage, result.status) == ("started", "ok")
    assert servicer.requests[0] == servicer.runs[0].action
    assert len(servicer.runs) == 1


async def test_tools_of_a_release_that_only_streams_are_asked_for_an_answer_once(tools, servicer):
    servicer.scripts = [[OK], [OK]]
    for _ in range(2):
        (result,) = await run(tools, write(side_effect=SideEffect.READ))
        assert result.status == "ok"
    assert (len(servicer.runs), len(servicer.requests)) == (1, 2)


async def test_an_answer_that_gets_lost_is_had_by_watching_and_a_reads_is_not(tools, servicer):
    servicer.answers = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL]
    servicer.scripts = [[OK]]
    (result,) = await run(tools, write())
    assert (result.status, len(servicer.requests)) == ("ok", 1)
    (result,) = await run(tools, write(side_effect=SideEffect.READ))
    assert (result.status, result.error_code) == ("failed", "tool_unavailable")
    assert (len(servicer.runs), len(servicer.requests)) == (2, 1)


async def test_progress_and_the_result_come_as_they_happen(tools, servicer):
    started = tools_pb2.ExecuteResponse(started=tools_pb2.Started())
    attempting = tools_pb2.ExecuteResponse(attempting=tools_pb2.Attempting(attempt=2, after_error="timeout"))
    servicer.scripts = [[started, attempting, tools_pb2.ExecuteResponse(slow=tools_pb2.Slow()), OK]]
    *progress, result = await run(tools, write())
    assert [event.stage for event in progress] == ["started", "attempt", "slow"]
    assert progress[1] == ActionProgressed(action_id="act_1", stage="attempt", attempt=2, message="timeout")
    assert (result.status, result.attempts, result.open_breakers) == ("ok", 2, ("reservations",))


@pytest.mark.parametrize(
    "breaks",
    [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED, None],
)
async def test_a_stream_that_breaks_during_a_write_is_taken_up_again_under_the_same_id(
    tools, servicer, breaks
):
    broken = [] if breaks is None else [breaks]
    servicer.scripts = [broken, broken, [OK]]
    (result,) = await run(tools, write(deadline_ms=5_000))
    assert result.status == "ok"
    assert [request.action_id for request in servicer.requests] == ["act_1"] * 3
    assert len({request.SerializeToString() for request in servicer.requests}) == 1


async def test_a_write_whose_outcome_cannot_be_had_in_time_is_unknown(tools, servicer):
    (result,) = await run(tools, write())
    assert result == ActionResult(action_id="act_1", status="unknown", error_code="unknown_outcome")
    assert len(servicer.requests) > 1


async def test_a_write_that_hangs_is_unknown_when_its_time_is_over(tools, servicer):
    never = asyncio.Event()
    servicer.scripts = [[never]] * 50
    (result,) = await run(tools, write(deadline_ms=1))
    assert result.status == "unknown"
    never.set()


async def test_a_read_that_cannot_be_had_fails_at_once_with_a_callback(tools, servicer):
    servicer.scripts = [[grpc.StatusCode.UNAVAILABLE]]
    (result,) = await run(tools, write(side_effect=SideEffect.READ))
    assert (result.status, result.error_code, result.fallback) == ("failed", "tool_unavailable", "callback")
    assert len(servicer.requests) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "forbidden"),
        (grpc.StatusCode.INVALID_ARGUMENT, "invalid_input"),
    ],
)
async def test_a_refusal_is_final(tools, servicer, status, code):
    servicer.scripts = [[status]]
    (result,) = await run(tools, write())
    assert (result.status, result.error_code.lower()) == ("failed", code)
    assert len(servicer.requests) == 1


async def test_progress_of_a_kind_that_is_not_known_is_passed_over(tools, servicer):
    servicer.scripts = [[tools_pb2.ExecuteResponse(), OK]]
    assert [type(event) for event in await run(tools, write())] == [ActionResult]


async def test_an_outcome_of_a_kind_that_is_not_known_is_unknown(tools, servicer):
    servicer.scripts = [[tools_pb2.ExecuteResponse(result=tools_pb2.Result(status=77, error_code=99))]]
    (result,) = await run(tools, write())
    assert result.status == "unknown"


def need():
    return FetchFact(
        action_id="act_1", name="reservation", tool="get_reservation", arguments_json="{}", ttl_ms=9
    )


async def test_a_fact_is_fetched_as_a_read(tools, servicer):
    servicer.scripts = [[OK]]
    fact = await tools.fetch(need(), PINNED)
    assert (fact.value_json, fact.ttl_ms, fact.unavailable) == ('{"a":1}', 9, False)
    assert not servicer.requests[0].HasField("proof")


async def test_a_fact_that_cannot_be_had_says_so(tools, servicer):
    failed = tools_pb2.Result(
        status=tools_pb2.STATUS_ERROR,
        error_code=tools_pb2.ERROR_CODE_TIMEOUT,
        message="It does not answer.",
        fallback=tools_pb2.Fallback(kind="callback", message="Someone will call you back."),
    )
    servicer.scripts = [[tools_pb2.ExecuteResponse(result=failed)]]
    fact = await tools.fetch(need(), PINNED)
    assert (fact.unavailable, fact.value_json, fact.fallback) == (True, "", "callback")
    assert (fact.error_code, fact.message) == ("timeout", "Someone will call you back.")


async def test_a_tool_that_does_not_say_what_it_does_is_taken_for_the_worst(tools):
    listed, breakers = await tools.list(PINNED)
    assert {tool.name: tool.side_effect for tool in listed.values()} == {
        "a": SideEffect.READ,
        "b": SideEffect.IRREVERSIBLE,
    }
    assert (listed["b"].deadline_ms, listed["b"].major) == (10_000, 2)
    assert breakers == ("reservations",)


async def test_a_call_that_is_over_leaves_the_stream_and_not_the_action(tools, servicer):
    never = asyncio.Event()
    servicer.scripts = [[tools_pb2.ExecuteResponse(started=tools_pb2.Started()), never]]
    events = tools.execute(write(deadline_ms=60_000), PINNED)
    assert (await anext(events)).stage == "started"
    async with asyncio.timeout(2):
        await events.aclose()
    never.set()
