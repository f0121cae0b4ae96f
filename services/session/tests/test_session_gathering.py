"""Facts leave in bursts, questions to memory are asked once: neither competes with what is done for the caller."""

import asyncio
from contextvars import ContextVar

import msgspec
from ringback_session.domain.effects import Publish, PullContext
from ringback_session.domain.inputs import ContextArrived, ContextMissed
from ringback_session.ports import Pinned, Remembered
from ringback_session.usecases.gathering import GATHER_MS, WAITING_MAX, GatheredFacts
from ringback_session.usecases.pulling import ContextPulls
from ringback_testkit import FakeClock

PINNED = Pinned(tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=1, agent="a")
TRACE = ContextVar("TRACE", default="")


class Bus:
    def __init__(self):
        self.got = []
        self.hurried = []

    def publish(self, fact, pinned, on_ack):
        self.got.append((pinned.session_id, fact.seq, TRACE.get()))

    def hurry(self, session_id):
        self.hurried.append(session_id)

    @property
    def seqs(self):
        return [seq for _, seq, _ in self.got]


def fact(seq, kind="action_decided"):
    return Publish(kind=kind, seq=seq, epoch=1, turn_id="turn_1", agent="a", at_ms=1, body={})


def made():
    bus, clock = Bus(), FakeClock()
    return GatheredFacts(bus, clock), bus, clock


def test_facts_of_a_session_leave_together_in_their_order():
    facts, bus, clock = made()
    facts.publish(fact(1), PINNED, list)
    clock.advance(GATHER_MS - 1)
    facts.publish(fact(2), PINNED, list)
    assert bus.seqs == []
    clock.advance(1)
    assert bus.seqs == [1, 2]
    facts.publish(fact(3), PINNED, list)
    clock.advance(GATHER_MS)
    assert bus.seqs == [1, 2, 3]


def test_sessions_do_not_wait_for_one_another():
    facts, bus, clock = made()
    facts.publish(fact(1), PINNED, list)
    clock.advance(GATHER_MS // 2)
    facts.publish(fact(1), msgspec.structs.replace(PINNED, session_id="sess_2"), list)
    clock.advance(GATHER_MS // 2)
    assert [session for session, _, _ in bus.got] == ["sess_1"]


def test_the_end_of_a_session_waits_for_nothing_and_takes_along_what_waits():
    facts, bus, _ = made()
    facts.publish(fact(1), PINNED, list)
    facts.publish(fact(2, "session_ended"), PINNED, list)
    assert bus.seqs == [1, 2]


def test_who_asks_for_what_the_facts_tell_does_not_wait_for_them():
    facts, bus, clock = made()
    facts.publish(fact(1), PINNED, list)
    facts.hurry("sess_1")
    assert (bus.seqs, bus.hurried) == ([1], ["sess_1"])
    clock.advance(GATHER_MS)
    assert bus.seqs == [1]


def test_no_more_than_the_bound_waits():
    facts, bus, _ = made()
    for seq in range(WAITING_MAX + 1):
        facts.publish(fact(seq), PINNED, list)
    assert bus.seqs == list(range(WAITING_MAX))


def test_a_fact_belongs_to_the_trace_in_which_it_was_made():
    facts, bus, clock = made()
    for seq, trace in enumerate(("first", "second")):
        TRACE.set(trace)
        facts.publish(fact(seq), PINNED, list)
    TRACE.set("later")
    clock.advance(GATHER_MS)
    assert [trace for _, _, trace in bus.got] == ["first", "second"]


class Memory:
    def __init__(self, known):
        self.known = known
        self.asked = []

    async def context(self, pinned, *, min_epoch, min_seq):
        self.asked.append((min_epoch, min_seq))
        return self.known


class Hurried:
    def __init__(self):
        self.times = 0

    def hurry(self):
        self.times += 1

    async def give_way(self):
        pass


def pulls(*, gather_ms=0, known=None):
    memory, keeper, fed = Memory(known), Hurried(), []
    return ContextPulls(memory=memory, keeper=keeper, feed=fed.append, gather_ms=gather_ms), memory, fed


async def test_questions_to_memory_that_come_together_are_one_for_the_newest():
    known = Remembered(text="", slots=(), as_of_epoch=1, as_of_seq=9, plan=None, stale=())
    context, memory, fed = pulls(known=known)
    wanted = [PullContext(min_epoch=1, min_seq=seq) for seq in (3, 9, 5)]
    await asyncio.gather(*(context.pull(effect, PINNED) for effect in wanted))
    assert memory.asked == [(1, 9)]
    assert [(type(event), event.as_of) for event in fed] == [(ContextArrived, (1, 9))]


async def test_what_an_action_waits_for_is_asked_at_once_for_all():
    context, memory, fed = pulls(gather_ms=60_000)
    later = asyncio.ensure_future(context.pull(PullContext(min_epoch=1, min_seq=7), PINNED))
    await asyncio.sleep(0)
    await context.pull(PullContext(min_epoch=1, min_seq=4, at_once=True), PINNED)
    assert memory.asked == [(1, 7)]
    assert [type(event) for event in fed] == [ContextMissed]
    later.cancel()


async def test_a_question_that_was_asked_for_somebody_else_is_not_asked_again():
    context, memory, _ = pulls()
    later = asyncio.ensure_future(context.pull(PullContext(min_epoch=1, min_seq=7), PINNED))
    await asyncio.sleep(0)
    await context.pull(PullContext(min_epoch=1, min_seq=8, at_once=True), PINNED)
    await later
    assert memory.asked == [(1, 8)]
