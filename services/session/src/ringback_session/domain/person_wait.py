"""The rule `person_wait`: who was promised a person hears that one is sought, and in the end that nobody came.

Meanwhile the model is silent, and what the caller says goes on record for whoever takes the call up.
"""

from __future__ import annotations

from typing import Final

from ringback_session.domain import playback, speaking
from ringback_session.domain.effects import StartTimer, StopTimer
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import CallState, SpeechKind
from ringback_session.domain.step import Step

__all__ = ["TIMER", "awaited", "begin", "due", "over"]

TIMER: Final = "person"


def awaited(state: CallState) -> bool:
    """Was the caller promised a person, and has none taken the call up?"""
    return state.handed_over and not (state.desk.actor or state.ended)


def begin(step: Step) -> None:
    """From now on a person is awaited; a new owner goes on with it."""
    if awaited(step.state):
        _watch(step)


def over(step: Step) -> None:
    """Somebody has the call, a person or the agent."""
    step.effects.append(StopTimer(name=TIMER))


def due(step: Step) -> bool:
    """Says once more that a person is sought. True: the wait is over, and nobody came."""
    state = step.state
    if not awaited(state) or state.account.spent:
        return False
    left_ms = _left_ms(step)
    if left_ms is not None and left_ms <= 0:
        return True
    if _is_time(step) and state.rules.hold_prompts:
        texts = state.rules.hold_prompts
        # As a filler: what cuts it off, or crowds it out, loses nothing.
        speaking.speak(step, SpeechKind.FILLER, texts[state.desk.prompts % len(texts)])
        state.desk.prompts += 1
        waited_ms = step.at.now_ms - state.person_asked_at_ms
        step.applied(RuleName.PERSON_WAIT, "said", count=state.desk.prompts, wait_ms=waited_ms)
    _watch(step)
    return False


def _watch(step: Step) -> None:
    after_ms = step.state.rules.hold_prompt_after_ms
    prompt_ms = playback.remaining_ms(step) + after_ms if after_ms else None
    moments = [ms for ms in (prompt_ms, _left_ms(step)) if ms is not None]
    if moments:
        step.effects.append(StartTimer(name=TIMER, delay_ms=max(0, min(moments))))


def _left_ms(step: Step) -> int | None:
    """Until nobody is awaited any more; None: never."""
    state = step.state
    if not state.rules.person_wait_ms_max:
        return None
    return state.person_asked_at_ms + state.rules.person_wait_ms_max - step.at.now_ms


def _is_time(step: Step) -> bool:
    """Is nothing said or heard? Who only types is not spoken to."""
    state = step.state
    said = state.caller_speaking or state.speeches or playback.audible(step)
    return step.at.samples > 0 and not said and bool(state.rules.hold_prompt_after_ms)
