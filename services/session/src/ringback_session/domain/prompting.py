"""The rule `idle_prompt`: a caller who says nothing is asked the open question again, and in the end let go."""

from __future__ import annotations

import re
from typing import Final

from ringback_session.domain import consent, playback, recovery, speaking
from ringback_session.domain.effects import EndCall, StartTimer, StopTimer
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import ActionPhase, CallState, ConsentPhase, SpeechKind
from ringback_session.domain.step import Step

__all__ = ["TIMER", "answered", "due", "watch"]

TIMER = "idle"
# A longer question is not said again whole: the prompt alone must do.
QUESTION_CHARS_MAX: Final = 240
_QUESTION: Final = re.compile(r"[^.!?。！？\n]*[?？]")
ENDED = "idle"


def watch(step: Step) -> None:
    """At the end of every step: begin to wait once both are silent, stop when one of them is not."""
    state = step.state
    if not state.rules.idle_ms:
        return
    silent = _silent(step)
    if silent and not state.floor.watching:
        state.floor.watching = True
        wait_ms = 0 if state.floor.leaving else state.rules.idle_ms
        step.effects.append(StartTimer(name=TIMER, delay_ms=playback.remaining_ms(step) + wait_ms))
    elif not silent and state.floor.watching:
        state.floor.watching = False
        step.effects.append(StopTimer(name=TIMER))


def due(step: Step) -> None:
    """Nobody has said anything for `idle_ms`."""
    state, floor, rules = step.state, step.state.floor, step.state.rules
    if not floor.watching:
        return
    floor.watching = False
    if playback.audible(step):
        # Samples lag behind the owner's clock: what was sent is still being heard.
        return
    if floor.leaving:
        floor.watching = True
        step.effects.append(EndCall(reason=ENDED))
    elif floor.prompts < rules.idle_prompts_max and rules.idle_prompts:
        text = rules.idle_prompts[floor.prompts % len(rules.idle_prompts)]
        floor.prompts += 1
        asked = state.open_consent()
        if asked is not None:
            consent.repeat(step, asked, text)
            _applied(step, "asked_again")
        else:
            _say(step, f"{text} {_open_question(step)}".strip(), "asked")
    elif state.open_consent() is not None:
        # It expires, and that is said.
        floor.watching = True
    elif rules.say_goodbye:
        floor.leaving = True
        _say(step, rules.say_goodbye, "goodbye")
    else:
        # The call stays open, and nobody is asked again before the caller has spoken.
        floor.watching = state.rules.idle_ms > 0


def answered(step: Step) -> None:
    """The caller is there."""
    step.state.floor.prompts = 0
    step.state.floor.leaving = False


def _say(step: Step, text: str, outcome: str) -> None:
    speaking.speak(step, SpeechKind.NOTICE, text)
    _applied(step, outcome)


def _applied(step: Step, outcome: str) -> None:
    floor, rules = step.state.floor, step.state.rules
    step.applied(
        RuleName.IDLE_PROMPT,
        outcome,
        count=floor.prompts,
        limit=rules.idle_prompts_max,
        wait_ms=rules.idle_ms,
    )


def _silent(step: Step) -> bool:
    """Is somebody on the line, and is nothing said, heard, decided or done?"""
    state = step.state
    # Who only types is not spoken to.
    here = step.at.samples > 0 and not (state.ended or state.agent_silent)
    busy = state.caller_speaking or state.floor.overlap is not None
    asked = state.open_consent()
    if asked is not None:
        return here and not busy and asked.phase is ConsentPhase.WAITING and _only_confirming(state)
    return here and not busy and recovery.idle(state)


def _only_confirming(state: CallState) -> bool:
    """Is an answer to the read-back all that the call waits for?"""
    said = state.utterance is not None and not state.utterance.cleared
    if said or state.reply or state.next_reply or state.speeches:
        return False
    return all(action.phase is ActionPhase.CONFIRMING for action in state.open_actions())


def _open_question(step: Step) -> str:
    """What the agent asked last and nobody has answered."""
    state = step.state
    for entry in reversed(state.history):
        if entry.kind != "message" or entry.role == "system":
            continue
        if entry.role == "user":
            break
        questions = [each.strip() for each in _QUESTION.findall(entry.text)]
        ours = [each for each in questions if each not in state.rules.idle_prompts]
        if ours:
            return ours[-1] if len(ours[-1]) <= QUESTION_CHARS_MAX else ""
        if not questions:
            break
    return ""
