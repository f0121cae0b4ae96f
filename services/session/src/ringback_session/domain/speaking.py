"""Our own words: requested out of band, held until their transcript says every bound value, then heard.

No realtime model promises verbatim speech, so the transcript is checked before the caller hears any of it. What the
model does not say when asked again is asked of the text-to-speech port; what that cannot say goes to a person.

Bound are the values of a read-back, and every word that says what was done, was not done or is unknown, or that policy
wants said: its refusals and disclosures. A greeting, a filler, a bridge or a prompt binds nothing; a sentence about the
hand-over to a person neither, since behind it there is nobody else to turn to; nor do the words of that person, who
follows what becomes of them.
"""

from __future__ import annotations

from ringback_spoken import contains_value

from ringback_session.domain import playback, replies
from ringback_session.domain.effects import CancelSpeech, Note, ReleaseSpeech
from ringback_session.domain.inputs import SpeechEnded, SpeechText
from ringback_session.domain.state import (
    SPEECHES_QUEUED_MAX,
    TEXT_CHARS_MAX,
    BoundValue,
    HistoryItem,
    ReplyPurpose,
    Speech,
    SpeechKind,
)
from ringback_session.domain.step import Step

__all__ = [
    "GO_ON",
    "cancel_all",
    "cancel_fillers",
    "drop",
    "ended",
    "last_value_end",
    "says_all",
    "speak",
    "tell",
    "text",
    "withdraw",
]

ATTEMPTS_MAX = 2
GO_ON = (
    "A noise cut your last reply short. Go on exactly where it stopped, without repeating what was said and without "
    "mentioning the noise."
)


def speak(
    step: Step,
    kind: SpeechKind,
    text: str,
    *,
    must_contain: tuple[BoundValue, ...] = (),
    consent_id: str = "",
    resumes: str = "",
    from_ms: int = 0,
    told: bool = True,
    by_port: bool = False,
) -> None:
    """Queue words of our own. A full queue drops the oldest filler, never a read-back or a notice.

    `told`: the model's conversation is to hold them once they were said; a filler's never are. `by_port`: the model has
    shown that it does not say them.
    """
    if not text:
        return
    state = step.state
    if len(state.speeches) >= SPEECHES_QUEUED_MAX:
        cancel_fillers(step)
    state.speeches.append(
        Speech(
            speech_id=state.new_id("speech_"),
            kind=kind,
            text=text,
            must_contain=must_contain,
            consent_id=consent_id,
            resumes=resumes,
            from_ms=from_ms,
            told=told,
            by_port=by_port,
            attempt=ATTEMPTS_MAX + 1 if by_port else 1,
        )
    )


def tell(step: Step, words: str, *, before: str = "") -> None:
    """A notice of which every word binds, if any could be heard; what stands before it may be said otherwise."""
    bound = (BoundValue(name="words", value=words, kind="text"),)
    must_contain = bound if says_all(words, bound) else ()
    speak(step, SpeechKind.NOTICE, f"{before} {words}".strip(), must_contain=must_contain)


def text(step: Step, event: SpeechText) -> None:
    """More of the transcript is known: release the audio once every bound value is in it."""
    speech = _find(step, event.speech_id)
    if speech is None:
        return
    speech.transcript = event.transcript[:TEXT_CHARS_MAX]
    speech.item_id = event.item_id or speech.item_id
    speech.response_id = event.response_id or speech.response_id
    if speech.must_contain and not speech.released and says_all(speech.transcript, speech.must_contain):
        speech.released = True
        if speech.consent_id in step.state.consents:
            step.state.consents[speech.consent_id].begun = True
        step.effects.append(ReleaseSpeech(speech_id=speech.speech_id))


def ended(step: Step, event: SpeechEnded) -> Speech | None:
    """The model is done with our words: were they said? Returns the speech if so."""
    speech = _find(step, event.speech_id)
    if speech is None:
        return None
    step.state.speeches.remove(speech)
    step.state.account.usage.unreported += event.unreported
    said = event.status == "completed" and (not speech.must_contain or speech.released)
    if not said:
        _not_said(step, speech)
        return None
    playback.finished(step, speech.item_id, speech.transcript or speech.text)
    step.state.bound()
    if speech.told and speech.kind is not SpeechKind.FILLER:
        _tell_model(step, speech)
    return speech


def cancel_fillers(step: Step) -> None:
    """The answer is ready: a filler that is not yet heard is not needed."""
    for speech in [entry for entry in step.state.speeches if entry.kind is SpeechKind.FILLER]:
        played = playback.item(step.state, speech.item_id) if speech.item_id else None
        if played is None:
            _cancel(step, speech, "client_cancelled")


def drop(step: Step, consent_id: str) -> None:
    """Take back read-backs that nobody has asked the model for yet."""
    step.state.speeches = [
        speech
        for speech in step.state.speeches
        if speech.requested or not speech.consent_id or speech.consent_id != consent_id
    ]


def withdraw(step: Step, consent_id: str) -> None:
    """Nobody is to say yes to it any more: its read-back is not said, or breaks off."""
    for speech in [entry for entry in step.state.speeches if entry.consent_id == consent_id]:
        _cancel(step, speech, "client_cancelled")


def cancel_all(step: Step, reason: str) -> None:
    """The caller cut in. Notices stay due; a read-back will be repeated by its consent."""
    for speech in list(step.state.speeches):
        if speech.requested:
            _cancel(step, speech, reason)
        elif speech.kind not in (SpeechKind.NOTICE, SpeechKind.OPERATOR):
            step.state.speeches.remove(speech)


def says_all(transcript: str, values: tuple[BoundValue, ...]) -> bool:
    """Does the transcript say every bound value, in normalised form?"""
    return all(contains_value(transcript, value.value, kind=value.kind) is not None for value in values)


def last_value_end(transcript: str, values: tuple[BoundValue, ...]) -> int:
    """Where, in characters of the transcript, the last bound value has been said."""
    ends = [contains_value(transcript, value.value, kind=value.kind) for value in values]
    return max((span.end for span in ends if span is not None), default=0)


def _find(step: Step, speech_id: str) -> Speech | None:
    return next((speech for speech in step.state.speeches if speech.speech_id == speech_id), None)


def _cancel(step: Step, speech: Speech, reason: str) -> None:
    step.state.speeches.remove(speech)
    if speech.requested:
        # Of what the port was making nobody tells the length.
        step.state.account.usage.unreported += speech.by_port
        step.effects.append(CancelSpeech(speech_id=speech.speech_id, reason=reason))


def _not_said(step: Step, speech: Speech) -> None:
    state = step.state
    step.effects.append(CancelSpeech(speech_id=speech.speech_id, reason="unverified"))
    if speech.kind is SpeechKind.FILLER:
        return
    if speech.kind is SpeechKind.RESUMED:
        # Its audio is not kept any more: the model goes on in its own words.
        replies.want(step, ReplyPurpose.TURN, instructions=GO_ON)
        return
    by_port = speech.attempt >= ATTEMPTS_MAX
    if speech.by_port or (by_port and not says_all(speech.text, speech.must_contain)):
        # Said as they are, they would not say every value either.
        step.escalate("words_not_spoken", rule="session.verbatim_speech")
        return
    consent = state.consents.get(speech.consent_id)
    if consent is not None and by_port:
        # Each time that it is repeated the caller would wait for the model in vain.
        consent.by_port = True
    again = Speech(
        speech_id=state.new_id("speech_"),
        kind=speech.kind,
        text=speech.text,
        must_contain=speech.must_contain,
        consent_id=speech.consent_id,
        attempt=speech.attempt + 1,
        told=speech.told,
        by_port=by_port,
    )
    state.speeches.insert(0, again)


def _tell_model(step: Step, speech: Speech) -> None:
    text_said = speech.transcript or speech.text
    item_id = step.state.new_id("item_")
    step.state.remember(
        HistoryItem(item_id=item_id, kind="message", role="assistant", text=text_said, said_as=speech.item_id)
    )
    step.effects.append(Note(item_id=item_id, role="assistant", text=text_said))
