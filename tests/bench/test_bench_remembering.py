"""Memory: what a long call bills with and without compaction; what folding, asking and catching up cost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import pytest
from bench_figures import Table, percentile
from ringback.events.v1 import events_pb2 as ev_pb
from ringback.memory.v1 import memory_pb2 as pb
from ringback.memory.v1 import memory_pb2_grpc
from ringback_events import Bus, connect, event_subject, load_topology
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.domain import events as ev
from ringback_memory.domain.compaction import Rules, choose_cut, turn_tokens
from ringback_memory.domain.context import build_context
from ringback_memory.domain.events import Body, Event, Position
from ringback_memory.domain.schema import ToolOutline, schema_of_tools
from ringback_memory.domain.state import Turn
from ringback_memory.domain.summary import fold_turns
from ringback_memory.domain.timeline import Record, Timeline
from ringback_testkit import NatsServer

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Helpers

TURNS = 200
SESSIONS = 40
ASKS = 1_000

count = O200kTokens().count
SCHEMA = schema_of_tools(
    [
        ToolOutline(
            f"change_{thing}",
            f"Change the {thing} of a reservation.",
            {
                "properties": {
                    "reservation_id": {"type": "string", "pattern": "^[0-9]{6}$"},
                    thing: {"type": "string", "description": f"The new {thing}."},
                }
            },
            True,
        )
        for thing in ("date", "seat", "city", "name", "meal", "phone")
    ]
)


async def test_tokens_billed_over_a_long_call() -> None:
    """Every reply bills the conversation as it stands; `uncached` is what the provider's prefix cache does not hold."""
    table = Table(
        "remembering",
        f"Tokens billed over {TURNS} turns",
        unit="tokens in; ratio to replaying everything",
        columns=["billed", "ratio", "uncached", "cuts", "first 50", "last 50"],
    )
    whole = _billed(None)
    for name, rules in (
        ("everything", None),
        ("cut above 800 to 240", Rules(800, 240, 4)),
        ("cut above 1600 to 480 (default)", Rules()),
        ("cut above 3200 to 960", Rules(3_200, 960, 4)),
        ("cut above 1600 to 1400", Rules(1_600, 1_400, 4)),
    ):
        bill = whole if rules is None else _billed(rules)
        table.row(
            name,
            {
                "billed": bill.billed,
                "ratio": bill.billed / whole.billed,
                "uncached": bill.uncached,
                "cuts": bill.cuts,
                "first 50": sum(bill.per_turn[:50]) / 50,
                "last 50": sum(bill.per_turn[-50:]) / 50,
            },
        )
    table.note(
        "a turn is the caller's speech and its reply; instructions and tools, the same in every row, are left out"
    )
    table.note("goal: ≤ 1/8 (0.125), flat per turn; fewer, larger cuts keep the prefix cache")
    table.show()


async def test_cost_of_folding_and_compacting() -> None:
    """In one process, without storing."""
    table = Table(
        "remembering_cost",
        "Folding and compacting, in memory's process",
        unit="µs of processor time; a compaction is the cut, the embedded summary and the text",
        columns=["mean", "p50", "p99", "count"],
        section="remembering",
    )
    timeline = Timeline(Record(), schema=SCHEMA)
    took = []
    for event in _call(TURNS):
        began = time.process_time()
        timeline.add(event)
        took.append((time.process_time() - began) * 1e6)
    table.row("fold, per event", _spread(took))
    state = _folded(50).state
    compacting = _timed(50, lambda: _compact(state))
    summing = _timed(50, lambda: fold_turns(state.summary, state.turns))
    for name, found in (("compaction of 100 turns", compacting), ("embedded summary of 100 turns", summing)):
        table.row(name, _spread(found))
    table.note("goals: fold ≤ 100 µs per event; embedded summary ≤ 20,000 µs for 100 turns")
    table.show()


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    with NatsServer.start(tmp_path) as server:
        yield server


async def test_asking_and_catching_up(nats: NatsServer, helpers: Helpers) -> None:
    """A replica that starts beside a full stream, then answers GetContext over gRPC."""
    bus = await connect(nats.url, name="bench")
    await bus.ensure(load_topology(), "session")
    last = await _publish(bus)
    env = {"RINGBACK_NATS_URL": nats.url, "RINGBACK_INSTANCE": "bench"}
    memory = helpers.service("memory", env)
    began = time.perf_counter()
    table = Table(
        "remembering_asking",
        "GetContext over gRPC, and a cold replica catching up",
        unit="ms; events per second",
        columns=["p50", "p99", "events/s"],
        section="remembering",
    )
    async with grpc.aio.insecure_channel(memory.address) as channel:
        stub = memory_pb2_grpc.MemoryServiceStub(channel)
        for number in range(SESSIONS):
            await stub.GetContext(_ask(number, last), timeout=120, wait_for_ready=True)
        rate = SESSIONS * last / (time.perf_counter() - began)
        took = []
        for number in range(ASKS):
            asked = time.perf_counter()
            await stub.GetContext(_ask(number % SESSIONS, last), timeout=10)
            took.append((time.perf_counter() - asked) * 1e3)
    table.row("GetContext, 800 tokens", {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)})
    table.row(f"catching up, {SESSIONS} calls of {last} facts", {"events/s": rate})
    table.note("each fact is stored by compare-and-set before it is acknowledged")
    table.show()
    await bus.close()


@dataclass
class _Bill:
    per_turn: list[int] = field(default_factory=list)
    uncached: int = 0
    cuts: int = 0

    @property
    def billed(self) -> int:
        return sum(self.per_turn)


def _billed(rules: Rules | None) -> _Bill:
    bill, timeline = _Bill(), Timeline(Record(), schema=SCHEMA)
    head, fresh, seq = 0, 0, 0
    conversation: dict[str, int] = {}
    for event in _call(TURNS):
        seq += 1
        timeline.add(Event(Position(1, seq), event.at_ms, event.body))
        if not isinstance(event.body, ev.CallerSpoke | ev.AgentSpoke):
            continue
        own = turn_tokens(_turn_of(timeline, event.body.item_id), count=count)
        conversation[event.body.item_id] = own
        fresh += own
        if isinstance(event.body, ev.CallerSpoke):
            bill.per_turn.append(head + sum(conversation.values()))
            bill.uncached += fresh
            fresh = 0
            continue
        cut = choose_cut(timeline.state, rules=rules, count=count) if rules else None
        if cut is not None:
            seq += 1
            timeline.add(
                Event(Position(1, seq), event.at_ms, ev.Compacted(cut.epoch, cut.covers, cut.item_ids))
            )
            conversation = {key: own for key, own in conversation.items() if key not in set(cut.item_ids)}
            head = count(_page(timeline.state))
            # Everything behind the head has another prefix now.
            fresh, bill.cuts = head + sum(conversation.values()), bill.cuts + 1
    return bill


def _turn_of(timeline: Timeline, item_id: str) -> Turn:
    return next(turn for turn in reversed(timeline.state.turns) if turn.item_id == item_id)


def _call(turns: int) -> Iterator[Event]:
    """A caller who changes things, and is answered; spoken, 3 s and 4 s each."""
    for seq, body in enumerate(_bodies(turns), start=1):
        yield Event(Position(1, seq), 1_000 * seq, body, size_bytes=300)


def _bodies(turns: int) -> Iterator[Body]:
    yield ev.Started("bench", "sha256:bench")
    for n in range(turns):
        thing = ("date", "seat", "city", "name", "meal", "phone")[n % 6]
        text = f"Please change the {thing} of reservation 48{n % 10}91{n % 7} to number {n}, since my plans changed."
        yield ev.CallerSpoke(f"c{n}", text, 0.95, audio_ms=3_000)
        arguments = f'{{"reservation_id":"48{n % 10}91{n % 7}","{thing}":"number {n}"}}'
        yield ev.ActionRequested(f"act_{n}", "", f"change_{thing}", arguments, "write")
        yield ev.ActionFinished(f"act_{n}", f"change_{thing}", "ok", f'{{"{thing}":"number {n}"}}')
        said = f"The {thing} is now number {n}. Is there anything else that I can do for you?"
        yield ev.AgentSpoke(f"a{n}", said, said, audio_ms=4_000, heard_ms=4_000)


def _folded(turns: int) -> Timeline:
    timeline = Timeline(Record(), schema=SCHEMA)
    for event in _call(turns):
        timeline.add(event)
    return timeline


def _page(state: object) -> str:
    return build_context(state, budget_tokens=400, count=count, now_ms=1, turns=False).text  # type: ignore[arg-type]


def _compact(state: object) -> None:
    cut = choose_cut(state, rules=Rules(), count=count)  # type: ignore[arg-type]
    assert cut is not None
    fold_turns(state.summary, cut.turns)  # type: ignore[attr-defined]
    _page(state)


def _spread(found: list[float]) -> dict[str, float]:
    figures = {"p50": percentile(found, 0.5), "p99": percentile(found, 0.99)}
    return {"mean": sum(found) / len(found), **figures, "count": len(found)}


def _timed(times: int, work: Callable[[], object]) -> list[float]:
    took = []
    for _ in range(times):
        began = time.process_time()
        work()
        took.append((time.process_time() - began) * 1e6)
    return took


async def _publish(bus: Bus) -> int:
    last = 0
    for number in range(SESSIONS):
        for last, (kind, fields) in enumerate(_wire_facts(), start=1):
            session = f"sess_{number}"
            event = ev_pb.SessionEvent(
                schema_version=1, tenant="local", session_id=session, epoch=1, seq=last
            )
            event.occurred_at.FromMilliseconds(1_700_000_000_000 + last)
            getattr(event, kind).SetInParent()
            for name, value in fields.items():
                setattr(getattr(event, kind), name, value)
            subject = event_subject("local", session, kind)
            bus.publish(subject, event.SerializeToString(), msg_id=f"{session}:1:{last}")
        await asyncio.sleep(0)
        await bus.flush(30_000)
    return last


def _wire_facts() -> Iterator[tuple[str, dict[str, str | int]]]:
    yield "session_started", {"pack": "bench"}
    for n in range(30):
        yield "user_turn_ended", {"item_id": f"c{n}", "text": f"Please change seat {n} of my reservation."}
        yield "action_requested", {"action_id": f"act_{n}", "tool": "t", "arguments_json": f'{{"n":{n}}}'}
        yield "action_finished", {"action_id": f"act_{n}", "tool": "t", "status": ev_pb.ACTION_STATUS_OK}
        yield "agent_turn_ended", {"item_id": f"a{n}", "said": f"Seat {n}.", "heard": f"Seat {n}."}


def _ask(number: int, last: int) -> pb.GetContextRequest:
    return pb.GetContextRequest(
        tenant="local", session_id=f"sess_{number}", budget_tokens=800, min_epoch=1, min_seq=last
    )
