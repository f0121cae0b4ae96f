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
    """`ordinals`: tool and arguments → the ordinal of the next action like it.

    `highest`: of those of which one changed the world, or may have, the highest that there was. The next like it is
    that one again: its outcome is with tools.
    """

    ordinals: dict[str, int] = {}
    highest: dict[str, int] = {}
    totals: dict[str, Totals] = {}

    def drop(
        self, tool: str, digest: str, ordinal: int, *, status: str, stands: bool, arguments_json: str
    ) -> None:
        """An action leaves the list; `stands`: it changed the world, or may have."""
        key = _key(tool, digest)
        # The newest stays longest.
        met, highest = self.ordinals.pop(key, 1), self.highest.pop(key, 0)
        if stands or highest:
            self.ordinals[key] = max(met, ordinal) if stands else met
            self.highest[key] = max(highest, ordinal)
        else:
            self.ordinals[key] = max(met, ordinal + 1)
        while len(self.ordinals) > ORDINALS_KEPT:
            oldest = next(iter(self.ordinals))
            del self.ordinals[oldest]
            self.highest.pop(oldest, None)
        self.totals.setdefault(tool, Totals()).count(status, arguments_json, digest)

    def next_ordinal(self, tool: str, digest: str, listed: list[int], *, once_more: bool) -> int:
        """For an action; `listed` are the ordinals of those like it in the list, of which none stands or another like
        it is wanted (`once_more`)."""
        key = _key(tool, digest)
        highest = self.highest.get(key, 0)
        if once_more:
            return max([highest, self.ordinals.get(key, 1) - 1, *listed]) + 1
        if highest or not listed:
            return self.ordinals.get(key, 1)
        return max(listed) + 1


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
