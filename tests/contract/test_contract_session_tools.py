"""session → tools: the session's adapter on tools' servicer, over a real channel; proofs as policy signs them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from contract_kit import AIRLINE, ARGUMENTS, RESERVATION, SESSION_ID, WallClock, pinned, tools_replica
from ringback.tools.v1 import tools_pb2
from ringback_errors import Overloaded, Unavailable
from ringback_events import MemoryBus
from ringback_identity import Proof, action_id, canonical_json, digest
from ringback_packs import load_pack, publish_pack
from ringback_policy.adapters.proofs import MacSigner
from ringback_policy.domain.subjects import ActionSubject, Request, SessionView
from ringback_policy.domain.vocabulary import Gate
from ringback_policy.domain.vocabulary import SideEffect as PolicySideEffect
from ringback_session.adapters.tools_grpc import ToolsOverGrpc
from ringback_session.domain.effects import Execute, FetchFact
from ringback_session.domain.inputs import ActionProgressed, ActionResult
from ringback_session.domain.rules import SideEffect
from ringback_tools.domain.results import Answered, ErrorCode, Failed
from ringback_tools.server import ToolsServicer, register

CANCELLED = {
    "reservation_id": "482915",
    "status": "cancelled",
    "refund_amount": 240,
    "currency": "USD",
    "payment_method": "Visa ending in 4417",
}


class Ledger:
    """The reservation system's twin: answers, and counts what it did."""

    def __init__(self) -> None:
        self.effects: list[str] = []
        self.failing: Failed | None = None
        self.held = asyncio.Event()
        self.held.set()

    def lacking(self, spec: Any) -> str:
        return ""

    async def call(self, call: Any) -> Answered | Failed:
        await self.held.wait()
        if self.failing is not None:
            return self.failing
        if call.side_effect.value == "read":
            return Answered(RESERVATION, status=200, body=RESERVATION)
        self.effects.append(call.action_id)
        return Answered(CANCELLED, status=200, body=CANCELLED)


@dataclasses.dataclass
class Arrow:
    """Both ends, and what is behind tools."""

    tools: ToolsOverGrpc
    ledger: Ledger
    signer: MacSigner
    pack: str
    servicer: ToolsServicer

    def pins(self, **changes: Any) -> Any:
        return pinned(pack=self.pack, **changes)

    def cancel(self, *, ordinal: int = 1, signed: bool = True, **changes: Any) -> Execute:
        """The cancellation as the core executes it, with the proof that policy gives for it."""
        action = action_id(
            session_id=SESSION_ID,
            tool="cancel_reservation",
            major_version=1,
            arguments_digest=digest(ARGUMENTS),
            ordinal=ordinal,
        )
        fields = {
            "action_id": action,
            "tool": "cancel_reservation",
            "version": "1.0",
            "side_effect": SideEffect.IRREVERSIBLE,
            "arguments_json": ARGUMENTS,
            "proof": self.proof(action) if signed else None,
            "deadline_ms": 5_000,
        }
        return Execute(**{**fields, **changes})

    def proof(self, action: str, *, expires_in_ms: int = 60_000) -> dict[str, str | int]:
        subject = ActionSubject(
            action,
            "cancel_reservation",
            "1.0",
            ARGUMENTS,
            digest(ARGUMENTS),
            PolicySideEffect.IRREVERSIBLE,
            None,
            False,
        )
        view = SessionView(SESSION_ID, tenant="local")
        request = Request("dec_1", Gate.ACTION, "local", "sha256:b", view, subject, (), 1)
        signed: Proof = self.signer.sign(
            request, subject, consent_id="con_1", expires_at_ms=WallClock().now_ms() + expires_in_ms
        )
        return {
            "key_id": signed.key_id,
            "mac": signed.mac.hex(),
            "decision_id": signed.decision_id,
            "consent_id": signed.consent_id,
            "expires_at_ms": signed.expires_at_ms,
        }

    async def events(self, action: Execute, **pins: Any) -> list[ActionProgressed | ActionResult]:
        return [event async for event in self.tools.execute(action, self.pins(**pins))]

    async def result(self, action: Execute, **pins: Any) -> ActionResult:
        *before, last = await self.events(action, **pins)
        assert isinstance(last, ActionResult)
        assert not [event for event in before if isinstance(event, ActionResult)], "one result, the last"
        return last


@pytest.fixture
async def arrow(loopback, keys) -> AsyncIterator[Arrow]:
    bus = MemoryBus()
    pack_digest = await publish_pack(bus, load_pack(AIRLINE))
    ledger = Ledger()
    service = tools_replica(bus, keys, connectors=ledger)
    servicer = ToolsServicer(executor=service.executor, listing=service.listing, erasing=service.erasing)
    channel = await loopback.channel_to(register(servicer))
    yield Arrow(ToolsOverGrpc(channel), ledger, MacSigner(keys), pack_digest, servicer)
    ledger.held.set()
    await service.executor.close(drain_ms=100)


async def test_the_agents_tools_arrive_with_what_they_do_and_how_long_they_may_take(arrow):
    tools, breakers = await arrow.tools.list(arrow.pins())
    assert {name: tool.side_effect for name, tool in tools.items()} == {
        "get_reservation": SideEffect.READ,
        "cancel_reservation": SideEffect.IRREVERSIBLE,
    }
    cancel = tools["cancel_reservation"]
    assert (cancel.version, cancel.major, cancel.deadline_ms, cancel.slow_after_ms) == ("1.0", 1, 12_000, 800)
    assert json.loads(cancel.parameters_json)["required"] == ["reservation_id"]
    assert cancel.dependency == "airline_reservations"
    assert breakers == ()


async def test_a_read_needs_no_proof(arrow):
    read = arrow.cancel(
        action_id="act_read",
        tool="get_reservation",
        side_effect=SideEffect.READ,
        proof=None,
    )
    result = await arrow.result(read)
    assert (result.status, result.attempts, result.error_code) == ("ok", 1, "")
    assert json.loads(result.data_json)["reservation_id"] == "482915"
    assert "Boston to Denver" in result.message


async def test_what_policy_signed_runs_once_however_often_it_is_asked(arrow):
    (first,) = await arrow.events(arrow.cancel())
    assert (first.status, first.already_done) == ("ok", False)
    again = await arrow.result(arrow.cancel())
    assert (again.status, again.already_done, again.data_json) == ("ok", True, first.data_json)
    assert arrow.ledger.effects == [first.action_id]


async def test_an_action_that_takes_its_time_is_told_of_while_it_runs(arrow):
    arrow.ledger.held.clear()
    stages = []
    async for event in arrow.tools.execute(arrow.cancel(), arrow.pins()):
        arrow.ledger.held.set()
        stages.append(event.stage if isinstance(event, ActionProgressed) else event.status)
    assert stages == ["started", "attempt", "ok"]
    assert len(arrow.ledger.effects) == 1


async def test_an_observer_that_leaves_cancels_nothing(arrow):
    arrow.ledger.held.clear()
    watching = arrow.tools.execute(arrow.cancel(), arrow.pins())
    async for event in watching:
        if event.stage == "attempt" or event.stage == "started":
            break
    await watching.aclose()
    second = asyncio.ensure_future(arrow.result(arrow.cancel()))
    arrow.ledger.held.set()
    assert (await second).status == "ok"
    assert len(arrow.ledger.effects) == 1


@pytest.mark.parametrize(
    ("change", "pins"),
    [
        ({}, {"tenant": "other"}),
        ({}, {"session_id": "sess_other"}),
        ({"action_id": "act_other"}, {}),
        ({"arguments_json": canonical_json({"reservation_id": "482916"})}, {}),
        ({"proof": {"decision_id": "dec_2"}}, {}),
        ({"proof": {"consent_id": "con_2"}}, {}),
        ({"proof": {"expires_at_ms": 9_999_999_999_999}}, {}),
        ({"proof": {"key_id": "k_other"}}, {}),
        ({"proof": {"mac": "00" * 32}}, {}),
        ({"proof": {"mac": ""}}, {}),
    ],
    ids=str,
)
async def test_a_proof_with_any_field_altered_starts_nothing(arrow, change, pins):
    action = arrow.cancel()
    altered = dict(change)
    if "proof" in altered:
        altered["proof"] = {**action.proof, **altered["proof"]}
    fields = {name: getattr(action, name) for name in action.__struct_fields__}
    result = await arrow.result(Execute(**{**fields, **altered}), **pins)
    assert (result.status, result.error_code) == ("failed", "forbidden")
    assert arrow.ledger.effects == []


async def test_a_proof_for_another_tool_or_version_starts_nothing(arrow):
    action = arrow.cancel(version="2.0")
    result = await arrow.result(action)
    assert (result.status, result.error_code) == ("failed", "unknown_tool")
    assert arrow.ledger.effects == []


async def test_without_a_proof_nothing_that_changes_the_world_starts(arrow):
    result = await arrow.result(arrow.cancel(signed=False))
    assert (result.status, result.error_code) == ("failed", "forbidden")
    assert arrow.ledger.effects == []


async def test_an_expired_proof_only_learns_what_became_of_the_action(arrow):
    valid = arrow.cancel()
    expired = arrow.cancel(proof=arrow.proof(valid.action_id, expires_in_ms=-1))
    before = await arrow.result(expired)
    assert (before.status, before.error_code) == ("failed", "not_started")
    assert arrow.ledger.effects == []
    assert (await arrow.result(valid)).status == "ok"
    after = await arrow.result(expired)
    assert (after.status, after.already_done) == ("ok", True)
    assert len(arrow.ledger.effects) == 1


async def test_a_lower_epoch_than_tools_have_seen_is_fenced(arrow):
    assert (await arrow.result(arrow.cancel(), epoch=3)).status == "ok"
    late = await arrow.result(arrow.cancel(ordinal=2), epoch=2)
    assert (late.status, late.error_code) == ("failed", "fenced")
    assert len(arrow.ledger.effects) == 1


async def test_attaching_to_what_is_not_known_starts_nothing(arrow):
    result = await arrow.result(arrow.cancel(attach_only=True))
    assert (result.status, result.error_code) == ("failed", "not_started")
    assert arrow.ledger.effects == []


async def test_arguments_that_do_not_fit_are_named(arrow):
    wrong = arrow.cancel(arguments_json='{"reservation_id":"12"}')
    result = await arrow.result(wrong)
    assert (result.status, result.error_code) == ("failed", "invalid_arguments")


async def test_an_id_that_is_no_id_is_a_failure_and_not_a_crash(arrow):
    result = await arrow.result(arrow.cancel(action_id="act.*"))
    assert (result.status, result.error_code) == ("failed", "invalid_input")


async def test_a_refusal_of_the_system_behind_comes_with_its_sentence(arrow):
    arrow.ledger.failing = Failed(
        ErrorCode.REJECTED, definitive=True, blames=False, text="It is already cancelled.", status=409
    )
    result = await arrow.result(arrow.cancel())
    assert (result.status, result.error_code, result.message) == (
        "failed",
        "rejected",
        "It is already cancelled.",
    )


async def test_a_fact_is_fetched_or_said_to_be_unavailable(arrow):
    need = FetchFact(
        action_id="act_1",
        name="reservation",
        tool="get_reservation",
        arguments_json=ARGUMENTS,
        ttl_ms=60_000,
    )
    fact = await arrow.tools.fetch(need, arrow.pins())
    assert not fact.unavailable
    assert json.loads(fact.value_json)["amount"] == 240
    arrow.ledger.failing = Failed(ErrorCode.NOT_FOUND, definitive=True, blames=False, text="No such one.")
    fact = await arrow.tools.fetch(need, arrow.pins(session_id="sess_second"))
    assert (fact.unavailable, fact.error_code, fact.value_json) == (True, "not_found", "")


async def test_with_tools_away_a_read_fails_and_a_write_is_unknown_after_its_deadline(loopback, monkeypatch):
    monkeypatch.setattr("ringback_session.adapters.tools_grpc.MARGIN_MS", 200)
    tools = ToolsOverGrpc(loopback.channel_to_nobody())
    arrow = Arrow(tools, Ledger(), None, "sha256:pack", None)
    read = arrow.cancel(
        tool="get_reservation", side_effect=SideEffect.READ, signed=False, action_id="act_r", deadline_ms=400
    )
    result = await arrow.result(read)
    assert (result.status, result.error_code, result.fallback) == ("failed", "tool_unavailable", "callback")
    result = await arrow.result(arrow.cancel(signed=False, deadline_ms=400))
    assert (result.status, result.error_code) == ("unknown", "unknown_outcome")
    with pytest.raises(Unavailable):
        await tools.list(arrow.pins())


class Flaky(ToolsServicer):
    """A replica whose answers and streams break before the result until it has been asked often enough."""

    def __init__(self, behind: ToolsServicer, *, breaks: list[Exception]) -> None:
        self._behind = behind
        self._breaks = breaks

    async def Run(self, request, context):  # noqa: N802 - the contract's name
        raise self._breaks.pop(0)

    async def Execute(self, request, context):  # noqa: N802 - the contract's name
        if self._breaks:
            yield tools_pb2.ExecuteResponse(started=tools_pb2.Started())
            raise self._breaks.pop(0)
        async for message in self._behind.Execute(request, context):
            yield message


async def test_a_stream_that_breaks_is_taken_up_again_by_the_actions_id(loopback, arrow):
    breaks = [Overloaded("full"), Unavailable("going away"), Overloaded("full")]
    flaky = Flaky(arrow.servicer, breaks=breaks)
    channel = await loopback.channel_to(register(flaky))
    result = await dataclasses.replace(arrow, tools=ToolsOverGrpc(channel)).result(arrow.cancel())
    assert result.status == "ok"
    assert len(arrow.ledger.effects) == 1
