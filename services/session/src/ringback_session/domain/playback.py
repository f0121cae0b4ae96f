"""What the caller heard. The clock counts the samples that the caller sends, and real time while none come."""

from __future__ import annotations

from ringback_session.domain import manners
from ringback_session.domain.effects import Forget, Note, StartTimer, StopTimer, TruncateItem
from ringback_session.domain.floor_inputs import WordsBrokenOff
from ringback_session.domain.inputs import AudioSent, ClientTruncated
from ringback_session.domain.state import TEXT_CHARS_MAX, CallState, HistoryItem, Playback, PlayedItem
from ringback_session.domain.step import SAMPLES_PER_MS, Step

__all__ = [
    "asks",
    "audible",
    "audio_sent",
    "broken_off",
    "cancelled",
    "client_truncated",
    "cut",
    "finished",
    "goes_on",
    "heard_ms",
    "heard_part",
    "heard_text",
    "item",
    "more",
    "playing",
    "remaining_ms",
    "settle",
    "words_broken_off",
]


def audio_sent(step: Step, sent: AudioSent) -> None:
    """Audio went to the client: it begins to play when all before it has been played."""
    playback = step.state.playback
    if goes_on(playback, sent.item_id, sent.samples, sent.text):
        return
    played = item(step.state, sent.item_id)
    if played is None:
        starts_at = max(_now(step), playback.ends_at)
        played = PlayedItem(
            item_id=sent.item_id,
            starts_at=starts_at,
            kind=sent.kind,
            in_model=sent.in_model,
            response_id=sent.response_id,
        )
        playback.items.append(played)
        _note_first_audio(step)
    more(playback, played, sent.samples, sent.text)


def goes_on(playback: Playback, item_id: str, samples: int, text: str) -> bool:
    """More audio of the item that was sent last, which moves nothing but counters. False: it is not that one."""
    if not playback.items:
        return False
    played = playback.items[-1]
    if played.item_id != item_id:
        return False
    more(playback, played, samples, text)
    return True


def more(playback: Playback, played: PlayedItem, samples: int, text: str = "") -> None:
    """More audio of the item that was sent last; `text` is all its words, if there are new ones."""
    played.samples += samples
    if text:
        played.text = text[:TEXT_CHARS_MAX]
    if playback.ends_at < played.starts_at:
        playback.ends_at = played.starts_at
    playback.ends_at += samples


def audible(step: Step) -> bool:
    """Is the agent being heard now?"""
    return _now(step) < step.state.playback.ends_at


def playing(step: Step) -> PlayedItem | None:
    """The item that is being heard now."""
    now = _now(step)
    return next(
        (
            played
            for played in reversed(step.state.playback.items)
            if played.starts_at <= now < played.starts_at + played.samples and played.truncated_ms is None
        ),
        None,
    )


def asks(step: Step, *, ahead_ms: int) -> bool:
    """Has what is being heard asked a question, or will it within so long?"""
    played = playing(step)
    if played is None:
        return False
    whole_ms = played.samples // SAMPLES_PER_MS
    part_ms = heard_ms(step, played) + ahead_ms
    return "?" in (
        played.text if part_ms >= whole_ms else played.text[: len(played.text) * part_ms // whole_ms]
    )


def heard_part(step: Step, played: PlayedItem, said: str) -> str:
    """What was heard of the words of an item."""
    return heard_text(said, part_ms=heard_ms(step, played), whole_ms=played.samples // SAMPLES_PER_MS)


def remaining_ms(step: Step) -> int:
    """Until everything sent has been played."""
    return max(0, step.state.playback.ends_at - _now(step)) // SAMPLES_PER_MS


def heard_ms(step: Step, played: PlayedItem) -> int:
    """How much of an item the caller can have heard."""
    if played.truncated_ms is not None:
        return played.truncated_ms
    return max(0, min(played.samples, _now(step) - played.starts_at)) // SAMPLES_PER_MS


def heard_text(text: str, *, part_ms: int, whole_ms: int) -> str:
    """The words of `text` that fit the part of its audio that was played, cut at a word."""
    if part_ms >= whole_ms:
        return text
    cut_at = len(text) * part_ms // max(1, whole_ms)
    return text[:cut_at].rpartition(" ")[0]


def item(state: CallState, item_id: str) -> PlayedItem | None:
    return next((played for played in reversed(state.playback.items) if played.item_id == item_id), None)


def finished(step: Step, item_id: str, text: str) -> None:
    """All of an item was generated; it is reported when it has been played, or cut."""
    played = item(step.state, item_id)
    if played is None:
        # Text output, or no audio: heard when it was sent.
        played = PlayedItem(item_id=item_id, starts_at=_now(step))
        step.state.playback.items.append(played)
    played.text = text[:TEXT_CHARS_MAX]
    played.finished = True
    if played.cut_by_client and played.truncated_ms is not None:
        _put_right(step, played, played.truncated_ms, longer=False)
    step.effects.append(StartTimer(name="played", delay_ms=remaining_ms(step) + 1))


def cut(step: Step) -> None:
    """The caller cut in: what is not yet played will not be heard."""
    now = _now(step)
    for played in step.state.playback.items:
        if played.reported:
            continue
        if played.finished and played.starts_at + played.samples <= now:
            _report(step, played)
            continue
        position_ms = heard_ms(step, played)
        played.truncated_ms = position_ms
        if played.in_model and played.samples:
            step.effects.append(TruncateItem(item_id=played.item_id, audio_end_ms=position_ms))
        step.publish("interrupted", item_id=played.item_id, heard_ms=position_ms)
        _forget_unheard(step, played, position_ms)
        words = played.text
        _report(step, played)
        played.cut_text = words
    step.state.playback.ends_at = min(step.state.playback.ends_at, now)
    step.effects.append(StopTimer(name="played"))


def broken_off(step: Step) -> None:
    """No more of what was being generated comes, and no model has it: what was sent is heard, and then told."""
    broken = [played for played in step.state.playback.items if not (played.finished or played.reported)]
    for played in broken:
        played.finished, played.in_model = True, False
    if broken:
        step.effects.append(StartTimer(name="played", delay_ms=remaining_ms(step) + 1))


def cancelled(step: Step) -> None:
    """The client has all stop: no more comes of what was begun, and what was sent of it is heard, then told."""
    for played in step.state.playback.items:
        if played.finished or played.reported:
            continue
        text = played.text
        if text and played.in_model and all(each.item_id != played.item_id for each in step.state.history):
            step.state.remember(
                HistoryItem(item_id=played.item_id, kind="message", role="assistant", text=text)
            )
        finished(step, played.item_id, text)


def words_broken_off(step: Step, event: WordsBrokenOff) -> None:
    """Text was heard when it was sent: what there is of it counts, though it was to be longer."""
    state, reply = step.state, step.state.reply
    judged = reply is not None and reply.reply_id == event.own_id and (reply.refused or reply.muted)
    if judged or item(state, event.item_id) is not None:
        # What policy cut off is put right when the reply is over; what has sound is told of by how far that was played.
        return
    played = PlayedItem(
        item_id=event.item_id, starts_at=_now(step), kind=event.kind, response_id=event.response_id
    )
    state.playback.items.append(played)
    if event.in_model:
        state.remember(HistoryItem(item_id=event.item_id, kind="message", role="assistant", text=event.text))
    finished(step, event.item_id, event.text)


def client_truncated(step: Step, truncated: ClientTruncated) -> None:
    """The client's own word on what it played: it knows best, whether our clock is behind or ahead of it.

    Its second word on an item can only be a shorter one.
    """
    played = item(step.state, truncated.item_id)
    if played is None:
        return
    ours, end_ms = played.truncated_ms, truncated.audio_end_ms
    if played.cut_by_client and ours is not None and end_ms >= ours:
        return
    played.truncated_ms, played.cut_by_client = end_ms, True
    if ours is None or end_ms < ours:
        if played.in_model:
            step.effects.append(TruncateItem(item_id=played.item_id, audio_end_ms=end_ms))
        if ours is not None:
            step.publish("interrupted", item_id=played.item_id, heard_ms=end_ms)
    if ours is not None or played.finished:
        longer = ours is not None and end_ms > ours
        if longer and played.reported and played.cut_text:
            # Whoever was told of the shorter part puts this in its place.
            _tell_turn(step, played, played.cut_text, heard_ms=end_ms)
        _put_right(step, played, end_ms, longer=longer)


def settle(step: Step) -> None:
    """Report the items that have been played to their end."""
    waiting = False
    for played in step.state.playback.items:
        played.cut_text = ""
        if played.reported or not played.finished:
            continue
        if played.starts_at + played.samples <= _now(step):
            _report(step, played)
        else:
            waiting = True
    if waiting:
        step.effects.append(StartTimer(name="played", delay_ms=remaining_ms(step) + 1))


def _now(step: Step) -> int:
    return step.at.playback or step.at.samples or (step.at.now_ms - step.state.started_at_ms) * SAMPLES_PER_MS


def _note_first_audio(step: Step) -> None:
    state = step.state
    if state.speech_ended_at_ms and not state.first_audio_ms:
        state.first_audio_ms = max(1, step.at.now_ms - state.speech_ended_at_ms)


def _forget_unheard(step: Step, played: PlayedItem, position_ms: int) -> None:
    """What the model's conversation would be built from again holds only what was heard."""
    whole_ms = played.samples // SAMPLES_PER_MS
    text = heard_text(played.text, part_ms=position_ms, whole_ms=whole_ms)
    history = step.state.history
    if not played.in_model:
        _tell_heard(step, played.item_id, text)
        return
    known = next((entry for entry in reversed(history) if entry.item_id == played.item_id), None)
    if known is not None:
        known.text = text
    elif text:
        step.state.remember(HistoryItem(item_id=played.item_id, kind="message", role="assistant", text=text))


def _put_right(step: Step, played: PlayedItem, end_ms: int, *, longer: bool) -> None:
    """Have the conversation hold the words that were heard by the client's own account."""
    state, words = step.state, played.text or played.cut_text
    if not words:
        return
    text = heard_text(words, part_ms=end_ms, whole_ms=played.samples // SAMPLES_PER_MS)
    if not played.in_model:
        _tell_heard(step, played.item_id, text)
        return
    known = next((entry for entry in reversed(state.history) if entry.item_id == played.item_id), None)
    if known is None or known.text == text:
        return
    known.text = text
    if longer:
        # What was cut off the model's item is gone: it is put in again, as words.
        step.effects.append(Forget(item_ids=(played.item_id,)))
        step.effects.append(Note(item_id=played.item_id, role="assistant", text=text))


def _tell_heard(step: Step, said_as: str, text: str) -> None:
    """The model was told our own words whole when they had been generated; what was not heard is taken back."""
    state = step.state
    told = next((entry for entry in reversed(state.history) if entry.said_as == said_as), None)
    if told is None or told.text == text:
        return
    step.effects.append(Forget(item_ids=(told.item_id,)))
    if not text:
        state.history.remove(told)
        return
    told.item_id, told.text = state.new_id("item_"), text
    step.effects.append(Note(item_id=told.item_id, role="assistant", text=text))


def _report(step: Step, played: PlayedItem) -> None:
    played.reported = True
    state = step.state
    whole_ms = played.samples // SAMPLES_PER_MS
    part_ms = heard_ms(step, played)
    if not whole_ms:
        part_ms = whole_ms = 1 if played.finished else 0
    first_audio_ms, state.first_audio_ms = state.first_audio_ms, 0
    if first_audio_ms:
        state.speech_ended_at_ms = 0
    _tell_turn(step, played, played.text, heard_ms=part_ms, whole_ms=whole_ms, first_audio_ms=first_audio_ms)
    manners.measure(step, played)
    played.text = ""


def _tell_turn(
    step: Step,
    played: PlayedItem,
    said: str,
    *,
    heard_ms: int,
    whole_ms: int | None = None,
    first_audio_ms: int = 0,
) -> None:
    """What the agent said and how much of it was heard; told again, it replaces what was told of the item."""
    audio_ms = played.samples // SAMPLES_PER_MS
    step.publish(
        "agent_turn_ended",
        item_id=played.item_id,
        response_id=played.response_id,
        said=said,
        heard=heard_text(said, part_ms=heard_ms, whole_ms=audio_ms if whole_ms is None else whole_ms),
        audio_ms=audio_ms,
        heard_ms=heard_ms if played.samples else 0,
        kind=played.kind,
        first_audio_ms=first_audio_ms,
        words=manners.words_in(said),
        questions=manners.questions_in(said),
    )
