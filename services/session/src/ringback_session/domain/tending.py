"""The door through which looking after a call comes to the core: usage, budgets, operators."""

from __future__ import annotations

from ringback_session.domain import spending
from ringback_session.domain.step import Step
from ringback_session.domain.upkeep import BudgetReached, UpkeepInput, UsageReported

__all__ = ["take", "timer"]


def take(step: Step, event: UpkeepInput) -> None:
    match event:
        case UsageReported():
            spending.reported(step, event)
        case BudgetReached():
            spending.reached(step, event)


def timer(step: Step, name: str) -> bool:
    """Returns False for a timer of somebody else."""
    if name != spending.BUDGET_TIMER:
        return False
    spending.ending(step)
    return True
