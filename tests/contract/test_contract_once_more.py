"""session's core → policy and tools, both real: the same change twice in a call, one effect for each yes of its own."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

import pytest
from contract_kit import AIRLINE, RESERVATION, WallClock, call_state, pinned, tools_replica
from ringback.policy.v1 import policy_pb2_grpc
from ringback_cli.stack.provision import activate_bundle
from ringback_events import MemoryBus
from ringback_packs import load_pack, publish_pack
from ringback_policy.bootstrap import assemble
from ringback_session.adapters.policy_grpc import PolicyOverGrpc
from ringback_session.adapters.tools_grpc import ToolsOverGrpc
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.conversation import step
from ringback_session.domain.inputs import At
from ringback_session.domain.state import restore, snapshot
from ringback_tools.domain.results import Answered
from ringback_tools.server import ToolsServicer, register

CANCELLED = RESERVATION | {"status": "cancelled", "refund_amount": 240}
ONCE_MORE = "This was already done in this call. Once more:"


class Ledger:
    """The reservation system's twin: keeps the idempotency key of each thing that it did."""

    def __init__(self) -> None:
        self.effects: list[str] = []

    def lacking(self, connector: Any) -> str:
        return ""

    async def call(self, call: Any) -> Answered:
        if call.side_effect.value == "read":
            return Answered(RESERVATION, status=200, body=RESERVATION)
        self.effects.append(call.action_id)
        return Answered(CANCELLED, status=200, body=CANCELLED)


class Talk:
    """A call: the core, what it asks of the others, and a caller who types and reads everything."""

    def __init__(self, state: Any, policy: PolicyOverGrpc, tools: ToolsOverGrpc, pins: Any) -> None:
        self.state, self.policy, self.tools, self.pins = state, policy, tools, pins
        self.said: list[str] = []
        self.told: dict[str, Any] = {}
        self._calls: deque[str] = deque()
        self._made = 0

    async def types(self, text: str, *, calls: int = 0) -> None:
        """The caller's next words; the model answers them with so many calls, if it is asked at all."""
        self._made += 1
        self._calls = deque(f"call_{self._made}_{at}" for at in range(calls))
        await self.give(ev.UtteranceHeard(item_id=f"item_{self._made}", text=text, typed=True))
        await self.give(ev.ReplyWanted(request_key=f"req_{self._made}"))

    async def give(self, event: Any) -> None:
        waiting = deque([event])
        while waiting:
            self.state = restore(snapshot(self.state))
            for effect in step(self.state, waiting.popleft(), At(now_ms=WallClock().now_ms(), samples=0)):
                waiting.extend(await self._does(effect))

    async def _does(self, effect: Any) -> list[Any]:
        match effect:
            case fx.AskPolicy():
                return [await self.policy.decide(effect, self.pins)]
            case fx.ReadConsent():
                return [await self.policy.read_consent(effect, self.pins)]
            case fx.FetchFact():
                return [await self.tools.fetch(effect, self.pins)]
            case fx.Journal():
                return [ev.Journalled(action_id=effect.action_id)]
            case fx.Execute():
                return [event async for event in self.tools.execute(effect, self.pins)]
            case fx.RequestSpeech():
                return self._speaks(effect)
            case fx.RequestReply():
                return self._replies(effect)
            case fx.ReturnResult():
                self.told[effect.call_id] = json.loads(effect.output_json)
        return []

    def _speaks(self, wanted: fx.RequestSpeech) -> list[Any]:
        self.said.append(wanted.text)
        item_id = f"item_{wanted.speech_id}"
        return [
            ev.SpeechText(speech_id=wanted.speech_id, transcript=wanted.text, item_id=item_id),
            ev.AudioSent(item_id=item_id, samples=0, text=wanted.text, in_model=False),
            ev.SpeechEnded(speech_id=wanted.speech_id, status="completed"),
        ]

    def _replies(self, wanted: fx.RequestReply) -> list[Any]:
        calls = [
            ev.CallRequested(
                reply_id=wanted.reply_id,
                call_id=call_id,
                tool="cancel_reservation",
                arguments_json='{"reservation_id": "482915"}',
                item_id=f"item_{call_id}",
            )
            for call_id in self._calls
        ]
        self._calls.clear()
        return [*calls, ev.ReplyEnded(reply_id=wanted.reply_id, status="completed")]


@pytest.fixture
async def talk(loopback, keys):
    bus, ledger = MemoryBus(), Ledger()
    parts = assemble(bus, keys, instance="one")
    await parts.open()
    policy = await loopback.channel_to(parts.register)
    pack = load_pack(AIRLINE)
    pack_digest = await publish_pack(bus, pack)
    stub = policy_pb2_grpc.PolicyAdminServiceStub(policy.grpc)
    bundle, _ = await activate_bundle(stub, pack, reason="a call")
    service = tools_replica(bus, keys, connectors=ledger)
    servicer = ToolsServicer(executor=service.executor, listing=service.listing, erasing=service.erasing)
    tools = ToolsOverGrpc(await loopback.channel_to(register(servicer)))
    decides, pins = PolicyOverGrpc(policy, WallClock()), pinned(bundle=bundle, pack=pack_digest)
    _, rules = await decides.session_rules(tenant="local", pack="airline")
    state = call_state(bundle_digest=bundle, rules=rules, tools=(await tools.list(pins))[0])
    yield Talk(state, decides, tools, pins), ledger
    await service.executor.close(drain_ms=100)
    await parts.close()


async def test_two_yeses_to_two_read_backs_make_two_effects_and_nothing_else_does(talk):
    call, ledger = talk
    await call.types("Cancel 482915, please.", calls=1)
    assert "Once more" not in call.said[-1]
    await call.types("Yes, 482915.")
    assert len(ledger.effects) == 1
    # Somebody who repeats what they said, or a model that repeats its call, is told.
    await call.types("Cancel 482915, please.", calls=3)
    assert [call.told[f"call_3_{at}"]["already_done"] for at in range(3)] == [True] * 3
    await call.types("Yes, do it again.", calls=1)
    assert ONCE_MORE in call.said[-1]
    assert len(ledger.effects) == 1
    await call.types("It's already done.")
    assert len(ledger.effects) == 1
    await call.types("Yes, once more.")
    assert len(ledger.effects) == len(set(ledger.effects)) == 2, "two keys, to whoever is behind the tool"
    assert call.told["call_4_0"]["status"] == "ok"
    assert "already_done" not in call.told["call_4_0"]
    await call.types("Yes, yes!", calls=2)
    assert call.told["call_7_0"]["already_done"] is True
    assert len(ledger.effects) == 2


async def test_a_no_to_the_second_leaves_one_effect(talk):
    call, ledger = talk
    for words, calls in (
        ("Cancel 482915, please.", 1),
        ("Yes.", 0),
        ("Cancel 482915, please.", 1),
        ("Once more.", 1),
        ("No.", 0),
    ):
        await call.types(words, calls=calls)
    assert ONCE_MORE in " ".join(call.said)
    assert call.told["call_4_0"]["error_code"] == "refused_by_caller"
    assert len(ledger.effects) == 1
