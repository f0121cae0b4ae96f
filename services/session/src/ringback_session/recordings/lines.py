"""The lines of a recording: a header with the state at the beginning, a line for each step, and an end.

    {"format": "ringback.call", "version": 1, "core": 1, "session_id": …, "snapshot": base64 of the state}
    {"at": [unix ms, samples], "input": {"type": …}, "effects": [{"type": …}, …]}
    {"end": {"steps": …, "state": sha-256 of the state}}

Secrets are replaced by a hash wherever they stand, so that a replay meets the same ones everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec.structs import replace

from ringback_session.domain.effects import Effect, Effects, Execute
from ringback_session.domain.inputs import At, Decided, Input
from ringback_session.domain.state import SNAPSHOT_VERSION, CallState, restore, snapshot
from ringback_session.recordings.discretion import header_state

__all__ = [
    "FORMAT",
    "VERSION",
    "BadRecordingError",
    "End",
    "RecordedStep",
    "Recording",
    "effects_json",
    "end_line",
    "header_line",
    "read",
    "state_digest",
    "step_line",
]

FORMAT: Final = "ringback.call"
VERSION: Final = 1
_SECRETS: Final = ("mac",)


class BadRecordingError(Exception):
    """A file that is no recording, or a spoilt one; names the line."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}")
        self.line = line


class RecordedStep(msgspec.Struct, frozen=True):
    """One step as it was recorded; `effects` as they stand in the file."""

    line: int
    at: At
    event: Input
    effects: bytes


class End(msgspec.Struct, frozen=True):
    """How the recording ended. `state` is empty when it was cut at its bound."""

    steps: int
    state: str = ""


class Recording(msgspec.Struct, frozen=True):
    """A whole recording. `end` is None when its writer died."""

    session_id: str
    state: CallState
    steps: tuple[RecordedStep, ...]
    end: End | None


class _Header(msgspec.Struct, frozen=True):
    format: str
    version: int
    core: int
    session_id: str
    snapshot: bytes


class _Step(msgspec.Struct, frozen=True):
    at: tuple[int, int]
    input: Input
    effects: msgspec.Raw


class _End(msgspec.Struct, frozen=True):
    end: End


_encoder = msgspec.json.Encoder()
_header = msgspec.json.Decoder(_Header)
_marker = msgspec.json.Decoder(dict[str, msgspec.Raw])
_step = msgspec.json.Decoder(_Step)
_end = msgspec.json.Decoder(_End)


def header_line(state: CallState) -> bytes:
    kept = snapshot(_without_secrets(header_state(state)))
    header = _Header(FORMAT, VERSION, SNAPSHOT_VERSION, state.session_id, kept)
    return _encoder.encode(header)


def step_line(event: Input, at: At, effects: Effects) -> bytes:
    if isinstance(event, Decided) and event.proof is not None:
        event = replace(event, proof=_hashed(event.proof))
    return _encoder.encode(
        {"at": (at.now_ms, at.samples), "input": event, "effects": msgspec.Raw(effects_json(effects))}
    )


def end_line(steps: int, state: CallState | None) -> bytes:
    """The last line; without the state, the recording was cut at its bound."""
    return _encoder.encode(_End(End(steps, state_digest(state) if state is not None else "")))


def effects_json(effects: Effects) -> bytes:
    """Effects as they are recorded and compared."""
    return _encoder.encode([_shown(effect) for effect in effects])


def state_digest(state: CallState) -> str:
    return hashlib.sha256(snapshot(_without_secrets(state))).hexdigest()


def read(lines: Iterable[bytes]) -> Recording:
    """Raises BadRecordingError."""
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    header, state = _read_header(numbered)
    steps: list[RecordedStep] = []
    end: End | None = None
    for number, line in numbered:
        if end is not None:
            raise BadRecordingError(number, "nothing expected after the end")
        found = _read_line(number, line)
        if isinstance(found, End):
            end = found
        else:
            steps.append(found)
    if end is not None and end.steps != len(steps):
        raise BadRecordingError(len(steps) + 2, f"{end.steps} steps expected, {len(steps)} are there")
    return Recording(header.session_id, state, tuple(steps), end)


def _read_header(lines: Iterator[tuple[int, bytes]]) -> tuple[_Header, CallState]:
    number, line = next(lines, (1, b""))
    try:
        marker = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRecordingError(number, "not the JSON of a recording's header") from None
    if not isinstance(marker, dict) or marker.get("format") != FORMAT:
        raise BadRecordingError(number, f'a header with "format": "{FORMAT}" expected')
    if marker.get("version") != VERSION:
        raise BadRecordingError(number, f"version {VERSION} expected, got {marker.get('version')!r}")
    try:
        header = _header.decode(line)
    except msgspec.DecodeError as error:
        raise BadRecordingError(number, str(error)) from None
    if header.core > SNAPSHOT_VERSION:
        raise BadRecordingError(
            number, f"made by a newer core ({header.core}, this one is {SNAPSHOT_VERSION})"
        )
    try:
        return header, restore(header.snapshot)
    except msgspec.DecodeError as error:
        raise BadRecordingError(number, f"snapshot: {error}") from None


def _read_line(number: int, line: bytes) -> RecordedStep | End:
    try:
        if "end" in _marker.decode(line):
            return _end.decode(line).end
        found = _step.decode(line)
        effects = bytes(found.effects)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRecordingError(number, str(error)) from None
    return RecordedStep(number, At(*found.at), found.input, effects)


def _shown(effect: Effect) -> Effect:
    if isinstance(effect, Execute) and effect.proof is not None:
        return replace(effect, proof=_hashed(effect.proof))
    return effect


def _without_secrets(state: CallState) -> CallState:
    """The state with hashes for secrets; the state itself stays as it is."""
    actions = {
        key: action if action.proof is None else replace(action, proof=_hashed(action.proof))
        for key, action in state.actions.items()
    }
    return replace(state, actions=actions)


def _hashed(proof: dict[str, str | int]) -> dict[str, str | int]:
    """What was hashed stays as it is, so that a replay hashes nothing twice."""
    return {name: _hash(str(value)) if name in _SECRETS else value for name, value in proof.items()}


def _hash(value: str) -> str:
    if value.startswith("sha256:"):
        return value
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()[:32]}"
