"""What comes of one frame: frames for the client, frames for the model, inputs for the core."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback_session.domain.inputs import Input

__all__ = ["Out"]


@dataclass(slots=True)
class Out:
    """Each list in the order in which it is to be sent or taken."""

    client: list[bytes] = field(default_factory=list)
    model: list[bytes] = field(default_factory=list)
    inputs: list[Input] = field(default_factory=list)
