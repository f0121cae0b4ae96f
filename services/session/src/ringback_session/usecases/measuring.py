"""What the replica's metrics learn from the facts of its calls: how soon the agent yields, how long hand-overs take."""

from __future__ import annotations

from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned
from ringback_session.ports_upkeep import Meters

__all__ = ["Measuring"]

CALLS_KEPT = 1_024


class Measuring:
    """Implements `observing.Listener`."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters
        # How long the sound that interrupts was held back, by session; without the filter nothing is.
        self._held_ms: dict[str, float] = {}
        # Items whose stop is measured.
        self._stopped: dict[str, None] = {}

    def __call__(self, fact: Publish, pinned: Pinned) -> None:
        body = fact.body
        match fact.kind:
            case "turn_rule_applied" if (body["rule"], body["outcome"]) == ("backchannel", "interrupted"):
                self._held_ms[pinned.session_id] = body["wait_ms"]
                while len(self._held_ms) > CALLS_KEPT:
                    del self._held_ms[next(iter(self._held_ms))]
            case "interrupted" if body["heard_ms"] and body["item_id"] not in self._stopped:
                # Of what was sent and not begun there is nothing to stop; the client's own word on it comes later.
                self._stopped[body["item_id"]] = None
                self._meters.interrupted(self._held_ms.pop(pinned.session_id, 0.0))
                while len(self._stopped) > CALLS_KEPT:
                    del self._stopped[next(iter(self._stopped))]
            case "handed_off":
                self._meters.handed_over(body["outcome"], body["duration_ms"])
            case _:
                pass
