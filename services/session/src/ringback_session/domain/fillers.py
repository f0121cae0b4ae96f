"""The rules `filler`, `progress` and `slow_model`: while something takes its time the caller hears that it does.

For an action, a decision or a consultation the words are ours alone to say. A model that is slow to begin its reply may
still begin it at any moment: our words are asked for out of band, beside the reply, and the reply is shown behind
them. One that begins first takes its turn, and they are taken back.
"""

from __future__ import annotations

from ringback_session.domain import playback, speaking
from ringback_session.domain.effects import CancelSpeech, OpenReply, RequestSpeech, StartTimer
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import Action, CallState, ConsentPhase, Reply, Speech, SpeechKind
from ringback_session.domain.step import Step

__all__ = ["reply_waits", "settle", "timer", "watch"]


def timer(step: Step, name: str) -> bool:
    """Returns False for a timer of somebody else."""
    match name:
        case "filler":
            _due(step)
        case "slow_model":
            _model_slow(step)
        case _:
            return False
    return True


def watch(step: Step) -> None:
    """At the end of every step: begin to wait for the first words of a reply that was asked for."""
    reply, after_ms = step.state.reply, step.state.rules.model_slow_after_ms
    if reply is not None and after_ms and not reply.watched:
        reply.watched = True
        step.effects.append(StartTimer(name="slow_model", delay_ms=playback.remaining_ms(step) + after_ms))


def reply_waits(step: Step, reply_id: str) -> None:
    """The first of a reply is here and waits: for words of ours that nobody has heard it need not."""
    reply = step.state.reply
    if reply is None or reply.reply_id != reply_id or not reply.behind:
        return
    reply.begun = True
    _take_back(step, reply.reply_id)


def settle(step: Step) -> None:
    """In every step: what was said beside a reply that is gone is taken back; what was said behind, is behind it."""
    state, reply = step.state, step.state.reply
    for speech in state.speeches:
        if speech.beside and (reply is None or reply.reply_id != speech.beside):
            _take_back(step, speech.beside)
            break
    if reply is not None and reply.behind and all(s.speech_id != reply.behind for s in state.speeches):
        reply.behind = ""
        if not reply.cancelled:
            step.effects.append(OpenReply(reply_id=reply.reply_id))


def _due(step: Step) -> None:
    """An action takes its time: say so, without implying that it is done. Never into the caller's speech."""
    state = step.state
    if not state.rules.filler_after_ms:
        return
    waiting = [
        action for action in state.open_actions() if action.consent_id == "" or _past_consent(step, action)
    ]
    if not (waiting or state.team.thinking) or state.agent_silent:
        return
    quiet = not (state.caller_speaking or state.reply or state.speeches or playback.audible(step))
    if not quiet:
        delay_ms = playback.remaining_ms(step) + state.rules.filler_after_ms
        step.effects.append(StartTimer(name="filler", delay_ms=delay_ms))
        return
    text = _progress(waiting) or _next_text(state)
    if text:
        speaking.speak(step, SpeechKind.FILLER, text)
        _count(step, RuleName.FILLER if state.filler_index == 0 else RuleName.PROGRESS)
    if state.rules.silence_ms_max:
        step.effects.append(StartTimer(name="filler", delay_ms=state.rules.silence_ms_max))


def _model_slow(step: Step) -> None:
    """The model has not begun its reply: say so beside it, and have it wait until that is said."""
    state = step.state
    reply, rules = state.reply, state.rules
    if (
        reply is None
        or not _nothing_came_of(step, reply)
        or state.agent_silent
        or not rules.model_slow_after_ms
    ):
        return
    # Before what it answers has passed the gate nothing may be said for it.
    if reply.early or state.caller_speaking or state.speeches or playback.audible(step):
        delay_ms = playback.remaining_ms(step) + rules.model_slow_after_ms
        step.effects.append(StartTimer(name="slow_model", delay_ms=delay_ms))
        return
    text = _next_text(state)
    if text:
        speech = Speech(
            speech_id=state.new_id("speech_"),
            kind=SpeechKind.FILLER,
            text=text,
            requested=True,
            beside=reply.reply_id,
        )
        state.speeches.append(speech)
        reply.behind = speech.speech_id
        step.effects.append(
            RequestSpeech(
                speech_id=speech.speech_id, kind=speech.kind, text=text, hold=False, beside=reply.reply_id
            )
        )
        _count(step, RuleName.SLOW_MODEL)
    if rules.silence_ms_max:
        step.effects.append(StartTimer(name="slow_model", delay_ms=rules.silence_ms_max))


def _take_back(step: Step, reply_id: str) -> None:
    """Cancel what is said beside a reply, unless the caller is hearing it already."""
    for speech in list(step.state.speeches):
        if speech.beside == reply_id and not speech.transcript:
            step.state.speeches.remove(speech)
            if speech.requested:
                step.effects.append(CancelSpeech(speech_id=speech.speech_id, reason="client_cancelled"))


def _nothing_came_of(step: Step, reply: Reply) -> bool:
    heard = reply.response_id and any(
        played.response_id == reply.response_id for played in step.state.playback.items
    )
    return not (reply.cancelled or reply.begun or reply.text or reply.item_id or heard)


def _next_text(state: CallState) -> str:
    """Fillers come first, words of progress after them."""
    texts = state.rules.fillers if state.filler_index == 0 else state.rules.progress_texts
    texts = texts or state.rules.fillers
    return texts[state.filler_index % len(texts)] if texts else ""


def _count(step: Step, rule: RuleName) -> None:
    step.state.filler_index += 1
    step.applied(rule, "said", count=step.state.filler_index)


def _progress(waiting: list[Action]) -> str:
    """What a tool said of its progress and the caller has not heard; each word once."""
    for action in reversed(waiting):
        if action.progress:
            said, action.progress = action.progress, ""
            return said
    return ""


def _past_consent(step: Step, action: Action) -> bool:
    given = step.state.consents.get(action.consent_id)
    return given is None or given.phase in (ConsentPhase.GIVEN, ConsentPhase.ENDED)
