"""Owns what a check's answer means for a write in doubt."""

from __future__ import annotations

from enum import Enum

from ringback_tools.domain.catalogue import CheckRule, Condition, Tool
from ringback_tools.domain.results import Answer, Failed
from ringback_tools.domain.templates import ABSENT, lookup

__all__ = ["Verdict", "caution", "judge"]


class Verdict(Enum):
    """What a check found."""

    DONE = "done"
    NOT_DONE = "not_done"
    # The system could not say.
    SILENT = "silent"


def judge(rule: CheckRule, answer: Answer) -> Verdict:
    """Done, not done, or no answer to that."""
    if _met(rule.done_when, answer):
        return Verdict.DONE
    if rule.not_done_when is not None and _met(rule.not_done_when, answer):
        return Verdict.NOT_DONE
    return Verdict.SILENT


def caution(tool: Tool, *, check_lacks: str) -> str:
    """Why it may stay unknown what became of a write, empty if it cannot; `check_lacks`: why its check cannot run."""
    if not tool.effectful or (tool.check is None and tool.keyed):
        return ""
    if tool.check is None:
        return "neither a key nor a check: attempted once, a lost answer stays unknown"
    if not check_lacks:
        return ""
    then = "a lost answer" if tool.keyed else "attempted once, a lost answer"
    return f"its check cannot run: {check_lacks}; {then} stays unknown until it can"


def _met(condition: Condition, answer: Answer) -> bool:
    if condition.codes:
        # Only the system's own word: that it could not be reached says nothing about the effect.
        return isinstance(answer, Failed) and answer.definitive and answer.code in condition.codes
    if not answer.status and answer.body is None:
        return False
    # Without a status of its own a condition is about good answers: an error page must not read as "done".
    if condition.status and answer.status not in condition.status:
        return False
    if not condition.status and not 200 <= answer.status < 300:
        return False
    if not condition.path:
        return bool(condition.status)
    value = lookup(answer.body, condition.path)
    return value is not ABSENT and value in condition.equals
