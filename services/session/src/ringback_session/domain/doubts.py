"""An action whose outcome is unknown: the truth is looked up when it is wanted once more, or comes by itself.

Nothing runs again.
"""

from __future__ import annotations

from ringback_session.domain import outcomes, results
from ringback_session.domain.inputs import ActionReconciled, ActionResult
from ringback_session.domain.state import Action, ActionPhase
from ringback_session.domain.step import Step

__all__ = ["ASK_MS", "answered", "asked_again", "reconciled"]

# The caller waits for it: tools that have to ask somebody themselves tell it later, as a fact of its own.
ASK_MS = 3_000
SAY_NEVER_BEGUN = "It turned out that this was never begun. Nothing was done."


def asked_again(action: Action) -> bool:
    """Do tools look up what became of it, instead of running it?"""
    return action.phase is ActionPhase.RUNNING and action.status == "unknown"


def answered(step: Step, action: Action, event: ActionResult) -> None:
    """What tools know now. While they do not know either, all stays as it was: the promise to find out, too."""
    if event.status == "unknown":
        outcomes.still_unknown(step, action, event.message)
        return
    action.data_json = event.data_json
    action.attempts = event.attempts
    if event.error_code == "not_started":
        outcomes.finish(step, action, "not_started", event.error_code, SAY_NEVER_BEGUN)
        return
    results.arrived(step, action, event.status, event.error_code, event.message, retryable=event.retryable)


def reconciled(step: Step, fact: ActionReconciled) -> None:
    """The truth came by itself: while it was asked for, or to a caller who was told that it is not known."""
    action = step.state.actions.get(fact.action_id)
    if action is None or action.status != "unknown":
        return
    if not action.open:
        # The model's calls have their answers: results has the agent tell it.
        action.call_ids = []
    action.data_json = fact.data_json
    results.arrived(step, action, fact.status, fact.error_code, fact.message, retryable=False)
