"""The result gate for what is no result of an action of the platform's.

What the client's own tools return, the model is told when it has passed; a reply that is due waits for that. What was
read for a rule goes to policy as it is, and to the stream and the model as the gate leaves it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ringback_session.domain import client_calls, decisions, facts
from ringback_session.domain.decided import Decided
from ringback_session.domain.effects import Persist, ReturnResult
from ringback_session.domain.inputs import ClientCallOutput
from ringback_session.domain.judged import ClientOutput, Reading
from ringback_session.domain.redacting import as_json, is_json, legible, one_form, redact_json
from ringback_session.domain.results import WITHHELD
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import Action, ActionPhase, CallState, HistoryItem
from ringback_session.domain.step import Step

__all__ = ["answered", "ask_again", "decided", "pump", "unjudged"]

# Undecided at once, of each kind; beyond it the oldest goes on as if policy were away.
JUDGED_MAX: Final = 32
_NOTHING: Final = "{}"


def answered(step: Step, event: ClientCallOutput) -> None:
    """The client's own tool answered."""
    judged = event.withheld and step.state.rules.result_gate != "off"
    if not judged:
        if not client_calls.came_late(step, event.call_id, event.output):
            client_calls.answered(step, event.call_id, event.output)
        return
    step.state.client_outputs.append(
        ClientOutput(
            item_id=event.item_id,
            call_id=event.call_id,
            tool=_tool_of(step.state, event.call_id),
            output=event.output,
        )
    )
    # The client will not say so again.
    step.effects.append(Persist())


def pump(step: Step) -> None:
    """At the end of a step: ask about what nobody was asked about yet."""
    state = step.state
    if state.ended:
        return
    for output in list(state.client_outputs):
        if not output.decision_id:
            action = _action_of(state, output.call_id)
            output.decision_id = _ask(
                step, action.action_id if action else "", output.tool, as_json(output.output)
            )
    for reading in list(state.readings):
        if not reading.decision_id:
            reading.decision_id = _ask(step, "", reading.tool, reading.value_json)
    too_many = [output.decision_id for output in state.client_outputs[:-JUDGED_MAX]]
    too_many += [reading.decision_id for reading in state.readings[:-JUDGED_MAX]]
    for decision_id in too_many:
        reason = "too much waits for policy"
        decided(step, Decided(decision_id=decision_id, rule="session.not_judged", reason=reason))


def decided(step: Step, decision: Decided) -> bool:
    """Policy's word on one of them. Returns False when none waits for it."""
    state = step.state
    waiting: tuple[ClientOutput | Reading, ...] = (*state.client_outputs, *state.readings)
    found = next((entry for entry in waiting if entry.decision_id == decision.decision_id), None)
    if found is None:
        return False
    known = decisions.declared(step, decision, "result")
    effect = known.effect or Effect.ALLOW
    action = _action_of(state, found.call_id) if isinstance(found, ClientOutput) else None
    decisions.publish(step, known, "RESULT", effect, action)
    state.irreversible_forbidden = state.irreversible_forbidden or known.forbid_irreversible
    if isinstance(found, ClientOutput):
        _let_go(step, found, _left_of_output(found.output, known, effect))
    else:
        left = redact_json(reading_form(found), known.redact) if effect is Effect.ALLOW else ""
        _record(step, found, left)
    if effect is Effect.ESCALATE or known.escalate:
        step.escalate(known.escalate or known.reason, rule=known.rule, say=known.say)
    return True


def ask_again(state: CallState) -> None:
    """A new owner: what the one before had asked is asked anew."""
    for output in state.client_outputs:
        output.decision_id = ""
    for reading in state.readings:
        reading.decision_id = ""


def unjudged(step: Step) -> None:
    """The call is over: what nobody has judged is on no record."""
    for output in list(step.state.client_outputs):
        _let_go(step, output, _withheld())
    for reading in list(step.state.readings):
        _record(step, reading, "")


def reading_form(reading: Reading) -> str:
    """What was read as JSON in its one form; what is none becomes a string."""
    return one_form(as_json(reading.value_json))


def _ask(step: Step, action_id: str, tool: str, value_json: str) -> str:
    subject = {"action_id": action_id, "tool": tool, "result_json": legible(one_form(as_json(value_json)))}
    return decisions.ask_about(step, "result", subject)


def _let_go(step: Step, held: ClientOutput, output: str) -> None:
    state = step.state
    state.client_outputs.remove(held)
    if client_calls.came_late(step, held.call_id, output):
        return
    state.remember(
        HistoryItem(item_id=held.item_id, kind="function_call_output", call_id=held.call_id, data=output)
    )
    step.effects.append(ReturnResult(call_id=held.call_id, item_id=held.item_id, output_json=output))
    step.effects.append(Persist())
    client_calls.answered(step, held.call_id, output)


def _record(step: Step, reading: Reading, value_json: str) -> None:
    step.state.readings.remove(reading)
    fact = step.state.facts.get(reading.fact)
    if fact is not None and fact.value_json == reading.value_json:
        fact.shown_json = value_json
    facts.tell(step, reading, value_json or _NOTHING)


def _left_of_output(output: str, known: Decided, effect: Effect) -> str:
    """What the model may see of it: text stays text, JSON stays JSON."""
    if effect is not Effect.ALLOW:
        return _withheld(known.say)
    if not known.redact:
        return output
    left = redact_json(one_form(as_json(output)), known.redact)
    return left if is_json(output) else str(msgspec.json.decode(left))


def _withheld(say: str = "") -> str:
    return msgspec.json.encode({"message": say or WITHHELD}).decode()


def _tool_of(state: CallState, call_id: str) -> str:
    called = (e.name for e in reversed(state.history) if e.kind == "function_call" and e.call_id == call_id)
    action = _action_of(state, call_id)
    return next(called, action.tool if action else "")


def _action_of(state: CallState, call_id: str) -> Action | None:
    """The action that policy agreed to and that this answers; none for a tool that it was not asked about."""
    return next(
        (
            action
            for action in state.actions.values()
            if action.client_tool and action.phase is ActionPhase.RUNNING and call_id in action.call_ids
        ),
        None,
    )
