"""The rule `person_wait`: who was promised a person hears that one is sought, and in the end that nobody came.

Meanwhile the model is silent, and what the caller says goes on record for whoever takes the call up. A promise that
nobody keeps during the call is owed after it: somebody is to call back.
"""

from __future__ import annotations

from typing import Final

from ringback_identity import derive_id

from ringback_session.domain import outcomes, playback, speaking
from ringback_session.domain.effects import StartTimer, StopTimer
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import CallState, SpeechKind
from ringback_session.domain.step import Step

__all__ = [
    "CALL_BACK",
    "LATE_TIMER",
    "TIMER",
    "awaited",
    "begin",
    "due",
    "nobody_came",
    "over",
    "owe_callback",
    "watch",
]

TIMER: Final = "person"
LATE_TIMER: Final = "person_late"
CALL_BACK: Final = "Call the caller back"


def awaited(state: CallState) -> bool:
    """Was the caller promised a person, and has none taken the call up?"""
    return state.handed_over and not (state.desk.actor or state.ended)


def begin(step: Step) -> None:
    """From now on a person is awaited; a new owner goes on with it."""
    step.state.desk.silent = False
    left_ms = _left_ms(step)
    if awaited(step.state) and left_ms is not None:
        step.effects.append(StartTimer(name=LATE_TIMER, delay_ms=max(0, left_ms)))


def over(step: Step) -> None:
    """Somebody has the call, a person or the agent."""
    step.effects += [StopTimer(name=TIMER), StopTimer(name=LATE_TIMER)]


def watch(step: Step) -> None:
    """At the end of every step: begin to wait once nothing is said any more, stop when something is."""
    state = step.state
    silent = bool(state.rules.hold_prompt_after_ms and state.rules.hold_prompts) and _silent(state)
    if silent and not state.desk.silent:
        delay_ms = playback.remaining_ms(step) + state.rules.hold_prompt_after_ms
        step.effects.append(StartTimer(name=TIMER, delay_ms=delay_ms))
    elif state.desk.silent and not silent:
        step.effects.append(StopTimer(name=TIMER))
    state.desk.silent = silent


def due(step: Step) -> None:
    """Nothing was said for `hold_prompt_after_ms`: say once more that a person is sought."""
    state = step.state
    if not state.desk.silent:
        return
    # The end of this step begins to wait anew.
    state.desk.silent = False
    if not step.at.samples or playback.audible(step):
        # Who only types is not spoken to; and samples may lag behind the owner's clock.
        return
    texts = state.rules.hold_prompts
    # As a filler: what cuts it off, or crowds it out, loses nothing.
    speaking.speak(step, SpeechKind.FILLER, texts[state.desk.prompts % len(texts)])
    state.desk.prompts += 1
    waited_ms = step.at.now_ms - state.person_asked_at_ms
    step.applied(RuleName.PERSON_WAIT, "said", count=state.desk.prompts, wait_ms=waited_ms)


def nobody_came(step: Step) -> bool:
    """Is a person still awaited, for as long as the rules say?"""
    left_ms = _left_ms(step)
    return awaited(step.state) and not step.state.account.spent and left_ms is not None and left_ms <= 0


def owe_callback(step: Step, *, reason: str) -> None:
    """Somebody is to call the caller back: one task for each time that a person was promised, whoever opens it."""
    state = step.state
    task_id = derive_id("task_", state.session_id, "call_back", state.person_asked_at_ms)
    if task_id not in state.tasks:
        title = f"{CALL_BACK}: {state.person_reason}"
        outcomes.open_task(step, title, "", reason=reason, task_id=task_id)


def _left_ms(step: Step) -> int | None:
    """Until nobody is awaited any more; None: never."""
    state = step.state
    if not state.rules.person_wait_ms_max:
        return None
    return state.person_asked_at_ms + state.rules.person_wait_ms_max - step.at.now_ms


def _silent(state: CallState) -> bool:
    """Does the caller wait, and is nothing said or about to be? What was sent may still be heard."""
    waits = awaited(state) and not state.account.spent
    unheard = state.utterance is not None and not state.utterance.cleared
    speaks = state.caller_speaking or state.floor.overlap is not None or unheard
    return waits and not (speaks or state.reply or state.speeches)
