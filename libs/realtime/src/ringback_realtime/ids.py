"""Ids of the protocol, reproducible from a seed."""

import random
from typing import Final

__all__ = ["EventIds"]

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class EventIds:
    """Makes ids of the form ``<kind>_<21 letters and digits>``; the same seed gives the same ids.

    The tail counts up, so ids of one generator never repeat; the head is drawn once from the seed, so ids of
    two sessions practically never meet (clients replay item ids of one session into the next).
    """

    def __init__(self, seed: int | str) -> None:
        source = random.Random(seed)
        self._head = "".join(source.choice(_ALPHABET) for _ in range(13))
        self._count = 0

    def next(self, kind: str) -> str:
        self._count += 1
        return f"{kind}_{self._head}{self._count:08x}"

    def event(self) -> str:
        return self.next("event")

    def item(self) -> str:
        return self.next("item")

    def response(self) -> str:
        return self.next("resp")

    def call(self) -> str:
        """At most 32 characters, as the protocol asks of call ids."""
        return self.next("call")

    def session(self) -> str:
        return self.next("sess")

    def conversation(self) -> str:
        return self.next("conv")
