"""Owns the sessions at hand: the stored record, its folded timeline, and the one way to change them.

Any replica may fold any fact. Changes to one session queue up behind its lock and are stored together, so a
burst costs one compare-and-set; who loses it reads again and folds again. A timeline is kept only while it
equals what is stored: nothing is remembered that a crash could take.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ringback_errors import Conflict, Overloaded, Unavailable

from ringback_memory.domain.events import START, Event, LateFact, Position
from ringback_memory.domain.schema import EMPTY_SCHEMA, SlotSchema
from ringback_memory.domain.state import State
from ringback_memory.domain.timeline import Placed, Record, Timeline
from ringback_memory.ports import Clock, EventSource, NeedsRebuildError, SchemaSource, SessionKey, StateStore

CONFLICTS_MAX = 16
QUEUED_MAX = 1_024
"""Facts of one session that may wait for its lock."""

REFOLDED_MAX = 100_000
"""Facts of one session that a refold reads."""

HELD_MS_MAX = 15 * 60_000
"""What is at hand is asked for at the store again after this long, so that what was erased there goes here too."""

Fact = Event | LateFact
Changed = Callable[[int], Awaitable[None]]
"""Waits for a change, at most so many ms."""

OnEnd = Callable[[SessionKey, State, SlotSchema], Awaitable[None]]
"""Called after the state of a call that has ended was stored; may be called more than once for the same state."""


@dataclass(slots=True)
class Held:
    """A timeline that equals revision `revision` of the store, as of `read_at_ms` (monotonic)."""

    timeline: Timeline
    revision: int | None
    read_at_ms: int
    gaps_seen_ms: dict[Position, int] = field(default_factory=dict)
    """When this replica first saw that a fact's predecessor had not come."""


@dataclass(frozen=True, slots=True)
class View:
    """A state to answer from. `unverified_ms` 0: as stored now."""

    state: State
    revision: int | None
    watermark: Position
    unverified_ms: int = 0


@dataclass(slots=True)
class _Waiting:
    fact: Fact
    done: asyncio.Future[bool]


@dataclass(slots=True)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Waiting] = field(default_factory=list)
    users: int = 0


class Sessions:
    """The sessions of this replica's memory, at most `held_max` of them at hand."""

    def __init__(
        self,
        store: StateStore,
        *,
        schemas: SchemaSource,
        source: EventSource,
        clock: Clock,
        held_max: int = 512,
        gap_wait_ms: int = 8_000,
        on_end: OnEnd | None = None,
    ) -> None:
        self._store = store
        self._schemas = schemas
        self._source = source
        self._clock = clock
        self._held_max = held_max
        self._gap_wait_ms = gap_wait_ms
        self._on_end = on_end
        self._held: OrderedDict[SessionKey, Held] = OrderedDict()
        self._queues: dict[SessionKey, _Queue] = {}
        self._changed: dict[SessionKey, list[asyncio.Event]] = {}

    async def fold(self, key: SessionKey, fact: Fact) -> bool:
        """Fold one fact and store the result; False when it was folded before.

        Raises Unavailable when it could not be stored, Overloaded when too many wait; both may be tried
        again.
        """
        queue = self._queues.setdefault(key, _Queue())
        if len(queue.waiting) >= QUEUED_MAX:
            raise Overloaded(f"more than {QUEUED_MAX} facts of one session wait to be folded")
        mine = _Waiting(fact, asyncio.get_running_loop().create_future())
        queue.waiting.append(mine)
        queue.users += 1
        try:
            async with queue.lock:
                if not mine.done.done():
                    # What came with it has handlers that begin in this turn of the loop: all are stored together.
                    await asyncio.sleep(0)
                    await self._fold_waiting(key, queue)
            return mine.done.result()
        finally:
            if mine in queue.waiting:
                queue.waiting.remove(mine)
            queue.users -= 1
            if queue.users == 0:
                del self._queues[key]

    async def view(
        self, key: SessionKey, *, at_least: Position = START, timeout_ms: int | None = None
    ) -> View | None:
        """The state of a session; None if nothing is known of it.

        What is at hand is enough when it includes `at_least`; else the store is asked. When the store is
        away, what is at hand is given with its age; Unavailable if nothing is.
        """
        view = self.at_hand(key)
        if view is not None and at_least > START and view.watermark >= at_least:
            return view
        try:
            read = await self._load(key, timeout_ms=timeout_ms)
        except Unavailable:
            held = self._held.get(key)
            if held is None:
                raise
            return self._view(held, unverified=True)
        return self._view(read) if read.revision is not None else None

    def at_hand(self, key: SessionKey) -> View | None:
        """The state of a session as this replica stored or read it last; None when it has to be read."""
        held = self._held.get(key)
        if held is None or self._clock.monotonic_ms() - held.read_at_ms >= HELD_MS_MAX:
            return None
        return self._view(held)

    @contextlib.contextmanager
    def changes(self, key: SessionKey) -> Iterator[Changed]:
        """Call what is given to wait for a change of the session that this replica stored since the last call."""
        event = asyncio.Event()
        waiting = self._changed.setdefault(key, [])
        waiting.append(event)

        async def changed(timeout_ms: int) -> None:
            tasks = [asyncio.create_task(event.wait()), asyncio.ensure_future(self._clock.wait(timeout_ms))]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                event.clear()
                for task in tasks:
                    task.cancel()

        try:
            yield changed
        finally:
            waiting.remove(event)
            if not waiting:
                self._changed.pop(key, None)

    async def rebuild(self, key: SessionKey, *, revision: int | None) -> None:
        """Fold every stored fact of a session anew and put the result in the place of `revision`."""
        timeline = await self._refolded(key)
        stored = await self._store.save(key, timeline.record, revision=revision)
        self._hold(key, Held(timeline, stored, self._clock.monotonic_ms()))

    def drop(self, key: SessionKey) -> None:
        """Let go of what is at hand of a session."""
        self._held.pop(key, None)

    def read(self, record: Record) -> State:
        """The state that a record stands for, as far as it can be told without the pack."""
        return Timeline(record).state

    def _view(self, held: Held, *, unverified: bool = False) -> View:
        now_ms = self._clock.monotonic_ms()
        seen = {after: held.gaps_seen_ms.get(after, now_ms) for after in held.timeline.after_gaps()}
        held.gaps_seen_ms = seen
        given_up = {after for after, since_ms in seen.items() if now_ms - since_ms > self._gap_wait_ms}
        age_ms = max(1, now_ms - held.read_at_ms) if unverified else 0
        return View(held.timeline.state, held.revision, held.timeline.watermark(given_up), age_ms)

    async def _fold_waiting(self, key: SessionKey, queue: _Queue) -> None:
        batch = queue.waiting
        queue.waiting = []
        try:
            fresh = await self._fold_all(key, [one.fact for one in batch])
        except Exception as error:
            _fail(batch, error)
        except BaseException:
            # Cancelled: those who wait with us fold their own facts.
            queue.waiting[:0] = [one for one in batch if not one.done.done()]
            raise
        else:
            for one, is_fresh in zip(batch, fresh, strict=True):
                if not one.done.done():
                    one.done.set_result(is_fresh)

    async def _fold_all(self, key: SessionKey, facts: Sequence[Fact]) -> list[bool]:
        held = self._held.get(key) or await self._load(key)
        for _ in range(CONFLICTS_MAX):
            # What is at hand stays as it is stored until the store has taken the change.
            timeline = held.timeline.fork()
            placed = [await self._add(timeline, fact) for fact in facts]
            fresh = [one is not Placed.DUPLICATE for one in placed]
            if not any(fresh):
                await self._ended(key, held.timeline)
                return fresh
            if Placed.FILLED in placed:
                timeline = await self._in_order(key, timeline)
            try:
                revision = await self._store.save(key, timeline.record, revision=held.revision)
            except Conflict:
                held = await self._load(key)
                continue
            self._hold(key, Held(timeline, revision, self._clock.monotonic_ms()))
            for waiter in self._changed.get(key, ()):
                waiter.set()
            await self._ended(key, timeline)
            return fresh
        raise Unavailable(f"lost {CONFLICTS_MAX} compare-and-sets in a row to other replicas")

    async def _ended(self, key: SessionKey, timeline: Timeline) -> None:
        state = timeline.state
        if self._on_end is not None and state.ended:
            await self._on_end(key, state, timeline.schema)

    async def _add(self, timeline: Timeline, fact: Fact) -> Placed:
        if isinstance(fact, LateFact):
            return Placed.APPENDED if timeline.add_late(fact) else Placed.DUPLICATE
        before = timeline.state.pack_digest
        placed = timeline.add(fact)
        digest = timeline.state.pack_digest
        if digest and digest != before:
            timeline.learn_schema(await self._schemas.schema(digest))
        return placed

    async def _in_order(self, key: SessionKey, timeline: Timeline) -> Timeline:
        """What a fact beyond the reorder bound disturbed, folded anew while the stream still has every fact."""
        try:
            refolded = await self._refolded(key)
        except Unavailable:
            return timeline
        whole = refolded.state.counts.folded >= timeline.state.counts.folded
        return refolded if whole else timeline

    async def _refolded(self, key: SessionKey) -> Timeline:
        events: list[Event] = []
        late: list[LateFact] = []
        async for fact in self._source.replay(key):
            if isinstance(fact, LateFact):
                late.append(fact)
            elif len(events) < REFOLDED_MAX:
                events.append(fact)
        timeline = Timeline(Record())
        for event in sorted(events, key=lambda one: one.position):
            await self._add(timeline, event)
        for outcome in late:
            timeline.add_late(outcome)
        return timeline

    async def _load(self, key: SessionKey, *, timeout_ms: int | None = None) -> Held:
        for _ in range(CONFLICTS_MAX):
            try:
                return await self._read(key, timeout_ms=timeout_ms)
            except NeedsRebuildError as stale:
                # A replica that rebuilt it first, or folded on, is as good.
                with contextlib.suppress(Conflict):
                    await self.rebuild(key, revision=stale.revision)
        raise Unavailable("the record could not be folded anew: other replicas keep changing it")

    async def _read(self, key: SessionKey, *, timeout_ms: int | None) -> Held:
        stored = await self._store.load(key, timeout_ms=timeout_ms)
        now_ms = self._clock.monotonic_ms()
        if stored is None:
            self._held.pop(key, None)
            return Held(Timeline(Record()), None, now_ms)
        held = self._held.get(key)
        if held is None or held.revision is None or held.revision < stored.revision:
            held = Held(await self._timeline(stored.record), stored.revision, now_ms)
        held.read_at_ms = now_ms
        self._hold(key, held)
        return held

    async def _timeline(self, record: Record) -> Timeline:
        digest = record.pack_digest
        return Timeline(record, schema=await self._schemas.schema(digest) if digest else EMPTY_SCHEMA)

    def _hold(self, key: SessionKey, held: Held) -> None:
        before = self._held.get(key)
        if before is not None and before is not held:
            held.gaps_seen_ms = before.gaps_seen_ms
        self._held[key] = held
        self._held.move_to_end(key)
        while len(self._held) > self._held_max:
            self._held.popitem(last=False)


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for one in batch:
        if not one.done.done():
            one.done.set_exception(error)
            # Looked at here, so that a waiter that was cancelled leaves no complaint behind.
            one.done.exception()
