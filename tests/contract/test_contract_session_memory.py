"""session → memory: facts as session publishes them, asked for through its adapter, over a real channel."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contract_kit import ARGUMENTS, SESSION_ID, WallClock, pinned
from ringback_events import MemoryBus
from ringback_memory.bootstrap import build
from ringback_memory.settings import MemorySettings
from ringback_session.adapters import memory_grpc
from ringback_session.adapters.facts_bus import FactsOnBus
from ringback_session.adapters.memory_grpc import MemoryOverGrpc
from ringback_session.domain.effects import FetchPacket, Publish
from ringback_session.domain.rules import SideEffect


class Arrow:
    """Both ends, and the stream between them."""

    def __init__(self, memory: MemoryOverGrpc, bus: MemoryBus) -> None:
        self.memory = memory
        self._facts = FactsOnBus(bus)
        self.seq = 0
        self.acknowledged = 0

    def publish(self, kind: str, /, **body: Any) -> None:
        self.seq += 1
        fact = Publish(
            kind=kind,
            seq=self.seq,
            epoch=1,
            turn_id="turn_1",
            agent="reservations",
            at_ms=WallClock().now_ms(),
            body=body,
        )
        self._facts.publish(fact, pinned(), self._acknowledge)

    def talk(self) -> None:
        """A short call up to an open question."""
        self.publish("session_started", pack="airline", caller_id="caller-7")
        self.publish(
            "user_turn_ended", item_id="i1", text="Please cancel reservation 482915.", confidence=0.9
        )
        self.publish(
            "action_requested",
            action_id="act_1",
            tool="cancel_reservation",
            arguments_json=ARGUMENTS,
            side_effect=SideEffect.IRREVERSIBLE,
        )
        self.publish("consent_asked", consent_id="con_1", action_id="act_1", read_back="Shall I?")
        self.publish("task_opened", task_id="task_1", title="Call back", kind="promise", owed_by="agent")

    async def context(self, **changes: Any):
        asked = {"min_epoch": 1, "min_seq": self.seq, **changes}
        return await self.memory.context(pinned(), **asked)

    async def packet(self, *, min_seq: int | None = None):
        seq = self.seq if min_seq is None else min_seq
        question = FetchPacket(reason="a person, please", min_epoch=1, min_seq=seq, fallback={})
        return await self.memory.packet(question, pinned())

    def _acknowledge(self) -> None:
        self.acknowledged += 1


@pytest.fixture
async def arrow(loopback):
    bus = MemoryBus()
    memory = build(bus, settings=MemorySettings())
    await memory.start()
    channel = await loopback.channel_to(memory.service.register)
    yield Arrow(MemoryOverGrpc(channel, WallClock()), bus)
    await memory.feed.close()
    await bus.close()


@pytest.fixture
def short(monkeypatch):
    """Time boxes that a test can wait for."""
    monkeypatch.setattr(memory_grpc, "CONTEXT_DEADLINE_MS", 120)
    monkeypatch.setattr(memory_grpc, "PACKET_DEADLINE_MS", 120)


async def test_what_was_published_is_remembered_up_to_the_asked_fact(arrow):
    arrow.talk()
    known = await arrow.context()
    assert (known.as_of_epoch, known.as_of_seq) == (1, arrow.seq)
    assert "Please cancel reservation 482915." in known.text
    slot = next(slot for slot in known.slots if slot.name == "reservation_id")
    assert json.loads(slot.value_json) == "482915"
    assert 0 < slot.as_of_seq <= arrow.seq
    assert abs(slot.at_ms - WallClock().now_ms()) < 60_000
    assert arrow.acknowledged == arrow.seq


async def test_the_packet_is_json_with_what_a_person_needs(arrow):
    arrow.talk()
    packet = json.loads(await arrow.packet())
    assert (packet["session_id"], packet["reason"]) == (SESSION_ID, "a person, please")
    assert packet["caller_id"] == "caller-7"
    assert packet["actions"][0]["tool"] == "cancel_reservation"
    assert packet["pending_consents"][0]["read_back"] == "Shall I?"
    assert packet["tasks"][0]["title"] == "Call back"
    assert packet["turns"][0]["text"] == "Please cancel reservation 482915."


async def test_a_fact_published_twice_is_folded_once(arrow):
    arrow.talk()
    before = json.loads(await arrow.packet())
    arrow.seq -= 1
    arrow.publish("task_opened", task_id="task_1", title="Call back", kind="promise", owed_by="agent")
    after = json.loads(await arrow.packet())
    assert after["tasks"] == before["tasks"]
    assert after["as_of_seq"] == before["as_of_seq"]


async def test_memory_that_stays_behind_is_none_after_its_time_box(arrow, short):
    arrow.talk()
    assert await arrow.context(min_seq=arrow.seq + 1) is None
    assert await arrow.packet(min_seq=arrow.seq + 1) is None


async def test_a_session_that_memory_never_heard_of_is_none(arrow, short):
    assert await arrow.context(min_seq=1) is None


async def test_with_memory_away_the_answer_is_none_and_nothing_raises(loopback, short):
    memory = MemoryOverGrpc(loopback.channel_to_nobody(), WallClock())
    assert await memory.context(pinned(), min_epoch=1, min_seq=1) is None
    question = FetchPacket(reason="why", min_epoch=1, min_seq=1, fallback={})
    assert await memory.packet(question, pinned()) is None
