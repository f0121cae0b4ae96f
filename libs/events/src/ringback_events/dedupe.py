"""Remembers the last keys seen, so that a redelivered message counts once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

__all__ = ["Deduper"]


class Deduper:
    """A bounded set of the most recently seen keys."""

    def __init__(self, size_max: int = 100_000) -> None:
        if size_max < 1:
            raise ValueError("size_max: at least 1 expected")
        self._size_max = size_max
        self._seen: OrderedDict[Hashable, None] = OrderedDict()

    def first(self, key: Hashable) -> bool:
        """Remember `key` and tell whether it is new; the oldest key is forgotten when the set is full."""
        if key in self._seen:
            self._seen.move_to_end(key)
            return False
        self._seen[key] = None
        if len(self._seen) > self._size_max:
            self._seen.popitem(last=False)
        return True

    def forget(self, key: Hashable) -> None:
        """Forget `key`, so that it counts as new again (its handling failed)."""
        self._seen.pop(key, None)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._seen

    def __len__(self) -> int:
        return len(self._seen)
