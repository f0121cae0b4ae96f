"""Owns the order of a session's facts: what is settled, what may still be moved, what is missing.

A record is a settled state, the newest facts in order, and the late facts. The state as of now is the fold
of the newest facts over the settled one. A fact that arrives out of order is put in its place and what
follows is folded again, so any order of arrival within the bound gives the same state; a fact seen before
is dropped. When the newest facts outgrow the bound, the oldest of them is settled; a gap before it is
written down and given up. A fact that fills such a gap later is folded where it arrives, and counted: late
is better than lost.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, insort
from collections.abc import Container
from copy import copy
from itertools import pairwise

import msgspec
from msgspec.structs import replace

from ringback_memory.domain import limits
from ringback_memory.domain.events import Event, LateFact, Position, Started
from ringback_memory.domain.fold import apply, apply_late
from ringback_memory.domain.schema import EMPTY_SCHEMA, SlotSchema
from ringback_memory.domain.state import FOLD_VERSION, State

_NO_END = 2**63 - 1


class Gap(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Facts of one epoch, `first` to `last`, that were not there when later ones were settled.

    An epoch that was left may have facts beyond the last one seen: its gap has no end.
    """

    epoch: int
    first: int
    last: int


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is stored of one session."""

    fold_version: int = FOLD_VERSION
    settled: State = State()
    tail: tuple[Event, ...] = ()
    late: tuple[LateFact, ...] = ()
    late_floors: dict[str, int] = {}
    gaps: tuple[Gap, ...] = ()
    gap_fillers: int = 0

    @property
    def pack_digest(self) -> str:
        """The pack that the session is pinned to; empty while that is not known."""
        started = (event.body.pack_digest for event in self.tail if isinstance(event.body, Started))
        return self.settled.pack_digest or next(started, "")


class Placed(enum.Enum):
    """What became of an event."""

    APPENDED = "appended"
    MOVED = "moved"
    FILLED = "filled"
    DUPLICATE = "duplicate"


class Timeline:
    """One session's record with the state after each of its newest facts kept at hand.

    Not thread-safe. Cost of an event in order is one `apply`; of one out of order, as many as follow it.
    """

    def __init__(self, record: Record, *, schema: SlotSchema = EMPTY_SCHEMA) -> None:
        self._schema = schema
        self._settled = record.settled
        self._events = list(record.tail)
        self._late = list(record.late)
        self._late_floors = dict(record.late_floors)
        self._gaps = record.gaps
        self._gap_fillers = record.gap_fillers
        self._bytes = sum(event.size_bytes for event in self._events)
        self._states: list[State] = []
        self._refold(0)

    def fork(self) -> Timeline:
        """A timeline of its own that begins as this one."""
        other = copy(self)
        other._events, other._late, other._states = list(self._events), list(self._late), list(self._states)
        return other

    @property
    def record(self) -> Record:
        """What to store."""
        return Record(
            fold_version=FOLD_VERSION,
            settled=self._settled,
            tail=tuple(self._events),
            late=tuple(self._late),
            late_floors=self._late_floors,
            gaps=self._gaps,
            gap_fillers=self._gap_fillers,
        )

    @property
    def state(self) -> State:
        """The state with every fact so far, late ones included."""
        state = self._states[-1] if self._states else self._settled
        for fact in self._late:
            state = apply_late(state, fact, schema=self._schema)
        return state

    @property
    def schema(self) -> SlotSchema:
        """What the extractor reads values by."""
        return self._schema

    def learn_schema(self, schema: SlotSchema) -> None:
        """Fold the newest facts again with a schema that was not known before."""
        if schema is not self._schema:
            self._schema = schema
            self._refold(0)

    def add(self, event: Event) -> Placed:
        """Put one event in its place."""
        if event.position <= self._settled.position:
            return self._fill_gap(event)
        index = bisect_left(self._events, event.position, key=_position)
        if index < len(self._events) and self._events[index].position == event.position:
            return Placed.DUPLICATE
        self._events.insert(index, event)
        self._bytes += event.size_bytes
        del self._states[index:]
        self._refold(index)
        while len(self._events) > limits.TAIL_EVENTS_MAX or self._bytes > limits.TAIL_BYTES_MAX:
            self._settle_oldest()
        return Placed.APPENDED if index == len(self._events) - 1 else Placed.MOVED

    def add_late(self, fact: LateFact) -> bool:
        """Keep one late fact; False when it was known."""
        key = (fact.producer, fact.producer_seq)
        if fact.producer_seq <= self._late_floors.get(fact.producer, 0):
            return False
        if any((one.producer, one.producer_seq) == key for one in self._late):
            return False
        insort(self._late, fact, key=_late_key)
        while len(self._late) > limits.LATE_FACTS_MAX:
            oldest = self._late.pop(0)
            self._late_floors = {**self._late_floors, oldest.producer: oldest.producer_seq}
            self._settled = apply_late(self._settled, oldest, schema=self._schema)
            self._refold(0)
        return True

    def after_gaps(self) -> tuple[Position, ...]:
        """The facts whose predecessor has not come."""
        before = [self._settled.position, *(event.position for event in self._events)]
        return tuple(after for mark, after in pairwise(before) if _is_gap(mark, after))

    def watermark(self, given_up: Container[Position] = ()) -> Position:
        """The last position before which nothing is missing, but what is missing right before `given_up`."""
        mark = self._settled.position
        for event in self._events:
            if _is_gap(mark, event.position) and event.position not in given_up:
                break
            mark = event.position
        return mark

    def _refold(self, index: int) -> None:
        del self._states[index:]
        state = self._states[index - 1] if index else self._settled
        for event in self._events[index:]:
            state = apply(state, event, schema=self._schema)
            self._states.append(state)

    def _settle_oldest(self) -> None:
        event = self._events.pop(0)
        self._bytes -= event.size_bytes
        if not _follows(self._settled.position, event.position):
            gaps = _gaps_between(self._settled.position, event.position)
            self._gaps = (*self._gaps, *gaps)[-limits.GAPS_MAX :]
        self._settled = self._states.pop(0)

    def _fill_gap(self, event: Event) -> Placed:
        gaps = tuple(part for gap in self._gaps for part in _without(gap, event.position))
        if gaps == self._gaps:
            return Placed.DUPLICATE
        self._gaps = gaps[-limits.GAPS_MAX :]
        self._gap_fillers += 1
        before = self._settled
        settled = replace(apply(before, event, schema=self._schema), position=before.position)
        if event.position.epoch < before.position.epoch:
            # What happened is not lost; who holds the call, and whether it is over, a later owner has told.
            settled = replace(settled, agent=before.agent, ended=before.ended)
        self._settled = settled
        self._refold(0)
        return Placed.FILLED


def _position(event: Event) -> Position:
    return event.position


def _late_key(fact: LateFact) -> tuple[str, int]:
    return fact.producer, fact.producer_seq


def _follows(before: Position, after: Position) -> bool:
    return after.epoch == before.epoch and after.seq == before.seq + 1


def _is_gap(before: Position, after: Position) -> bool:
    """A new epoch may begin at any time; within one, numbers follow each other, from 1."""
    expected = before.seq + 1 if before.epoch == after.epoch else 1
    return after.seq > expected


def _gaps_between(before: Position, after: Position) -> tuple[Gap, ...]:
    if before.epoch == after.epoch:
        gaps: tuple[Gap, ...] = (Gap(after.epoch, before.seq + 1, after.seq - 1),)
    else:
        gaps = (Gap(before.epoch, before.seq + 1, _NO_END), Gap(after.epoch, 1, after.seq - 1))
    return tuple(gap for gap in gaps if gap.epoch > 0 and gap.first <= gap.last)


def _without(gap: Gap, position: Position) -> tuple[Gap, ...]:
    if gap.epoch != position.epoch or not gap.first <= position.seq <= gap.last:
        return (gap,)
    parts = (Gap(gap.epoch, gap.first, position.seq - 1), Gap(gap.epoch, position.seq + 1, gap.last))
    return tuple(part for part in parts if part.first <= part.last)
