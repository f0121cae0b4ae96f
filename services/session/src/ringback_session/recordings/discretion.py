"""What a recording must not tell: the caller's words that policy has taken out, or has not judged.

Steps wait until the words in them are judged. What must be taken out is then blotted out letter by letter, so that the
spans which policy named still fit and a replay does the same as the call did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec.structs import replace

from ringback_session.domain.effects import AskPolicy, DropSpeech, Effect, Effects, Publish
from ringback_session.domain.floor_inputs import OverlapWords
from ringback_session.domain.inputs import At, Decided, Input, UtteranceHeard
from ringback_session.domain.state import CallState

__all__ = ["Discretion", "Taken", "blotted", "header_state"]

# Beyond it nothing waits any more: what is not judged by then is blotted out whole.
STEPS_HELD_MAX: Final = 4_096
Taken = tuple[Input, At, Effects]


class Discretion:
    """Holds steps of one call back until it is known what of them may be kept."""

    def __init__(self, state: CallState) -> None:
        self._state = state
        self._held: list[Taken] = []
        # Words that wait: item → as they were said; and by decision → item.
        self._waiting: dict[str, str] = {}
        self._asked: dict[str, str] = {}
        self._overheard: dict[str, str] = {}
        self._blots: dict[str, tuple[str, str]] = {}

    def step(self, event: Input, at: At, effects: Effects) -> Iterator[Taken]:
        """A step was taken; yields those that may be kept now, in order."""
        if self._state.rules.input_gate == "off":
            yield event, at, effects
            return
        self._held.append((event, at, effects))
        if isinstance(event, OverlapWords):
            self._overheard[event.item_id] = event.text
        elif isinstance(event, Decided):
            self._judged(event)
        self._look(effects)
        waits = self._state.heard or self._state.floor.overlap is not None
        if not waits or len(self._held) > STEPS_HELD_MAX:
            yield from self.rest()

    def rest(self) -> Iterator[Taken]:
        """All that still waits, without what nobody has judged."""
        for item_id, text in self._waiting.items():
            self._blots[item_id] = text, blotted(text)
        held, self._held = self._held, []
        for event, at, effects in held:
            yield self._event(event), at, [self._effect(effect) for effect in effects]
        self._waiting.clear()
        self._asked.clear()
        self._overheard.clear()
        self._blots.clear()

    def _judged(self, decision: Decided) -> None:
        item_id = self._asked.pop(decision.decision_id, "")
        text = self._waiting.pop(item_id, None)
        if text is not None and decision.redact:
            self._blots[item_id] = text, blotted(text, decision.redact)

    def _look(self, effects: Effects) -> None:
        now = {turn.item_id: turn for turn in self._state.heard}
        for item_id in [item_id for item_id in self._waiting if item_id not in now]:
            # It went on record without its words.
            text = self._waiting.pop(item_id)
            self._blots[item_id] = text, blotted(text)
        for turn in now.values():
            self._waiting[turn.item_id] = turn.text
            if turn.decision_id:
                self._asked[turn.decision_id] = turn.item_id
        facts = [e.body for e in effects if isinstance(e, Publish) and e.kind == "turn_rule_applied"]
        known = {body["item_id"] for body in facts if body.get("text")}
        for effect in effects:
            if isinstance(effect, DropSpeech) and effect.item_id not in known:
                # A sound that nobody took for a turn, and whose words nobody has judged.
                text = self._overheard.get(effect.item_id, "")
                self._blots[effect.item_id] = text, blotted(text)

    def _event(self, event: Input) -> Input:
        if not isinstance(event, UtteranceHeard | OverlapWords) or event.item_id not in self._blots:
            return event
        said, left = self._blots[event.item_id]
        if event.text.startswith(said):
            return replace(event, text=left + blotted(event.text[len(said) :]))
        return replace(
            event, text=left[: len(event.text)] if said.startswith(event.text) else blotted(event.text)
        )

    def _effect(self, effect: Effect) -> Effect:
        if isinstance(effect, AskPolicy) and effect.gate == "input":
            for said, left in self._blots.values():
                if effect.subject.get("text") == said:
                    return replace(effect, subject=effect.subject | {"text": left})
        return effect


def blotted(text: str, spans: Iterable[tuple[int, int]] | None = None) -> str:
    """The text with an x for each letter and digit of the spans, or of all of it."""
    places = {at for start, end in spans or [(0, len(text))] for at in range(start, min(end, len(text)))}
    return "".join("x" if at in places and char.isalnum() else char for at, char in enumerate(text))


def header_state(state: CallState) -> CallState:
    """The state at the beginning of a recording, without words that were judged by nobody when it began."""
    waiting = {turn.item_id for turn in state.heard}
    if not waiting:
        return state
    return replace(
        state,
        heard=[replace(turn, text=blotted(turn.text)) for turn in state.heard],
        history=[
            replace(entry, text=blotted(entry.text)) if entry.item_id in waiting else entry
            for entry in state.history
        ],
    )
