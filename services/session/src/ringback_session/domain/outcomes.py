"""How an action ends: the stream, the model and so the caller are told; what stays owed becomes a task."""

from __future__ import annotations

import msgspec

from ringback_session.domain import consults, replies, speaking
from ringback_session.domain.effects import Persist, ReturnResult, StopTimer
from ringback_session.domain.state import (
    Action,
    ActionPhase,
    ConsentPhase,
    HistoryItem,
    ReplyPurpose,
    Task,
)
from ringback_session.domain.step import Step

__all__ = [
    "answer",
    "error",
    "finish",
    "not_started",
    "open_task",
    "output",
    "still_unknown",
    "stop_for_want_of_policy",
]


def finish(
    step: Step,
    action: Action,
    status: str,
    error_code: str,
    message: str,
    *,
    retryable: bool = False,
    reply: bool = True,
    tell_model: bool = True,
) -> None:
    """An action is over: tell the stream, the model and so the caller."""
    action.phase = ActionPhase.DONE
    action.status = status
    action.error_code = error_code
    action.message = message
    action.retryable = retryable
    action.finished_at_ms = step.at.now_ms
    given = step.state.consents.get(action.consent_id)
    if given is not None and given.phase is ConsentPhase.GIVEN:
        given.phase = ConsentPhase.ENDED
    _stop_fillers(step)
    step.publish(
        "action_finished",
        action_id=action.action_id,
        tool=action.tool,
        status=status,
        result_json=action.data_json,
        error_code=error_code,
        message=message,
        retryable=retryable,
        attempts=action.attempts,
        duration_ms=float(max(0, step.at.now_ms - action.requested_at_ms)),
        arguments_json=action.arguments_json,
        side_effect=action.side_effect,
    )
    if status == "ok":
        _keep_promises(step, action)
    if status != "unknown":
        _settle_doubt(step, action)
    if tell_model:
        answer(step, action.call_ids, output(action), reply=reply)
    if step.state.ended:
        # It was all that the call still waited for, perhaps.
        step.effects.append(Persist())


def not_started(step: Step, action_id: str, error_code: str, message: str, *, reply: bool = True) -> None:
    """The action ends without having run."""
    action = step.state.actions.get(action_id)
    if action is not None and action.open:
        finish(step, action, "not_started", error_code, message, reply=reply)


def stop_for_want_of_policy(step: Step, action: Action) -> None:
    """Nothing that changes the world runs undecided: promise to come back instead."""
    say = step.state.rules.fallback(action.side_effect).say or step.state.rules.say_unavailable
    open_task(step, f"Call back about {action.tool}", action.action_id, reason="policy_away")
    not_started(step, action.action_id, "policy_unavailable", say)


def still_unknown(step: Step, action: Action, message: str) -> None:
    """Asked again, nobody knows yet: only whoever asked is told; the stream has been, and the task is open."""
    action.phase = ActionPhase.DONE
    action.message = message or action.message
    _stop_fillers(step)
    answer(step, action.call_ids, output(action))
    if step.state.ended:
        step.effects.append(Persist())


def open_task(step: Step, title: str, action_id: str, *, reason: str, task_id: str = "") -> None:
    """Something is owed to the caller after this turn."""
    task = Task(
        task_id=task_id or step.state.new_id("task_"),
        title=title,
        kind="promise",
        owed_by="person",
        reason=reason,
        action_id=action_id,
    )
    step.state.tasks[task.task_id] = task
    step.publish("task_opened", **msgspec.to_builtins(task))


def _keep_promises(step: Step, done: Action) -> None:
    """What was owed for earlier attempts at the same effect is owed no longer, if the caller is there to hear it."""
    if step.state.ended:
        return
    effect = (done.tool, done.arguments_digest)
    for task in list(step.state.tasks.values()):
        earlier = step.state.actions.get(task.action_id)
        if earlier is not None and earlier is not done and (earlier.tool, earlier.arguments_digest) == effect:
            _close_task(step, task)


def _settle_doubt(step: Step, action: Action) -> None:
    """What became of it is known: nobody has to find out any more."""
    for task in list(step.state.tasks.values()):
        if task.action_id == action.action_id and task.reason == "unknown_outcome":
            _close_task(step, task)


def _stop_fillers(step: Step) -> None:
    if not step.state.open_actions() and step.state.team.consultation is None:
        step.effects.append(StopTimer(name="filler"))
        speaking.cancel_fillers(step)


def _close_task(step: Step, task: Task) -> None:
    del step.state.tasks[task.task_id]
    step.publish("task_closed", task_id=task.task_id, outcome="done")


def output(action: Action, *, already_done: str = "") -> str:
    """What the model gets to see of an ended action; `already_done`: what it has to know when it wanted that again."""
    if action.status == "ok":
        data = msgspec.json.decode(action.data_json) if action.data_json else {}
        message = action.message or (data.get("message", "") if isinstance(data, dict) else "")
        told = {"status": "ok", "message": message, "data": data}
        if already_done:
            told |= {"already_done": True, "hint": already_done}
        return msgspec.json.encode(told).decode()
    return error(action.error_code or action.status, action.message, retryable=action.retryable)


def error(code: str, message: str, *, retryable: bool = False) -> str:
    """What the model gets to see of an action that did not work."""
    return msgspec.json.encode(
        {"status": "error", "error_code": code, "message": message, "retryable": retryable}
    ).decode()


def answer(step: Step, call_ids: list[str], output_json: str, *, reply: bool = True) -> None:
    """Answer function calls of the model, and have it speak of it."""
    state = step.state
    told = False
    for call_id in call_ids:
        if consults.deliver(step, call_id, output_json):
            continue
        told = True
        item_id = state.new_id("item_")
        state.remember(
            HistoryItem(item_id=item_id, kind="function_call_output", call_id=call_id, data=output_json)
        )
        step.effects.append(ReturnResult(call_id=call_id, item_id=item_id, output_json=output_json))
    if reply and told and not state.handed_over:
        replies.want(step, ReplyPurpose.RESULT, request_key=state.reply_request_key)
