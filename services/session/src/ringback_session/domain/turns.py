"""The caller's turn: speech begins, ends, becomes words, passes the input gate, and is answered."""

from __future__ import annotations

from ringback_session.domain import (
    client_items,
    consent,
    decisions,
    early,
    input_gate,
    on_record,
    once_more,
    playback,
    prompting,
    replies,
    resuming,
    speaking,
)
from ringback_session.domain.effects import StartTimer, StopTimer
from ringback_session.domain.inputs import (
    CallerStartedSpeaking,
    CallerStoppedSpeaking,
    Decided,
    UtteranceCommitted,
    UtteranceHeard,
)
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import (
    TEXT_CHARS_MAX,
    ReplyPurpose,
    SpeechKind,
    Utterance,
)
from ringback_session.domain.step import Step

__all__ = [
    "caller_started",
    "caller_stopped",
    "clear",
    "committed",
    "gate",
    "greet",
    "heard",
    "input_decided",
    "transcript_late",
]

TRANSCRIPT_WAIT_MS = 6_000
_SAY_AGAIN = "Sorry, I didn't catch that. Could you say it again?"


def greet(step: Step) -> None:
    """Say the agent's greeting, once, to whom speaks first; after a typed line or a reply it would come too late."""
    greeting, step.state.greeting = step.state.greeting, ""
    speaking.speak(step, SpeechKind.NOTICE, greeting)


def caller_started(step: Step, event: CallerStartedSpeaking) -> None:
    """Yield at once, whatever else is going on: barge-in never waits for anybody."""
    state = step.state
    state.caller_speaking = True
    prompting.answered(step)
    if state.interrupt_enabled:
        resuming.note_cut(step)
        resuming.note_unheard(step)
        replies.stop(step, "turn_detected")
        speaking.cancel_all(step, "turn_detected")
        playback.cut(step)
    state.floor.heard_read_back = consent.heard_read_back(step)


def caller_stopped(step: Step, event: CallerStoppedSpeaking) -> None:
    """Until the audio has become an item the caller still holds the floor: nobody answers half of it."""
    state = step.state
    if event.discarded:
        state.caller_speaking = False
        resuming.go_on(step)
        consent.repeat_if_cut(step)
        return
    state.speech_ended_at_ms = step.at.now_ms
    state.first_audio_ms = 0


def committed(step: Step, event: UtteranceCommitted) -> None:
    """The caller's audio became an item: a new turn begins."""
    state = step.state
    heard = state.floor.heard_read_back if state.caller_speaking else consent.heard_read_back(step)
    state.caller_speaking = False
    # Its words may come behind the reply to it; its place is here.
    client_items.said(state, event.item_id, "")
    _begin_turn(step, Utterance(item_id=event.item_id, heard_read_back=heard))
    state.reply_wanted = event.wants_reply
    state.reply_request_key = ""
    if not _needs_words(step):
        clear(step)
    else:
        step.effects.append(StartTimer(name="transcript", delay_ms=TRANSCRIPT_WAIT_MS))
        early.begin(step)


def heard(step: Step, event: UtteranceHeard) -> None:
    """The words of an utterance are known (or known to be unknowable)."""
    state = step.state
    text = event.text[:TEXT_CHARS_MAX]
    if event.typed:
        state.greeting = ""
        heard_read_back = consent.heard_read_back(step)
        _begin_turn(step, Utterance(item_id=event.item_id, typed=True, heard_read_back=heard_read_back))
        state.reply_wanted = False
    on_record.heard(step, event)
    client_items.said(state, event.item_id, text, behind=event.behind)
    utterance = state.utterance
    if utterance is None or utterance.item_id != event.item_id or utterance.heard:
        return
    step.effects.append(StopTimer(name="transcript"))
    utterance.text = text
    utterance.confidence = event.confidence
    utterance.failed = event.failed
    utterance.typed = event.typed
    utterance.audio_start_ms = event.audio_start_ms
    utterance.audio_end_ms = event.audio_end_ms
    utterance.heard = True
    if event.confidence is not None and event.confidence < state.rules.confidence_min:
        state.irreversible_forbidden = True
    if utterance.cleared or event.typed:
        return
    if resuming.was_no_turn(step, utterance) and resuming.instead_of_a_turn(step):
        utterance.cleared = True
        state.reply_wanted = False
        on_record.no_turn(step, utterance.item_id)
    else:
        gate(step)


def gate(step: Step) -> None:
    """Ask about the utterance, if the bundle wants it asked about and there is anything to ask about."""
    utterance = step.state.utterance
    if utterance is None:
        return
    ungated = step.state.rules.input_gate == "off" or bool(step.state.desk.actor)
    if ungated or utterance.failed or not utterance.text.strip():
        clear(step)
    else:
        decisions.ask_about_utterance(step, utterance)


def input_decided(step: Step, decision: Decided) -> bool:
    """Policy's answer to an utterance. Returns False when it is not about the current one."""
    state = step.state
    utterance = state.utterance
    if utterance is None or utterance.decision_id != decision.decision_id or utterance.cleared:
        return False
    decision = decisions.declared(step, decision, "input")
    effect = decision.effect or Effect.ALLOW
    decisions.publish(step, decision, "INPUT", effect)
    input_gate.oblige(step, decision, utterance)
    state.irreversible_forbidden = state.irreversible_forbidden or decision.forbid_irreversible
    match effect:
        case Effect.ESCALATE:
            utterance.cleared = True
            early.turn_away(step)
            step.escalate(decision.escalate or decision.reason, rule=decision.rule, say=decision.say)
        case Effect.DENY:
            utterance.cleared = True
            # The model has heard what was refused: no reply of it may follow.
            early.turn_away(step)
            state.next_reply = state.unheard_reply = None
            speaking.tell(step, decision.say)
            consent.repeat_if_cut(step, answered=True)
        case _:
            clear(step)
    return True


def clear(step: Step) -> None:
    """The utterance may be acted upon: it answers a read-back, or the model replies to it."""
    state = step.state
    utterance = state.utterance
    if utterance is None or utterance.cleared:
        return
    utterance.cleared = True
    asked = state.open_consent()
    if asked is not None or not _is_a_turn(utterance):
        early.turn_away(step)
    if asked is not None:
        if utterance.heard and not utterance.failed and not utterance.text.strip():
            consent.repeat_if_cut(step, answered=True)
        else:
            consent.answer(step, asked, utterance)
        return
    if utterance.failed:
        _not_understood(step)
        return
    if utterance.heard and not utterance.typed and not utterance.text.strip():
        # A noise is no turn; a reply that the client asks for by itself is owed whatever it put in.
        resuming.go_on(step)
    if not _is_a_turn(utterance):
        return
    state.floor.cut = None
    state.failed_rounds = 0
    once_more.spoken(state)
    if early.let_in(step):
        state.reply_wanted = False
    elif state.reply_wanted:
        state.reply_wanted = False
        owed = input_gate.reply_instructions(utterance)
        replies.want(step, ReplyPurpose.TURN, instructions=owed, request_key=state.reply_request_key)


def transcript_late(step: Step) -> None:
    """No words came in time: the same as a failed transcription."""
    utterance = step.state.utterance
    if utterance is not None and not utterance.heard and not utterance.cleared:
        utterance.heard = True
        utterance.failed = True
        gate(step)


def _begin_turn(step: Step, utterance: Utterance) -> None:
    state = step.state
    playback.settle(step)
    state.bound()
    state.turn += 1
    state.turn_id = state.new_id("turn_")
    state.utterance = utterance
    state.irreversible_forbidden = False
    state.turn_hold_ms = 0
    state.filler_index = 0


def _is_a_turn(utterance: Utterance) -> bool:
    """A noise is no turn; a reply that the client asks for by itself is owed whatever it put in."""
    noise = utterance.heard and not utterance.typed and not utterance.text.strip()
    return not (noise or utterance.failed)


def _needs_words(step: Step) -> bool:
    state = step.state
    gated = state.rules.input_gate != "off" or state.open_consent() is not None
    return gated or resuming.possible(step)


def _not_understood(step: Step) -> None:
    state = step.state
    if state.agent_silent:
        return
    state.failed_rounds += 1
    if state.failed_rounds > state.rules.clarify_max:
        step.escalate("not_understood", rule="session.clarify_max")
    else:
        speaking.speak(step, SpeechKind.NOTICE, _SAY_AGAIN)
