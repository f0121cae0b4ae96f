"""What policy asks for when it lets the caller's words pass, or not: its obligations at the input gate."""

from __future__ import annotations

from typing import Final

from ringback_session.domain import early, speaking
from ringback_session.domain.inputs import Decided
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import Utterance
from ringback_session.domain.step import Step

__all__ = ["RESTATE", "oblige", "reply_instructions"]

RESTATE: Final = (
    "The caller may have been misheard. Before anything else say in one short sentence what you understood, "
    "and ask whether it is right."
)


def oblige(step: Step, decision: Decided, utterance: Utterance) -> None:
    """Note what the reply owes; what may not be kept of the words has been taken out already."""
    state = step.state
    state.turn_hold_ms = decision.hold_audio_ms
    if decision.effect not in (None, Effect.ALLOW):
        return
    speaking.tell(step, decision.say)
    utterance.words_max = decision.words_max
    utterance.restate = decision.restate
    if decision.restate or decision.words_max:
        # What was begun before this was known does not fit it.
        early.turn_away(step)


def reply_instructions(utterance: Utterance) -> str:
    """What the reply to it must mind, beside its own instructions."""
    limit = f"Answer in at most {utterance.words_max} words." if utterance.words_max else ""
    return " ".join(filter(None, (RESTATE if utterance.restate else "", limit)))
