"""A sound over the agent: a listener's "mm-hmm", or somebody who wants to speak?

The rule `backchannel`: the client hears nothing of the sound for `backchannel_window_ms`. Then it is told and the agent
yields, or the sound goes on being watched: voice that lasts, or words that say something, still interrupt. While a
yes is waited for, or a question has been asked, every sound may be the answer and is passed on at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ringback_session.domain import playback
from ringback_session.domain.effects import DropSpeech, PassSpeech, StartTimer, StopTimer
from ringback_session.domain.floor import Overlap
from ringback_session.domain.floor_inputs import CallerOverlaps, CallerSound, OverlapStopped, OverlapWords
from ringback_session.domain.rules import RuleName
from ringback_session.domain.step import SAMPLES_PER_MS, Step

__all__ = ["TIMER", "began", "forget", "only_backchannels", "sound", "stopped", "timer", "words"]

TIMER = "overlap"
# So long without voice, and the sound was short.
QUIET_MS = 80
# An answer may come while the last words of its question are still being heard.
QUESTION_AHEAD_MS = 1_500
# Whose words are not known by then is heard: a late recogniser must not keep the agent talking over a "stop".
WORDS_WAIT_MS = 700
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")


def began(step: Step, event: CallerOverlaps) -> None:
    """The caller made a sound: hold it back, or tell of it at once."""
    floor, rules = step.state.floor, step.state.rules
    if floor.overlap is not None:
        # Whoever makes a second sound before the first was understood wants to be heard.
        _interrupts(step, floor.overlap, "spoke_again")
    if not _may_be_ignored(step):
        step.effects.append(PassSpeech(item_id=event.item_id))
        return
    floor.overlap = Overlap(item_id=event.item_id, began_ms=step.at.now_ms, began_sample=step.at.samples)
    step.effects.append(StartTimer(name=TIMER, delay_ms=rules.backchannel_window_ms))


def sound(step: Step, event: CallerSound) -> None:
    overlap = step.state.floor.overlap
    if overlap is None or overlap.ended:
        return
    overlap.voice_ms, overlap.quiet_ms, overlap.level_db = event.voice_ms, event.quiet_ms, event.level_db
    passed_ms = (step.at.samples - overlap.began_sample) // SAMPLES_PER_MS
    _judge(step, overlap, window_over=passed_ms >= step.state.rules.backchannel_window_ms)


def words(step: Step, event: OverlapWords) -> None:
    overlap = step.state.floor.overlap
    if overlap is None or overlap.item_id != event.item_id:
        return
    overlap.words = event.text[:200]
    if event.final:
        _understood(step, overlap, event.confidence)
    else:
        _judge(step, overlap, window_over=False)


def stopped(step: Step, event: OverlapStopped) -> None:
    """The sound is over: its words will tell."""
    overlap = step.state.floor.overlap
    if overlap is None or overlap.item_id != event.item_id:
        return
    overlap.ended = overlap.waiting = True
    if event.committed:
        _interrupts(step, overlap, "committed")
    elif event.discarded:
        _ignored(step, overlap, "no_words")
    else:
        step.effects.append(StartTimer(name=TIMER, delay_ms=WORDS_WAIT_MS))


def timer(step: Step) -> None:
    overlap = step.state.floor.overlap
    if overlap is None:
        return
    if overlap.ended:
        _interrupts(step, overlap, "words_late")
    elif not overlap.waiting:
        _judge(step, overlap, window_over=True)
    elif overlap.level_db is None:
        # Nobody could measure it, and it goes on.
        _interrupts(step, overlap, "long")


def forget(step: Step) -> None:
    """The connection that heard the sound is gone."""
    overlap, step.state.floor.overlap = step.state.floor.overlap, None
    if overlap is not None:
        step.effects.append(StopTimer(name=TIMER))
        step.effects.append(DropSpeech(item_id=overlap.item_id))


def only_backchannels(text: str, lexicon: Iterable[str]) -> bool:
    """Is the text made of nothing but these words?"""
    said = _tokens(text)
    known = sorted((_tokens(entry) for entry in lexicon), key=len, reverse=True)
    place = 0
    while place < len(said):
        fits = next((entry for entry in known if entry and said[place : place + len(entry)] == entry), None)
        if fits is None:
            return False
        place += len(fits)
    return bool(said)


def _judge(step: Step, overlap: Overlap, *, window_over: bool) -> None:
    rules = step.state.rules
    loud = overlap.level_db is None or overlap.level_db >= rules.backchannel_level_min
    if _says_one_of(overlap.words, rules.interruption_words):
        _interrupts(step, overlap, "word")
    elif loud and overlap.voice_ms > rules.backchannel_ms_max:
        _interrupts(step, overlap, "long")
    elif window_over and not overlap.waiting:
        short = overlap.level_db is not None and overlap.quiet_ms >= QUIET_MS
        known = short or not loud or only_backchannels(overlap.words, rules.backchannel_words)
        if not known and rules.backchannel_unsure == "yield":
            _interrupts(step, overlap, "unsure")
            return
        overlap.waiting = True
        step.effects.append(StartTimer(name=TIMER, delay_ms=rules.backchannel_ms_max))


def _understood(step: Step, overlap: Overlap, confidence: float | None) -> None:
    """All its words are known."""
    rules = step.state.rules
    if not _tokens(overlap.words):
        _ignored(step, overlap, "no_words")
    elif not playback.audible(step):
        # It outlasted the agent: the floor was free, and somebody said something.
        _passed(step, overlap, "turn", "after_the_agent")
    elif only_backchannels(overlap.words, rules.backchannel_words):
        _ignored(step, overlap, "backchannel")
    elif _says_one_of(overlap.words, rules.interruption_words):
        _interrupts(step, overlap, "word")
    elif confidence is not None and confidence < rules.backchannel_confidence_min:
        _ignored(step, overlap, "unclear")
    else:
        _interrupts(step, overlap, "words")


def _interrupts(step: Step, overlap: Overlap, reason: str) -> None:
    _passed(step, overlap, "interrupted", reason)


def _passed(step: Step, overlap: Overlap, outcome: str, reason: str) -> None:
    _closed(step, overlap, outcome, reason)
    step.effects.append(PassSpeech(item_id=overlap.item_id))


def _ignored(step: Step, overlap: Overlap, reason: str) -> None:
    _closed(step, overlap, "ignored", reason)
    step.effects.append(DropSpeech(item_id=overlap.item_id))


def _closed(step: Step, overlap: Overlap, outcome: str, reason: str) -> None:
    step.state.floor.overlap = None
    step.effects.append(StopTimer(name=TIMER))
    step.applied(
        RuleName.BACKCHANNEL,
        outcome,
        reason=reason,
        item_id=overlap.item_id,
        # Words that policy has not judged are on no record; what is only a listener's word is nobody's secret.
        text=overlap.words if reason == "backchannel" or step.state.rules.input_gate == "off" else "",
        wait_ms=max(0, step.at.now_ms - overlap.began_ms),
    )


def _may_be_ignored(step: Step) -> bool:
    state = step.state
    return (
        state.rules.backchannel_window_ms > 0
        and state.interrupt_enabled
        and playback.audible(step)
        and state.open_consent() is None
        and not playback.asks(step, ahead_ms=QUESTION_AHEAD_MS)
    )


def _says_one_of(text: str, phrases: Iterable[str]) -> bool:
    said = f" {' '.join(_tokens(text))} "
    return any(f" {' '.join(_tokens(phrase))} " in said for phrase in phrases if _tokens(phrase))


def _tokens(text: str) -> list[str]:
    return _WORD.findall(text.lower())
