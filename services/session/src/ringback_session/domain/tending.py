"""The door through which looking after a call comes to the core: usage, budgets, operators, switches."""

from __future__ import annotations

from ringback_session.domain import desk, escalation, person_wait, spending, switching
from ringback_session.domain.step import Step
from ringback_session.domain.upkeep import (
    BudgetReached,
    OperatorEnded,
    OperatorHandedBack,
    OperatorNoted,
    OperatorSaid,
    OperatorTookOver,
    OperatorTransferred,
    ToolsSwitched,
    UpkeepInput,
    UsageReported,
)

__all__ = ["resumed", "take", "timer"]


def take(step: Step, event: UpkeepInput) -> None:
    match event:
        case UsageReported():
            spending.reported(step, event)
        case BudgetReached():
            spending.reached(step, event)
        case OperatorTookOver():
            desk.took_over(step, event)
        case OperatorHandedBack():
            desk.handed_back(step, event)
        case OperatorSaid():
            desk.said(step, event)
        case OperatorNoted():
            desk.noted(step, event)
        case OperatorTransferred():
            desk.transferred(step, event)
        case OperatorEnded():
            desk.ended(step, event)
        case ToolsSwitched():
            switching.switched(step, event)


def timer(step: Step, name: str) -> bool:
    """Returns False for a timer of somebody else."""
    match name:
        case spending.BUDGET_TIMER:
            spending.ending(step)
        case desk.TIMER:
            desk.silent(step)
        case person_wait.TIMER:
            person_wait.due(step)
        case person_wait.LATE_TIMER:
            if person_wait.nobody_came(step):
                desk.nobody_came(step)
        case _:
            return False
    return True


def resumed(step: Step) -> None:
    """This replica owns the call now."""
    spending.resumed(step)
    desk.resumed(step)
    escalation.resumed(step)
