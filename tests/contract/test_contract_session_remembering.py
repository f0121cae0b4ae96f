"""session → memory, over calls: what a caller agreed to is recalled; what went stale names its hook."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from contract_kit import WallClock, pinned
from ringback_events import MemoryBus
from ringback_memory.bootstrap import build
from ringback_memory.settings import MemorySettings
from ringback_session.adapters.facts_bus import FactsOnBus
from ringback_session.adapters.memory_grpc import MemoryOverGrpc
from ringback_session.domain.effects import Publish


class Line:
    """One session's end of the arrow."""

    def __init__(self, memory: MemoryOverGrpc, bus: MemoryBus, session_id: str) -> None:
        self.memory = memory
        self.pinned = msgspec.structs.replace(pinned(), session_id=session_id)
        self._facts = FactsOnBus(bus)
        self.seq = 0
        # How long ago what is published happened.
        self.ago_ms = 0

    def publish(self, kind: str, /, **body: Any) -> None:
        self.seq += 1
        fact = Publish(
            kind=kind,
            seq=self.seq,
            epoch=1,
            turn_id="turn_1",
            agent="reservations",
            at_ms=WallClock().now_ms() - self.ago_ms,
            body=body,
        )
        self._facts.publish(fact, self.pinned, lambda: None)

    def notes(self, name: str, value_json: str) -> None:
        note = {"name": name, "value_json": value_json, "source": "caller", "confidence": 0.9}
        self.publish("slots_changed", slots=[note])

    async def context(self):
        return await self.memory.context(self.pinned, min_epoch=1, min_seq=self.seq)

    async def recall(self) -> str | None:
        return await self.memory.recall(self.pinned, min_epoch=1, min_seq=self.seq, budget_tokens=300)


@pytest.fixture
async def lines(loopback):
    bus = MemoryBus()
    memory = build(bus, settings=MemorySettings())
    await memory.start()
    adapter = MemoryOverGrpc(await loopback.channel_to(memory.service.register), WallClock())
    yield lambda session_id: Line(adapter, bus, session_id)
    await memory.feed.close()
    await bus.close()


async def first_call(lines, *, consent: str) -> None:
    line = lines("sess_first")
    line.publish("session_started", pack="airline", caller_id="caller-7")
    line.notes("memory_consent", consent)
    line.notes("preference.seat", '"aisle"')
    line.publish("session_ended", reason="client_closed", turns=1)
    await line.context()


async def test_a_later_call_recalls_what_the_caller_agreed_to(lines):
    await first_call(lines, consent="true")
    line = lines("sess_second")
    line.publish("session_started", pack="airline", caller_id="caller-7")
    text = await line.recall()
    assert text is not None
    assert "aisle" in text


@pytest.mark.parametrize(("consent", "caller"), [("false", "caller-7"), ("true", "caller-8"), ("true", "")])
async def test_nothing_is_recalled_without_consent_or_of_somebody_else(lines, consent, caller):
    await first_call(lines, consent=consent)
    line = lines("sess_second")
    line.publish("session_started", pack="airline", caller_id=caller)
    assert await line.recall() is None


async def test_a_value_past_its_time_names_the_read_that_refreshes_it(lines):
    line = lines("sess_first")
    line.publish("session_started", pack="airline", caller_id="")
    # Memory may answer within the millisecond for which the value holds.
    line.ago_ms = 1_000
    line.publish(
        "facts_fetched",
        name="reservation",
        tool="get_reservation",
        arguments_json='{"reservation_id":"482915"}',
        value_json='{"status":"confirmed"}',
        ttl_ms=1,
    )
    known = await line.context()
    (stale,) = [value for value in known.stale if value.name == "reservation.status"]
    assert (stale.tool, stale.fact, stale.ttl_ms) == ("get_reservation", "reservation", 1)
    assert stale.arguments_json == '{"reservation_id":"482915"}'
    assert next(slot for slot in known.slots if slot.name == "reservation.status").ttl_ms == 1


async def test_a_note_is_a_slot_of_the_next_context(lines):
    line = lines("sess_first")
    line.publish("session_started", pack="airline", caller_id="")
    line.notes("seat", '"aisle"')
    known = await line.context()
    assert [(slot.name, slot.value_json) for slot in known.slots] == [("seat", '"aisle"')]
