"""The result gate: what a tool returned is judged before the model sees it, and before it goes on any record."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ringback_session.domain import decisions, outcomes, speaking
from ringback_session.domain.inputs import Decided
from ringback_session.domain.redacting import legible, one_form, redact_json
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import Action, ActionPhase
from ringback_session.domain.step import Step

__all__ = ["WITHHELD", "arrived", "ask", "decided", "let_go", "unjudged"]

WITHHELD: Final = "What it returned may not be shown."


def arrived(
    step: Step, action: Action, status: str, error_code: str, message: str, *, retryable: bool
) -> None:
    """An action is over. Its outcome stands; what the model gets to see of it is policy's to say."""
    action.status = status
    action.error_code = error_code
    action.message = message
    action.retryable = retryable
    if step.state.rules.result_gate == "off" or not (action.data_json or message):
        let_go(step, action)
    elif step.state.ended:
        unjudged(step, action)
    else:
        ask(step, action)


def ask(step: Step, action: Action) -> None:
    """Ask about the result that the action holds; a new owner asks again."""
    action.phase = ActionPhase.CHECKING
    subject = {"action_id": action.action_id, "tool": action.tool, "result_json": legible(_seen(action))}
    action.decision_id = decisions.ask_about(step, "result", subject)


def decided(step: Step, decision: Decided) -> bool:
    """Policy's word on a result. Returns False when no result waits for it."""
    action = next(
        (
            entry
            for entry in step.state.actions.values()
            if entry.phase is ActionPhase.CHECKING and entry.decision_id == decision.decision_id
        ),
        None,
    )
    if action is None:
        return False
    known = decisions.declared(step, decision, "result")
    effect = known.effect or Effect.ALLOW
    decisions.publish(step, known, "RESULT", effect, action)
    step.state.irreversible_forbidden = step.state.irreversible_forbidden or known.forbid_irreversible
    if effect is Effect.ALLOW:
        if known.redact:
            _keep(action, redact_json(_seen(action), known.redact))
        speaking.tell(step, known.say)
    else:
        # What was done was done: only what it returned is withheld.
        action.data_json, action.message = "", known.say or WITHHELD
    let_go(step, action)
    if effect is Effect.ESCALATE or known.escalate:
        step.escalate(known.escalate or known.reason, rule=known.rule, say=known.say)
    return True


def unjudged(step: Step, action: Action) -> None:
    """The call is over: the outcome stands, and what nobody has judged is on no record."""
    action.data_json, action.message = "", WITHHELD
    let_go(step, action)


def let_go(step: Step, action: Action) -> None:
    """Tell the stream and the model; where the model's calls were answered before it was known, the caller."""
    asked = bool(action.call_ids)
    outcomes.finish(
        step, action, action.status, action.error_code, action.message, retryable=action.retryable
    )
    if not (asked or step.state.ended or step.state.agent_silent):
        speaking.tell(step, action.message)


def _seen(action: Action) -> str:
    """All that the model would see of it, as JSON in its one form: the tool's own data wherever there is any."""
    if not action.data_json:
        return msgspec.json.encode({"message": action.message}).decode()
    data = msgspec.json.decode(action.data_json)
    if not action.message:
        return one_form(action.data_json)
    told: Any = {"data": data, "message": action.message}
    if isinstance(data, dict):
        told = data if data.get("message") == action.message else data | {"message": action.message}
    return msgspec.json.encode(told).decode()


def _keep(action: Action, seen: str) -> None:
    """Take what is left after redaction apart again."""
    left = msgspec.json.decode(seen)
    had_data, was_dict = bool(action.data_json), action.data_json.lstrip().startswith("{")
    if isinstance(left, dict) and action.message:
        action.message = str(left.get("message", ""))
        if was_dict and "message" not in msgspec.json.decode(action.data_json):
            left.pop("message", None)
    if had_data:
        rest = left if was_dict or not isinstance(left, dict) else left.get("data")
        action.data_json = msgspec.json.encode(rest).decode()
