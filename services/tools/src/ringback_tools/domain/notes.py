"""Owns what replicas tell each other about actions in hand; nothing that must hold depends on its arrival."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Note", "Said", "StopAsked", "Stopped"]


@dataclass(frozen=True, slots=True)
class StopAsked:
    """Whoever runs the action shall stop it, if that is still possible."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was stopped; nothing that must finish had been sent."""


@dataclass(frozen=True, slots=True)
class Said:
    """The tool's own word of its progress, safe to speak."""

    message: str


@dataclass(frozen=True, slots=True)
class Note:
    """What is told of one action: tenant, session and action id."""

    key: tuple[str, str, str]
    body: StopAsked | Stopped | Said
