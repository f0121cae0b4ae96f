"""Tools that an operator has switched off: an agent is not offered what would only be refused."""

from __future__ import annotations

from collections.abc import Container, Iterable

from ringback_session.domain.effects import Reconfigure
from ringback_session.domain.rules import Tool
from ringback_session.domain.state import CallState
from ringback_session.domain.step import Step
from ringback_session.domain.upkeep import ToolsSwitched

__all__ = ["offered", "switched"]


def switched(step: Step, event: ToolsSwitched) -> None:
    """The model is told when that changes what its agent may use. What runs already ends as it would."""
    state = step.state
    before = _names(state)
    state.team.tools_off = list(event.off)
    if not state.ended and _names(state) != before:
        step.effects.append(Reconfigure())


def offered(tools: Iterable[Tool], *, off: Container[str]) -> list[Tool]:
    """The tools that a model sees, of those that an agent has."""
    return [
        tool
        for tool in tools
        if not (tool.internal or tool.name in off or f"{tool.name}@{tool.version}" in off)
    ]


def _names(state: CallState) -> list[str]:
    return [tool.name for tool in offered(state.tools.values(), off=state.team.tools_off)]
