"""Takes a recorded call through the core again and says where it now does something else."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

import msgspec
import orjson

from ringback_session.domain.conversation import step
from ringback_session.domain.state import restore, snapshot
from ringback_session.recordings.lines import RecordedStep, Recording, effects_json, state_digest

__all__ = ["Difference", "Replayed", "replay"]


class Difference(msgspec.Struct, frozen=True):
    """The first step whose effects differ; `line` is its line in the file."""

    step: int
    line: int
    event: str
    diff: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(
            (f"step {self.step} (line {self.line}) differs:", f"  input  {self.event}", *self.diff)
        )


class Replayed(msgspec.Struct, frozen=True):
    """What came of a replay. `whole` is False when the recording was cut, or its writer died."""

    steps: int
    whole: bool
    difference: Difference | None = None


def replay(recording: Recording) -> Replayed:
    """Step the core through a recording. The recording is not changed."""
    state = restore(snapshot(recording.state))
    for number, recorded in enumerate(recording.steps, start=1):
        now = effects_json(step(state, recorded.event, recorded.at))
        if now != recorded.effects:
            return Replayed(number, False, _differs(number, recorded, now))
    end = recording.end
    count = len(recording.steps)
    if end is not None and end.state and end.state != state_digest(state):
        said = "the same effects, but not the same state at the end"
        line = recording.steps[-1].line + 1 if recording.steps else 2
        return Replayed(count, True, Difference(count, line, "end of the recording", (f"  {said}",)))
    return Replayed(count, end is not None and bool(end.state))


def _differs(number: int, recorded: RecordedStep, now: bytes) -> Difference:
    before, after = _pretty(recorded.effects), _pretty(now)
    diff = difflib.unified_diff(before, after, "recorded", "now", lineterm="", n=2)
    event = msgspec.json.encode(recorded.event).decode()
    return Difference(number, recorded.line, event, tuple(f"  {line}" for line in diff))


def _pretty(effects: bytes) -> list[str]:
    return [line for effect in orjson.loads(effects) for line in _lines_of(effect)]


def _lines_of(effect: object) -> Iterator[str]:
    yield from orjson.dumps(effect, option=orjson.OPT_INDENT_2).decode().splitlines()
