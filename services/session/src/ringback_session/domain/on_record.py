"""What the caller said, on its way to the record: as policy left it, where the bundle has the input gate judge it.

Words wait here until they are judged, then go into the fact `user_turn_ended` and, if something must be taken out,
replace what the history holds. What the conversation went past without asking (a new turn came, a person has the call)
is asked about for the record alone. At a hang-up words that nobody has judged are on no record.
"""

from __future__ import annotations

from typing import Final

from ringback_session.domain import decisions, freshness
from ringback_session.domain.decided import Decided
from ringback_session.domain.inputs import UtteranceHeard
from ringback_session.domain.judged import Heard
from ringback_session.domain.redacting import REDACTED, redact
from ringback_session.domain.state import TEXT_CHARS_MAX, CallState
from ringback_session.domain.step import Step

__all__ = ["ask_again", "decided", "heard", "judges", "no_turn", "pump", "unjudged"]

# Turns at once; beyond it the oldest goes on record without its words.
HEARD_MAX: Final = 16


def judges(state: CallState) -> bool:
    """Does the bundle have the caller's words judged?"""
    return state.rules.input_gate != "off"


def heard(step: Step, event: UtteranceHeard) -> None:
    """The words of a turn are known, or known to be unknowable."""
    turn = Heard(
        item_id=event.item_id,
        text=event.text[:TEXT_CHARS_MAX],
        turn_id=step.state.turn_id,
        confidence=event.confidence,
        audio_start_ms=event.audio_start_ms,
        audio_end_ms=event.audio_end_ms,
        failed=event.failed,
        typed=event.typed,
    )
    freshness.turn_heard(step)
    if judges(step.state) and turn.text.strip() and not step.state.ended:
        step.state.heard.append(turn)
    else:
        _tell(step, turn)


def pump(step: Step) -> None:
    """At the end of a step: ask about what the input gate is not asked about."""
    state = step.state
    if not state.heard or state.ended:
        return
    utterance = state.utterance
    for turn in state.heard:
        if turn.decision_id:
            continue
        if utterance is not None and utterance.item_id == turn.item_id:
            # It waits for its turn at the gate, or has gone past it.
            turn.decision_id = utterance.decision_id
            if turn.decision_id or not utterance.cleared:
                continue
        subject = {"text": turn.text, "confidence": turn.confidence}
        turn.decision_id = decisions.ask_about(step, "input", subject)
    for turn in state.heard[:-HEARD_MAX]:
        _withhold(step, turn)


def decided(step: Step, decision: Decided) -> bool:
    """Policy's word on a turn: it goes on record. Returns True when that was all that was asked for."""
    state = step.state
    turn = next((entry for entry in state.heard if entry.decision_id == decision.decision_id), None)
    if turn is None:
        return False
    if decision.redact:
        _replace(state, turn, redact(turn.text, decision.redact))
    state.heard.remove(turn)
    _tell(step, turn)
    return state.utterance is None or state.utterance.decision_id != decision.decision_id


def no_turn(step: Step, item_id: str) -> None:
    """The caller only showed that they listen: there is nothing to judge in that."""
    for turn in [entry for entry in step.state.heard if entry.item_id == item_id]:
        step.state.heard.remove(turn)
        _tell(step, turn)


def ask_again(state: CallState) -> None:
    """A new owner: what the one before had asked is asked anew."""
    if state.utterance is not None and state.utterance.cleared:
        state.utterance.decision_id = ""
    for turn in state.heard:
        turn.decision_id = ""


def unjudged(step: Step) -> None:
    """The call is over: what nobody has judged is on no record."""
    for turn in list(step.state.heard):
        _withhold(step, turn)


def _withhold(step: Step, turn: Heard) -> None:
    _replace(step.state, turn, REDACTED)
    step.state.heard.remove(turn)
    _tell(step, turn)


def _replace(state: CallState, turn: Heard, text: str) -> None:
    turn.text = text
    if state.utterance is not None and state.utterance.item_id == turn.item_id:
        state.utterance.text = text
    for entry in state.history:
        if entry.item_id == turn.item_id:
            entry.text = text


def _tell(step: Step, turn: Heard) -> None:
    step.publish(
        "user_turn_ended",
        in_turn=turn.turn_id,
        item_id=turn.item_id,
        text=turn.text,
        confidence=turn.confidence,
        audio_start_ms=turn.audio_start_ms,
        audio_end_ms=turn.audio_end_ms,
        transcription_failed=turn.failed,
        typed=turn.typed,
    )
    freshness.turn_on_record(step)
