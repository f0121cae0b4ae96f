"""Calls of the client's own tools: handed over, answered, never answered, or answered when nobody waits any more."""

from __future__ import annotations

from ringback_session.domain import outcomes
from ringback_session.domain.effects import DeliverClientCall, Note, Persist, StartTimer, StopTimer
from ringback_session.domain.functions import is_platform_function
from ringback_session.domain.redacting import as_json
from ringback_session.domain.state import Action, ActionPhase, CallState, HistoryItem
from ringback_session.domain.step import Step

__all__ = ["DEADLINE_MS", "LOST_AFTER_MS", "answered", "came_late", "deliver", "resumed", "timer", "wait"]

_UNANSWERED = "client_call"
_LOST = "client_lost"
DEADLINE_MS = 120_000
# A client that came back has so long to answer what it was asked before: it may have been asked on a dead line.
LOST_AFTER_MS = 15_000
LOST_KEPT = 32
LATE_CHARS_MAX = 8_000
_CUT_OFF = "The application was cut off before it answered. Nobody knows whether this was done."


def deliver(step: Step, action: Action) -> None:
    """The client may run it now."""
    action.phase = ActionPhase.RUNNING
    step.effects.append(
        DeliverClientCall(call_id=action.call_ids[0], tool=action.tool, arguments_json=action.arguments_json)
    )
    wait(step, action)


def wait(step: Step, action: Action) -> None:
    """The client has so long to answer; one that has lost the call on a broken line never does."""
    step.effects.append(StartTimer(name=f"{_UNANSWERED}:{action.action_id}", delay_ms=DEADLINE_MS))


def resumed(step: Step) -> None:
    """A new owner: nobody can tell whether the client has heard of the calls that it owes an answer to."""
    for call_id in _owed(step.state):
        step.effects.append(StartTimer(name=f"{_LOST}:{call_id}", delay_ms=LOST_AFTER_MS))


def timer(step: Step, kind: str, about: str) -> bool:
    """Returns False for a timer of somebody else."""
    match kind:
        case "client_call":
            _unanswered(step, about)
        case "client_lost":
            _lost(step, about)
        case _:
            return False
    return True


def answered(step: Step, call_id: str, output: str) -> None:
    """The client's own tool answered."""
    for action in step.state.actions.values():
        if action.client_tool and action.phase is ActionPhase.RUNNING and call_id in action.call_ids:
            step.effects.append(StopTimer(name=f"{_UNANSWERED}:{action.action_id}"))
            action.data_json = as_json(output)
            outcomes.finish(step, action, "ok", "", "", tell_model=False)
            # The client's own item answers its call; the calls that attached to it are ours to answer.
            others = [other for other in action.call_ids if other != call_id]
            outcomes.answer(step, others, outcomes.output(action), reply=False)


def came_late(step: Step, call_id: str, output: str) -> bool:
    """An answer to a call that was given up, and answered in the client's place: the model is told of it.

    Returns False when it is none. Whether there is to be a reply is the client's to say, as with any answer of its own.
    """
    state = step.state
    tool = state.lost_calls.pop(call_id, None)
    if tool is None:
        return False
    text = f"The application has answered after all. {tool}: {output[:LATE_CHARS_MAX]}"
    item = HistoryItem(item_id=state.new_id("item_"), kind="message", role="system", text=text)
    state.remember(item)
    step.effects += [Note(item_id=item.item_id, role="system", text=text), Persist()]
    for action in state.actions.values():
        in_doubt = action.client_tool and not action.open and action.status == "unknown"
        if in_doubt and call_id in action.call_ids:
            action.data_json = as_json(output)
            outcomes.finish(step, action, "ok", "", "", tell_model=False)
    return True


def _unanswered(step: Step, action_id: str) -> None:
    """Nobody knows whether the client ran it. Its own call stays the client's to answer; nobody waits any more."""
    action = step.state.actions.get(action_id)
    if action is None or not action.client_tool or action.phase is not ActionPhase.RUNNING:
        return
    message = "The application gave no answer."
    outcomes.finish(step, action, "unknown", "client_silent", message, tell_model=False)
    outcomes.answer(step, action.call_ids[1:], outcomes.output(action), reply=False)


def _owed(state: CallState) -> dict[str, str]:
    """Calls that the client was handed and has not answered: call → tool."""
    owed: dict[str, str] = {}
    for entry in state.history:
        if entry.kind == "function_call" and not (
            entry.name in state.tools or is_platform_function(entry.name)
        ):
            owed[entry.call_id] = entry.name
        elif entry.kind == "function_call_output":
            owed.pop(entry.call_id, None)
    for output in state.client_outputs:
        owed.pop(output.call_id, None)
    for action in state.open_actions():
        if not (action.client_tool and action.phase is ActionPhase.RUNNING):
            for call_id in action.call_ids:
                owed.pop(call_id, None)
    return owed


def _lost(step: Step, call_id: str) -> None:
    """The client has come back and says nothing of the call: it is answered in its place, and spoken of."""
    state = step.state
    tool = _owed(state).get(call_id)
    if tool is None or state.ended:
        return
    state.lost_calls[call_id] = tool
    while len(state.lost_calls) > LOST_KEPT:
        del state.lost_calls[next(iter(state.lost_calls))]
    for action in state.open_actions():
        if call_id in action.call_ids:
            step.effects.append(StopTimer(name=f"{_UNANSWERED}:{action.action_id}"))
            outcomes.finish(step, action, "unknown", "client_silent", _CUT_OFF)
            return
    outcomes.answer(step, [call_id], outcomes.error("client_silent", _CUT_OFF))
