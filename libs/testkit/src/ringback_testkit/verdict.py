"""What must be true of calls whatever happened to them.

The ledger of effects and the stream of facts are asked, not the services.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from ringback_testkit.running_stack import RunningStack
from ringback_testkit.stubborn_caller import StubbornCaller

__all__ = ["faults", "lost_facts", "wrong_effects"]

SETTLED_S: Final = 60.0


async def faults(running: RunningStack, calls: Sequence[StubbornCaller]) -> list[str]:
    """Everything that is not as it must be, a line each: side effects, what was told, facts."""
    found = await wrong_effects(running, calls)
    return found + await lost_facts(running, {call.caller.session_id for call in calls})


async def wrong_effects(running: RunningStack, calls: Sequence[StubbornCaller]) -> list[str]:
    """Refunds that happened twice or without a yes, and those that were told and did not happen."""
    found = []
    ledger = Counter(line["reservation_id"] for line in await running.backend.ledger())
    for call in calls:
        booked = ledger[call.reservation_id]
        if booked > 1:
            found.append(f"{call.reservation_id}: {booked} refunds; {call.lines}")
        if booked and not call.said_yes:
            found.append(f"{call.reservation_id}: a refund without a yes; {call.lines}")
        if call.told_done and booked != 1:
            found.append(f"{call.reservation_id}: told that it is done, {booked} refunds; {call.lines}")
    return found


async def lost_facts(running: RunningStack, sessions: Iterable[str]) -> list[str]:
    """Numbers that are missing between two facts of one owner; calls that never ended."""
    asked = sorted(sessions)

    def ended() -> bool:
        return all(running.facts(session_id, "session_ended") for session_id in asked)

    await running.watcher.wait_for(ended, timeout_s=SETTLED_S)
    found = []
    for session_id in asked:
        if not running.facts(session_id, "session_ended"):
            found.append(f"{session_id}: no session_ended")
        numbers = sorted((event.epoch, event.seq) for event in running.watcher.of(session_id))
        for epoch, of_epoch in itertools.groupby(numbers, key=lambda pair: pair[0]):
            seqs = [seq for _, seq in of_epoch]
            if seqs != list(range(1, len(seqs) + 1)):
                found.append(f"{session_id}: epoch {epoch} lacks facts: {seqs}")
    return found
