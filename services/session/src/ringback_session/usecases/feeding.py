"""How inputs reach the core: one after the other, in the order in which they came."""

from __future__ import annotations

from typing import Protocol

from ringback_session.domain.inputs import Input

__all__ = ["Feed"]


class Feed(Protocol):
    """Gives inputs to the core of one call."""

    def __call__(self, *events: Input) -> None: ...
