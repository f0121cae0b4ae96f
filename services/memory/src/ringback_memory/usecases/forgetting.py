"""Owns erasure: every trace of a caller that can be removed is removed, looked for again, and accounted for.

What is searched: what is kept of the caller, the record of each of the caller's sessions, and the facts of these
sessions in the streams. A call that is under way is left alone and named, since it would write again what was removed.
What other services keep of these sessions they erase themselves, before this: see `keep` and `look`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from ringback_errors import InvalidInput, Unavailable

from ringback_memory.ports import (
    CallerStore,
    Clock,
    Erasures,
    NeedsRebuildError,
    SessionKey,
    StateStore,
    Traces,
)
from ringback_memory.usecases.callers import check_caller
from ringback_memory.usecases.sessions import Sessions

LIVE_MS = 3_600_000
"""A call that has not ended and was heard of within this time counts as under way."""
CALLERS, MEMORY = "callers", "memory"
ACTOR_CHARS_MAX = 128


@dataclass(frozen=True, slots=True)
class Place:
    """One place: what a first look found, what was removed, what a second look found."""

    place: str
    found: int
    removed: int
    left: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What became of a caller's traces."""

    places: tuple[Place, ...]
    session_ids: tuple[str, ...]
    live_session_ids: tuple[str, ...]
    # Sessions that were to be kept until another service has let go of them.
    kept: int = 0

    @property
    def complete(self) -> bool:
        """Nothing is left, and no call is under way."""
        held = self.live_session_ids or self.kept
        return not held and not any(place.left for place in self.places)


@dataclass(slots=True)
class Forget:
    """Erases a caller; doing it again is safe."""

    sessions: Sessions
    records: StateStore
    callers: CallerStore
    traces: Traces
    clock: Clock
    erasures: Erasures

    async def __call__(
        self, tenant: str, caller_id: str, *, actor: str = "", keep: Collection[str] = ()
    ) -> Erasure:
        """Remove all but the sessions to `keep`. Raises InvalidInput, Unavailable (then ask again)."""
        check_caller(tenant, caller_id)
        if len(actor) > ACTOR_CHARS_MAX:
            raise InvalidInput(f"at most {ACTOR_CHARS_MAX} characters expected", field="actor")
        mine, live = await self._sessions_of(tenant, caller_id)
        held = live | {key for key in mine if key.session_id in keep}
        ended = sorted(mine - held)
        before = await self._look(tenant, caller_id, ended)
        for key in ended:
            await self.traces.remove(key)
            await self.records.remove(key)
            self.sessions.drop(key)
        if not held:
            await self.callers.remove(tenant, caller_id)
        after = await self._look(
            tenant, caller_id, sorted((await self._sessions_of(tenant, caller_id))[0] - held)
        )
        erasure = Erasure(
            places=_places(before, after),
            session_ids=tuple(key.session_id for key in ended),
            live_session_ids=tuple(sorted(key.session_id for key in live)),
            kept=len(held - live),
        )
        self.erasures.forgotten(
            tenant,
            sessions=erasure.session_ids,
            removed=sum(place.removed for place in erasure.places),
            left=sum(place.left for place in erasure.places) + len(held),
            actor=actor,
        )
        return erasure

    async def look(self, tenant: str, caller_id: str) -> Erasure:
        """What there is, and whose sessions; nothing is removed. Raises InvalidInput, Unavailable."""
        check_caller(tenant, caller_id)
        mine, live = await self._sessions_of(tenant, caller_id)
        ended = sorted(mine - live)
        found = await self._look(tenant, caller_id, ended)
        return Erasure(
            places=_places(found, found),
            session_ids=tuple(key.session_id for key in ended),
            live_session_ids=tuple(sorted(key.session_id for key in live)),
        )

    async def _sessions_of(self, tenant: str, caller_id: str) -> tuple[set[SessionKey], set[SessionKey]]:
        """The caller's sessions, and those of them that are under way."""
        known = {SessionKey(tenant, one) for one in await self.traces.sessions_of(tenant, caller_id)}
        mine, live = set(known), set()
        for key in {*known, *await self.records.keys(tenant)}:
            state = await self._state(key)
            if state is None:
                continue
            ended, last_ms, caller = state
            if caller == caller_id:
                mine.add(key)
            if key in mine and not ended and self.clock.now_ms() - last_ms < LIVE_MS:
                live.add(key)
        return mine, live

    async def _state(self, key: SessionKey) -> tuple[bool, int, str] | None:
        """Whether it has ended, when it was heard of last, and whose it is; None if there is no readable record."""
        try:
            stored = await self.records.load(key)
        except (NeedsRebuildError, Unavailable):
            return None
        if stored is None:
            return None
        state = self.sessions.read(stored.record)
        return bool(state.ended), state.last_ms, state.caller_id

    async def _look(self, tenant: str, caller_id: str, keys: Iterable[SessionKey]) -> Counter[str]:
        found: Counter[str] = Counter()
        found[CALLERS] = int(await self.callers.load(tenant, caller_id) is not None)
        found[MEMORY] = 0
        for key in keys:
            found[MEMORY] += int(await self._state(key) is not None)
            for place, count in await self.traces.count(key):
                found[place] += count
        return found


def _places(before: Counter[str], after: Counter[str]) -> tuple[Place, ...]:
    return tuple(
        Place(name, before[name], before[name] - min(before[name], after[name]), after[name])
        for name in sorted(before.keys() | after.keys())
    )
