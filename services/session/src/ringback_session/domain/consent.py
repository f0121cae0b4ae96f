"""Consent as a spoken contract: read back, hear a yes to exactly that, once, in time."""

from __future__ import annotations

from ringback_session.domain import decisions, outcomes, playback, replies, speaking
from ringback_session.domain.effects import PersistNow, ReadConsent, StartTimer, StopTimer
from ringback_session.domain.inputs import ConsentRead, ReadBack
from ringback_session.domain.state import (
    Action,
    ActionPhase,
    Consent,
    ConsentPhase,
    ReplyPurpose,
    Speech,
    SpeechKind,
    Utterance,
)
from ringback_session.domain.step import Step
from ringback_session.domain.view import facts_json

__all__ = [
    "answer",
    "ask",
    "cancelled_by_client",
    "expired",
    "heard_read_back",
    "read",
    "read_back_spoken",
    "repeat",
    "repeat_after_reply",
    "repeat_if_cut",
    "start_next",
    "void_all",
]

_CLARIFY = (
    "The caller asked something about the action that waits for a yes. Answer that question in one short "
    "sentence, from these facts only. Do not say that anything was done. Facts: {facts}"
)


def ask(step: Step, action: Action, read_back: ReadBack, say_first: str) -> None:
    """Policy wants a yes for this action."""
    state = step.state
    former = state.consents.get(action.consent_id)
    if former is not None:
        # Policy wants another yes: the one that there was is spent.
        former.phase = ConsentPhase.ENDED
    consent = Consent(
        consent_id=state.new_id("con_"),
        action_id=action.action_id,
        read_back=read_back.text,
        say_first=say_first,
        must_contain=read_back.must_contain,
        arguments_digest=read_back.arguments_digest,
        expires_after_ms=read_back.expires_after_ms,
        clarify_max=read_back.clarify_max,
        once_more=bool(read_back.once_more),
    )
    state.consents[consent.consent_id] = consent
    action.consent_id = consent.consent_id
    action.phase = ActionPhase.CONFIRMING
    if state.handed_over or state.account.spent:
        # Nobody will read it back any more.
        void_all(step, "handoff" if state.handed_over else "budget")
    start_next(step)


def start_next(step: Step) -> None:
    """One read-back at a time, first come first served."""
    state = step.state
    if state.open_consent() is not None or state.agent_silent:
        return
    waiting = next((entry for entry in state.consents.values() if entry.phase is ConsentPhase.QUEUED), None)
    if waiting is not None:
        _read_back(step, waiting, first=waiting.round == 0)


def read_back_spoken(step: Step, speech: Speech) -> None:
    """The read-back was generated whole: from here on a yes may count, once the last value was heard."""
    consent = step.state.consents.get(speech.consent_id)
    if consent is None or consent.phase is not ConsentPhase.READING_BACK:
        return
    transcript = speech.transcript or speech.text
    played = playback.item(step.state, speech.item_id)
    audio_ms = (played.samples // 24) if played else 0
    # Speech is taken to run evenly over its transcript; no provider says when each word sounds.
    share = speaking.last_value_end(transcript, consent.must_contain) / max(1, len(transcript))
    consent.values_end_ms = int(audio_ms * share)
    consent.item_id = speech.item_id
    consent.phase = ConsentPhase.WAITING
    delay_ms = playback.remaining_ms(step) + consent.expires_after_ms
    consent.expires_at_ms = step.at.now_ms + delay_ms
    step.effects.append(StartTimer(name=f"consent:{consent.consent_id}", delay_ms=delay_ms))
    # Whoever owns the call next knows what the caller was asked.
    step.effects.append(PersistNow())


def answer(step: Step, consent: Consent, utterance: Utterance) -> None:
    """The caller said something while we wait for a yes."""
    if consent.phase is not ConsentPhase.READING_ANSWER:
        consent.unheard = _was_not_heard(step, consent)
    _take_back_what_was_not_said(step, consent)
    if utterance.failed or not utterance.text.strip():
        _unclear(step, consent, ask_model=False)
        return
    consent.phase = ConsentPhase.READING_ANSWER
    consent.answered_after = utterance.heard_read_back
    step.effects.append(
        ReadConsent(
            consent_id=consent.consent_id,
            read_back=consent.read_back,
            utterance=utterance.text,
            confidence=1.0 if utterance.typed else utterance.confidence,
            bound_values=consent.must_contain,
            side_effect=step.state.actions[consent.action_id].side_effect,
            item_id=utterance.item_id,
            timeout_ms=step.state.rules.decision_timeout_ms,
        )
    )


def read(step: Step, event: ConsentRead) -> None:
    """Policy's reading of the answer; `unavailable` when policy was away."""
    state = step.state
    consent = state.consents.get(event.consent_id)
    if consent is None or consent.phase is not ConsentPhase.READING_ANSWER:
        return
    utterance = state.utterance
    if _answered_anew(step, event):
        return
    if event.reading == "yes" and state.caller_speaking:
        # "Yes … no, wait": what the caller is saying now is the answer.
        consent.phase = ConsentPhase.WAITING
        consent.item_id = ""
        return
    step.publish(
        "consent_answered",
        consent_id=consent.consent_id,
        action_id=consent.action_id,
        reading="unclear" if event.reading == "unavailable" else event.reading,
        utterance=utterance.text if utterance else "",
        confidence=utterance.confidence if utterance else None,
        reason=event.evidence,
    )
    match event.reading:
        case "yes":
            _yes(step, consent)
        case "no":
            _end(step, consent, "no")
            outcomes.not_started(
                step, consent.action_id, "refused_by_caller", "You said no, so nothing was done."
            )
        case "correction":
            _end(step, consent, "correction")
            outcomes.not_started(
                step,
                consent.action_id,
                "corrected_by_caller",
                "The caller corrected the details, so nothing was done. Use the corrected details.",
            )
        case "unavailable":
            _end(step, consent, "void")
            outcomes.stop_for_want_of_policy(step, state.actions[consent.action_id])
        case _:
            _unclear(step, consent, ask_model=True)


def repeat_after_reply(step: Step) -> None:
    """The model has answered the caller's question: read back again; only that can be consented to."""
    consent = step.state.open_consent()
    if consent is not None and consent.phase is ConsentPhase.CLARIFYING:
        _read_back(step, consent, first=False)


def repeat(step: Step, consent: Consent, say_first: str) -> None:
    """The caller says nothing to it: ask again."""
    _read_back(step, consent, first=False, say_first=say_first)


def repeat_if_cut(step: Step, *, answered: bool = False) -> None:
    """Noise came into the read-back, or (`answered`) behind the answer to it: ask again."""
    consent = step.state.open_consent()
    if consent is None or any(speech.consent_id == consent.consent_id for speech in step.state.speeches):
        return
    match consent.phase:
        case ConsentPhase.READING_BACK:
            cut = True
        case ConsentPhase.READING_ANSWER:
            cut = answered
        case ConsentPhase.WAITING:
            played = playback.item(step.state, consent.item_id)
            cut = played is None or (played.truncated_ms is not None and not _values_heard(step, consent))
        case ConsentPhase.CLARIFYING:
            reply, pending = step.state.reply, step.state.next_reply
            due = pending is not None and pending.purpose is ReplyPurpose.CLARIFY
            cut = not due and (reply is None or reply.cancelled)
        case _:
            cut = False
    if cut:
        _read_back(step, consent, first=False)


def heard_read_back(step: Step) -> str:
    """The read-back of which the caller has heard every value by now; what they say from here on may answer it."""
    consent = step.state.open_consent()
    return consent.item_id if consent is not None and _values_heard(step, consent) else ""


def cancelled_by_client(step: Step) -> None:
    """The client silenced us: the read-back is not said again by itself, and does not wait for ever."""
    consent = step.state.open_consent()
    if consent is not None and consent.phase in (ConsentPhase.READING_BACK, ConsentPhase.CLARIFYING):
        step.effects.append(
            StartTimer(name=f"consent:{consent.consent_id}", delay_ms=consent.expires_after_ms)
        )


def expired(step: Step, consent_id: str) -> None:
    """No clear yes in time."""
    state = step.state
    consent = state.consents.get(consent_id)
    if consent is None or consent.phase not in (
        ConsentPhase.WAITING,
        ConsentPhase.READING_BACK,
        ConsentPhase.READING_ANSWER,
        ConsentPhase.CLARIFYING,
    ):
        return
    if consent.phase is ConsentPhase.READING_ANSWER or (
        state.caller_speaking or replies.caller_holds_the_floor(step)
    ):
        step.effects.append(StartTimer(name=f"consent:{consent_id}", delay_ms=2_000))
        return
    _void(step, consent, "expired")
    outcomes.not_started(
        step, consent.action_id, "consent_expired", state.rules.say_consent_expired, reply=False
    )
    # Said behind the next read-back, it would be taken for an answer to that.
    speaking.tell(step, state.rules.say_consent_expired)
    start_next(step)


def void_all(step: Step, reason: str) -> None:
    """Handoff and hang-up void what is still open: nothing of it is asked any more."""
    for consent in list(step.state.consents.values()):
        if consent.phase not in (ConsentPhase.GIVEN, ConsentPhase.ENDED):
            _void(step, consent, reason)
            outcomes.not_started(step, consent.action_id, "consent_void", "Nothing was done.", reply=False)


def _take_back_what_was_not_said(step: Step, consent: Consent) -> None:
    """The caller went on before we could speak: both halves of what was said are one answer."""
    state = step.state
    speaking.drop(step, consent.consent_id)
    if state.next_reply is not None and state.next_reply.purpose is ReplyPurpose.CLARIFY:
        state.next_reply = None


def _was_not_heard(step: Step, consent: Consent) -> bool:
    """Has nothing come yet of what the caller waits for: the read-back, or the reply to what they asked?"""
    reply, pending = step.state.reply, step.state.next_reply
    match consent.phase:
        case ConsentPhase.READING_BACK:
            return not consent.begun
        case ConsentPhase.CLARIFYING if pending is not None and pending.purpose is ReplyPurpose.CLARIFY:
            return True
        case ConsentPhase.CLARIFYING if reply is not None and reply.purpose is ReplyPurpose.CLARIFY:
            return not reply.response_id
        case _:
            return False


def _answered_anew(step: Step, event: ConsentRead) -> bool:
    """Has the caller said more since what was read? What was said last is the answer."""
    utterance = step.state.utterance
    if utterance is None or not event.item_id or utterance.item_id == event.item_id:
        return False
    return utterance.cleared or not utterance.typed or step.state.reply_wanted


def _yes(step: Step, consent: Consent) -> None:
    state = step.state
    if not _heard_before_the_answer(step, consent):
        if any(speech.consent_id == consent.consent_id for speech in state.speeches):
            # It is being said: what the caller says once they have heard it is the answer.
            consent.phase = ConsentPhase.READING_BACK
        else:
            # Who says yes before the end each time would be read to for ever.
            _unclear(step, consent, ask_model=False)
        return
    if step.at.now_ms > consent.expires_at_ms:
        _void(step, consent, "expired")
        outcomes.not_started(step, consent.action_id, "consent_expired", state.rules.say_consent_expired)
        start_next(step)
        return
    step.effects.append(StopTimer(name=f"consent:{consent.consent_id}"))
    consent.phase = ConsentPhase.GIVEN
    consent.reading = "yes"
    consent.given_at_ms = step.at.now_ms
    step.effects.append(StartTimer(name="filler", delay_ms=state.rules.filler_after_ms))
    decisions.decide(step, state.actions[consent.action_id])
    start_next(step)


def _heard_before_the_answer(step: Step, consent: Consent) -> bool:
    """Where the answer did not cut the read-back off, the caller hears on while it is being read."""
    played = playback.item(step.state, consent.item_id) if consent.item_id else None
    cut = played is not None and played.truncated_ms is not None
    return _values_heard(step, consent) and (cut or consent.answered_after == consent.item_id)


def _values_heard(step: Step, consent: Consent) -> bool:
    played = playback.item(step.state, consent.item_id) if consent.item_id else None
    if played is None or not played.samples:
        return played is not None
    return playback.heard_ms(step, played) >= consent.values_end_ms


def _unclear(step: Step, consent: Consent, *, ask_model: bool) -> None:
    # What was said before a word of ours came answers nothing: while the model is away a caller says things again.
    consent.unclear += not consent.unheard
    if consent.unclear > consent.clarify_max:
        step.escalate("consent_unclear", rule="session.clarify_max")
        return
    if not ask_model:
        _read_back(step, consent, first=False)
        return
    consent.phase = ConsentPhase.CLARIFYING
    # From here on only the next read-back can be consented to.
    consent.item_id = ""
    step.effects.append(StopTimer(name=f"consent:{consent.consent_id}"))
    replies.want(
        step,
        ReplyPurpose.CLARIFY,
        tools=False,
        instructions=_CLARIFY.format(facts=facts_json(step.state)),
        request_key=step.state.reply_request_key,
    )


def _read_back(step: Step, consent: Consent, *, first: bool, say_first: str = "") -> None:
    consent.phase = ConsentPhase.READING_BACK
    consent.begun = False
    consent.round += 1
    consent.item_id = ""
    consent.expires_at_ms = 0
    step.effects.append(StopTimer(name=f"consent:{consent.consent_id}"))
    step.publish(
        "consent_asked",
        consent_id=consent.consent_id,
        action_id=consent.action_id,
        arguments_digest=consent.arguments_digest,
        read_back=consent.read_back,
        expires_at_ms=step.at.now_ms + consent.expires_after_ms,
        round=consent.round,
    )
    before = consent.say_first if first else say_first
    text = f"{before} {consent.read_back}".strip()
    speaking.speak(
        step,
        SpeechKind.READ_BACK,
        text,
        must_contain=consent.must_contain,
        consent_id=consent.consent_id,
        by_port=consent.by_port,
    )


def _void(step: Step, consent: Consent, reason: str) -> None:
    """End a consent that got no answer."""
    step.publish(
        "consent_answered",
        consent_id=consent.consent_id,
        action_id=consent.action_id,
        reading="void",
        utterance="",
        confidence=None,
        reason=reason,
    )
    _close(step, consent, "void")


def _end(step: Step, consent: Consent, reading: str) -> None:
    _close(step, consent, reading)
    start_next(step)


def _close(step: Step, consent: Consent, reading: str) -> None:
    """It is over, and with it every read-back of it that the caller has not heard yet."""
    step.effects.append(StopTimer(name=f"consent:{consent.consent_id}"))
    consent.phase = ConsentPhase.ENDED
    consent.reading = reading
    speaking.withdraw(step, consent.consent_id)
