"""Owns how a request waits for the state that it names: what a session published, memory must have folded."""

from __future__ import annotations

from ringback_errors import Behind, InvalidInput, NotFound, Unavailable

from ringback_memory.domain.events import START, Position
from ringback_memory.ports import Clock, SessionKey
from ringback_memory.usecases.sessions import Changed, Sessions, View

POLLS_MS = (5, 10, 20, 40)
"""How long to wait for this replica's own fold before the store is asked whether another one was faster."""

READ_MS_MIN = 5
"""Least time that the store is given; the rest of a deadline is for answering from what is at hand."""


async def read_view(
    sessions: Sessions, key: SessionKey, *, at_least: Position, deadline_ms: int, clock: Clock
) -> View:
    """The session's state, not older than `at_least`.

    Raises NotFound for a session that nothing is known of, Behind when the state was not reached in
    `deadline_ms`, Unavailable when the store was away all that time and nothing is at hand.
    """
    if bool(at_least.epoch) != bool(at_least.seq):
        raise InvalidInput("min_epoch and min_seq: both or neither expected", field="min_seq")
    until_ms = clock.monotonic_ms() + deadline_ms
    # From here on, so that no change is missed while the store is asked.
    with sessions.changes(key) as changed:
        await _folded_here(sessions, key, at_least=at_least, changed=changed, until_ms=until_ms, clock=clock)
        return await _looked_for(
            sessions, key, at_least=at_least, changed=changed, until_ms=until_ms, clock=clock
        )


async def _folded_here(
    sessions: Sessions, key: SessionKey, *, at_least: Position, changed: Changed, until_ms: int, clock: Clock
) -> None:
    """What is missing of a call that is at hand is most likely being folded here: sooner there than the store tells."""
    first_ms = min(until_ms, clock.monotonic_ms() + POLLS_MS[0])
    while (view := sessions.at_hand(key)) is not None and view.watermark < at_least:
        left_ms = first_ms - clock.monotonic_ms()
        if left_ms <= 0:
            return
        await changed(left_ms)


async def _looked_for(
    sessions: Sessions, key: SessionKey, *, at_least: Position, changed: Changed, until_ms: int, clock: Clock
) -> View:
    polls = 0
    away: Unavailable | None = None
    view: View | None = None
    looked = False
    while True:
        left_ms = until_ms - clock.monotonic_ms()
        try:
            view = await sessions.view(key, at_least=at_least, timeout_ms=max(READ_MS_MIN, left_ms * 3 // 4))
            looked = True
        except Unavailable as error:
            away = error
        if view is not None and view.watermark >= at_least:
            return view
        left_ms = until_ms - clock.monotonic_ms()
        if left_ms <= 0 or at_least == START:
            # The last look has little time: what an earlier one saw is a better answer than that it found no store.
            raise away if away is not None and not looked else _not_there(key, view, at_least)
        await changed(min(left_ms, POLLS_MS[min(polls, len(POLLS_MS) - 1)]))
        polls += 1


def _not_there(key: SessionKey, view: View | None, at_least: Position) -> NotFound | Behind:
    if view is None:
        return NotFound(f"session {key.session_id!r}: no fact of it has been folded", field="session_id")
    return Behind(
        f"the state is at epoch {view.watermark.epoch}, seq {view.watermark.seq}; "
        f"asked for epoch {at_least.epoch}, seq {at_least.seq}",
        field="min_seq",
    )
