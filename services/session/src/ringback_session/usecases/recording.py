"""Who looks on as a call goes: nobody, unless bootstrap says otherwise."""

from __future__ import annotations

from typing import Protocol

from ringback_session.domain.effects import Effects
from ringback_session.domain.inputs import At, Input
from ringback_session.domain.state import CallState

__all__ = ["Recorder", "Unrecorded"]


class Recorder(Protocol):
    """Looks on as the core of one call steps: it keeps a recording, or checks what must hold. Never raises."""

    def step(self, event: Input, at: At, effects: Effects) -> None:
        """The core has taken an input; its effects are about to be carried out."""
        ...

    def close(self) -> None:
        """The call is over on this replica."""
        ...


class Unrecorded:
    """Implements `Recorder`: keeps nothing."""

    def __init__(self, state: CallState) -> None:
        pass

    def step(self, event: Input, at: At, effects: Effects) -> None:
        """Nothing is kept of it."""

    def close(self) -> None:
        """There is nothing to close."""
