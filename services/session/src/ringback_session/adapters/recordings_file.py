"""Recordings of calls as files of one folder: bounded in size and number, readable by their owner alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ringback_session.domain.effects import Effects, Persist
from ringback_session.domain.inputs import At, Input
from ringback_session.domain.state import CallState
from ringback_session.recordings.discretion import Discretion, Taken
from ringback_session.recordings.lines import end_line, header_line, step_line
from ringback_session.usecases.recording import Recorder, Unrecorded

__all__ = ["SUFFIX", "FileRecorder", "recorders"]

log = logging.getLogger(__name__)

SUFFIX = ".call.jsonl"
BYTES_MAX = 16 * 1024 * 1024
FILES_MAX = 200
BUFFER_BYTES_MAX = 64 * 1024


def recorders(folder: Path | None) -> Callable[[CallState], Recorder]:
    """What makes a recorder for each call; without a folder nothing is kept."""

    def record(state: CallState) -> Recorder:
        assert folder is not None
        try:
            return FileRecorder(_new_file(folder, state), state)
        except OSError as error:
            log.warning("a call is not recorded: %s", error)
            return Unrecorded(state)

    return Unrecorded if folder is None else record


class FileRecorder:
    """Implements `Recorder` over one file. What cannot be written ends the recording, not the call."""

    def __init__(self, descriptor: int, state: CallState, *, bytes_max: int = BYTES_MAX) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=BUFFER_BYTES_MAX)
        self._state = state
        self._discretion = Discretion(state)
        self._left = bytes_max
        self._steps = 0
        self._write(header_line(state))

    def step(self, event: Input, at: At, effects: Effects) -> None:
        for taken in self._discretion.step(event, at, effects):
            self._keep(taken)

    def close(self) -> None:
        for taken in self._discretion.rest():
            self._keep(taken)
        if not self._file.closed:
            self._end(self._state)

    def _keep(self, taken: Taken) -> None:
        if self._file.closed:
            return
        line = step_line(*taken)
        if len(line) > self._left:
            self._end(None)
            return
        self._steps += 1
        self._write(line)
        if any(isinstance(effect, Persist) for effect in taken[-1]):
            # A turn has ended: what a crash would make interesting is on the disk.
            self._flush()

    def _end(self, state: CallState | None) -> None:
        self._write(end_line(self._steps, state))
        if not self._file.closed:
            self._flush()
            self._file.close()

    def _write(self, line: bytes) -> None:
        self._left -= len(line) + 1
        try:
            self._file.write(line + b"\n")
        except OSError as error:
            self._give_up(error)

    def _flush(self) -> None:
        try:
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        log.warning("a recording ends early: %s", error)
        # It tries to write what is left, and is closed all the same.
        with suppress(OSError):
            self._file.close()


def _new_file(folder: Path, state: CallState) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    kept = sorted(folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
    for path in kept[: max(0, len(kept) - FILES_MAX + 1)]:
        path.unlink(missing_ok=True)
    for number in range(1, FILES_MAX):
        path = folder / f"{state.session_id}.{number}{SUFFIX}"
        try:
            return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder}: no name is left for a recording of {state.session_id}")
