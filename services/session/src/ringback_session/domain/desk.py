"""A person at the call: takes it over, speaks, notes, hands it back; the agent is silent meanwhile."""

from __future__ import annotations

from ringback_session.domain import consent, escalation, handoffs, person_wait, replies, speaking
from ringback_session.domain.effects import Note, Persist, StartTimer, StopTimer
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import Desk, HistoryItem, ReplyPurpose, SpeechKind
from ringback_session.domain.step import Step
from ringback_session.domain.upkeep import (
    OperatorEnded,
    OperatorHandedBack,
    OperatorNoted,
    OperatorSaid,
    OperatorTookOver,
    OperatorTransferred,
)

__all__ = [
    "TIMER",
    "ended",
    "handed_back",
    "nobody_came",
    "noted",
    "resumed",
    "said",
    "silent",
    "took_over",
    "transferred",
]

TIMER = "operator"
# A person who does nothing for so long has gone: the caller is not left with a silent line.
SILENT_MS_MAX = 600_000
_BACK = (
    "A colleague spoke with the caller and has handed the call back to you. What was said is in the conversation. "
    "Go on from there."
)
_NOBODY_CAME = (
    "The caller was promised a colleague, and none was free. They have been told so{promised}. "
    "You have the call again."
)
_PROMISED = ", and that somebody will call them back"


def took_over(step: Step, event: OperatorTookOver) -> None:
    """From now on the agent says nothing; what it was saying stops, and a yes that it waited for is void."""
    state = step.state
    held = state.desk.actor
    if held != event.actor:
        packet_due = state.desk.packet_due
        state.desk = Desk(actor=event.actor, since_ms=step.at.now_ms, packet_due=packet_due)
    taken_from = f"from {held}" if held not in ("", event.actor) else ""
    _acted(step, "take_over", event.actor, event.reason, taken_from)
    if not held:
        person_wait.over(step)
        replies.stop(step, "client_cancelled")
        speaking.cancel_all(step, "client_cancelled")
        state.speeches = [entry for entry in state.speeches if entry.kind is SpeechKind.OPERATOR]
        consent.void_all(step, "handoff")
    _watch(step)
    step.effects.append(Persist())


def handed_back(step: Step, event: OperatorHandedBack) -> None:
    """The agent goes on; it is told that somebody else spoke."""
    state = step.state
    if not state.desk.actor and not state.handed_over:
        return
    _acted(step, "hand_back", event.actor, event.reason, event.note)
    _let_go(step)
    _tell_model(step, "system", f"{_BACK} {event.note}".strip())
    _go_on(step)


def nobody_came(step: Step) -> None:
    """A person was awaited for as long as the rules say: the caller is told, and the agent has the call again."""
    state = step.state
    rules = state.rules
    waited_ms = step.at.now_ms - state.person_asked_at_ms
    callback = rules.person_late == "callback"
    step.applied(RuleName.PERSON_WAIT, rules.person_late, count=state.desk.prompts, wait_ms=waited_ms)
    _acted(step, "hand_back", "session", "nobody_came")
    if callback:
        person_wait.owe_callback(step, reason="nobody_came")
    _let_go(step)
    speaking.speak(step, SpeechKind.NOTICE, rules.say_callback if callback else rules.say_nobody_free)
    _tell_model(step, "system", _NOBODY_CAME.format(promised=_PROMISED if callback else ""))
    _go_on(step)


def said(step: Step, event: OperatorSaid) -> None:
    """A person's line is spoken to the caller, with or without the call having been taken over."""
    state = step.state
    _acted(step, "say", event.actor, event.reason, event.text)
    if state.desk.actor:
        state.next_reply = None
        _watch_on(step, event.actor)
    speaking.speak(step, SpeechKind.OPERATOR, event.text)


def noted(step: Step, event: OperatorNoted) -> None:
    """The model is told something that the caller does not hear."""
    _acted(step, "note", event.actor, event.reason, event.text)
    _tell_model(step, event.role, event.text)
    _watch_on(step, event.actor)
    if event.reply:
        replies.want(step, ReplyPurpose.TURN)
    step.effects.append(Persist())


def transferred(step: Step, event: OperatorTransferred) -> None:
    """To another agent of the pack, or to a person."""
    _acted(step, "transfer", event.actor, event.reason, event.agent or "person")
    if not event.agent:
        if step.state.desk.actor:
            # Whoever has it passes it on: somebody else is to take it up.
            _let_go(step)
        step.escalate(event.reason or "transferred_by_operator", rule="session.operator")
        return
    _let_go(step)
    replies.stop(step, "client_cancelled")
    handoffs.by_operator(step, event.agent, event.reason)


def ended(step: Step, event: OperatorEnded) -> None:
    _acted(step, "end", event.actor, event.reason)


def silent(step: Step) -> None:
    """The person has done nothing for too long."""
    if step.state.desk.actor:
        handed_back(step, OperatorHandedBack(actor="session", reason="operator_silent"))


def resumed(step: Step) -> None:
    """A new owner: the person still has the call, and the time to do something with it."""
    if step.state.desk.actor:
        _watch(step)


def _go_on(step: Step) -> None:
    """The agent may speak again: what was asked and not answered is its to answer."""
    consent.start_next(step)
    if step.state.next_reply is None and _unanswered(step):
        replies.want(step, ReplyPurpose.TURN)
    step.effects.append(Persist())


def _let_go(step: Step) -> None:
    state = step.state
    escalation.tell_at_last(step)
    person_wait.over(step)
    if state.desk.actor:
        step.effects.append(StopTimer(name=TIMER))
    state.desk = Desk()
    state.handed_over = False
    state.person_reason = state.person_rule = ""


def _watch(step: Step) -> None:
    step.effects.append(StartTimer(name=TIMER, delay_ms=SILENT_MS_MAX))


def _watch_on(step: Step, actor: str) -> None:
    """What somebody else does is no sign of the person who has the call."""
    if actor and actor == step.state.desk.actor:
        _watch(step)


def _unanswered(step: Step) -> bool:
    messages = [entry for entry in step.state.history if entry.kind == "message" and entry.role != "system"]
    return bool(messages) and messages[-1].role == "user"


def _tell_model(step: Step, role: str, text: str) -> None:
    item_id = step.state.new_id("item_")
    step.state.remember(HistoryItem(item_id=item_id, kind="message", role=role, text=text))
    step.effects.append(Note(item_id=item_id, role=role, text=text))


def _acted(step: Step, action: str, actor: str, reason: str, detail: str = "") -> None:
    step.publish("operator_acted", action=action, actor=actor, reason=reason, detail=detail, outcome="ok")
