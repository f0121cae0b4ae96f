"""Calls of the client's own tools that policy was asked about: handed over, answered, or never answered."""

from __future__ import annotations

import msgspec

from ringback_session.domain import outcomes
from ringback_session.domain.effects import DeliverClientCall, StartTimer, StopTimer
from ringback_session.domain.state import Action, ActionPhase
from ringback_session.domain.step import Step

__all__ = ["DEADLINE_MS", "TIMER", "answered", "deliver", "unanswered", "wait"]

TIMER = "client_call"
DEADLINE_MS = 120_000


def deliver(step: Step, action: Action) -> None:
    """The client may run it now."""
    action.phase = ActionPhase.RUNNING
    step.effects.append(
        DeliverClientCall(call_id=action.call_ids[0], tool=action.tool, arguments_json=action.arguments_json)
    )
    wait(step, action)


def wait(step: Step, action: Action) -> None:
    """The client has so long to answer; one that has lost the call on a broken line never does."""
    step.effects.append(StartTimer(name=f"{TIMER}:{action.action_id}", delay_ms=DEADLINE_MS))


def answered(step: Step, call_id: str, output: str) -> None:
    """The client's own tool answered."""
    for action in step.state.actions.values():
        if action.client_tool and action.phase is ActionPhase.RUNNING and call_id in action.call_ids:
            step.effects.append(StopTimer(name=f"{TIMER}:{action.action_id}"))
            action.data_json = output if _is_json(output) else msgspec.json.encode(output).decode()
            outcomes.finish(step, action, "ok", "", "", tell_model=False)
            # The client's own item answers its call; the calls that attached to it are ours to answer.
            others = [other for other in action.call_ids if other != call_id]
            outcomes.answer(step, others, outcomes.output(action), reply=False)


def unanswered(step: Step, action_id: str) -> None:
    """Nobody knows whether the client ran it. Its own call stays the client's to answer; nobody waits any more."""
    action = step.state.actions.get(action_id)
    if action is None or not action.client_tool or action.phase is not ActionPhase.RUNNING:
        return
    message = "The application gave no answer."
    outcomes.finish(step, action, "unknown", "client_silent", message, tell_model=False)
    outcomes.answer(step, action.call_ids[1:], outcomes.output(action), reply=False)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
