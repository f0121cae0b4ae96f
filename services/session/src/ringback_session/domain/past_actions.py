"""What is kept of actions that a long call has dropped from its list: their ordinals, and what they count for rules."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["PastActions", "Totals"]

ORDINALS_KEPT: Final = 512
DIGEST_CHARS: Final = 24
READ_KEPT: Final = 2_048
NUMBERS_MAX: Final = 16


class Totals(msgspec.Struct, omit_defaults=True):
    """Of one tool; `sums` adds up the numbers among the arguments of those that succeeded."""

    requested: int = 0
    succeeded: int = 0
    failed: int = 0
    sums: dict[str, float] = {}

    def count(self, status: str, arguments_json: str, digest: str) -> None:
        """One more action; `digest` is that of its arguments."""
        self.requested += 1
        self.failed += status in ("failed", "unknown")
        if status != "ok":
            return
        self.succeeded += 1
        for name, value in _numbers(arguments_json, digest):
            self.sums[name] = self.sums.get(name, 0.0) + value


class PastActions(msgspec.Struct, omit_defaults=True):
    """`ordinals`: tool and arguments → the ordinal of the next action like it."""

    ordinals: dict[str, int] = {}
    totals: dict[str, Totals] = {}

    def drop(
        self, tool: str, digest: str, ordinal: int, *, status: str, stands: bool, arguments_json: str
    ) -> None:
        """An action leaves the list. One that changed the world, or may have (`stands`), is met again under its own id:
        its outcome is with tools."""
        key = _key(tool, digest)
        # The newest stays longest.
        self.ordinals[key] = max(self.ordinals.pop(key, 1), ordinal + (not stands))
        while len(self.ordinals) > ORDINALS_KEPT:
            del self.ordinals[next(iter(self.ordinals))]
        self.totals.setdefault(tool, Totals()).count(status, arguments_json, digest)

    def next_ordinal(self, tool: str, digest: str) -> int:
        """For an action of which none like it is in the list."""
        return self.ordinals.get(_key(tool, digest), 1)


# Every question to policy adds up all actions of the call: their arguments are read once.
_read: dict[str, tuple[tuple[str, float], ...]] = {}


def _numbers(arguments_json: str, digest: str) -> tuple[tuple[str, float], ...]:
    found = _read.get(digest)
    if found is None:
        values = msgspec.json.decode(arguments_json).items()
        found = tuple(
            (name, value)
            for name, value in values
            if isinstance(value, (int, float)) and not isinstance(value, bool)
        )
        if len(found) <= NUMBERS_MAX:
            if len(_read) >= READ_KEPT:
                del _read[next(iter(_read))]
            _read[digest] = found
    return found


def _key(tool: str, digest: str) -> str:
    return f"{tool} {digest.rpartition(':')[-1][:DIGEST_CHARS]}"
