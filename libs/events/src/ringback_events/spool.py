"""Where messages wait while the bus is away: a bounded queue on disk, or in memory.

On disk the queue is a folder of segment files. A record is `length, CRC-32, body`; a record cut short by a
crash is set aside on the next start, and everything before it is kept. What was written survives the death
of the process at once; against the death of the machine it is synced every `SYNC_INTERVAL_MS` while there
is something new, and on close. Records are removed once the stream has acknowledged them; the mark of how
far that is may lag by a few records after a crash, which only repeats messages that the stream drops by
their ids.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ringback_errors import ConfigError

from ringback_events.failures import SpoolFull
from ringback_events.message import Message
from ringback_events.spool_records import encode_record, read_records

__all__ = ["SYNC_INTERVAL_MS", "DiskSpool", "MemorySpool", "Spool"]

SYNC_INTERVAL_MS = 250
BYTES_MAX = 64 * 1024 * 1024
SEGMENT_BYTES = 4 * 1024 * 1024
MARK_EVERY = 64

_log = logging.getLogger("ringback.events.spool")


class Spool(Protocol):
    """A bounded first-in-first-out queue whose records stay until they are committed."""

    @property
    def unread(self) -> int:
        """Records that `read` has not handed out since the start or the last `rewind`."""

    def append(self, message: Message, *, force: bool = False, handed: bool = False) -> int:
        """Add a record and return its number; SpoolFull when the bound is reached, unless forced.

        A record that is `handed` counts as read already; there must be no unread one before it.
        """

    def read(self, count_max: int) -> list[tuple[int, Message]]:
        """Hand out the next records, oldest first."""

    def rewind(self) -> None:
        """Hand out again everything that is not committed."""

    def commit(self, number: int) -> None:
        """Drop all records up to and including `number`."""

    def refuse(self, message: Message, reason: str) -> None:
        """Set a message aside that the stream will never take."""

    def unsynced(self) -> Callable[[], None] | None:
        """Return the blocking work, for a thread, that pushes what was written to the disk; None: nothing new."""

    def close(self) -> None:
        """Sync and let go."""


class MemorySpool:
    """The twin without a disk: the same rules, gone with the process."""

    def __init__(self, *, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._next_number = 1
        self._unread: deque[tuple[int, Message]] = deque()
        self._handed: deque[tuple[int, Message]] = deque()
        self.refused: deque[tuple[Message, str]] = deque(maxlen=1000)

    @property
    def unread(self) -> int:
        return len(self._unread)

    def append(self, message: Message, *, force: bool = False, handed: bool = False) -> int:
        assert not (handed and self._unread), "an unread record stands before it"
        if not force and self._bytes + message.size_bytes > self._bytes_max:
            raise _full(self._bytes_max)
        number = self._next_number
        self._next_number += 1
        self._bytes += message.size_bytes
        (self._handed if handed else self._unread).append((number, message))
        return number

    def read(self, count_max: int) -> list[tuple[int, Message]]:
        records = [self._unread.popleft() for _ in range(min(count_max, len(self._unread)))]
        self._handed.extend(records)
        return records

    def rewind(self) -> None:
        self._unread.extendleft(reversed(self._handed))
        self._handed.clear()

    def commit(self, number: int) -> None:
        while self._handed and self._handed[0][0] <= number:
            self._bytes -= self._handed.popleft()[1].size_bytes

    def refuse(self, message: Message, reason: str) -> None:
        self.refused.append((message, reason))

    def unsynced(self) -> Callable[[], None] | None:
        return None

    def close(self) -> None:
        """Nothing to let go; what is left was counted by the publisher."""


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    size: int = 0


@dataclass(frozen=True, slots=True)
class _Place:
    """A position between two records."""

    segment: int
    offset: int


class DiskSpool:
    """The spool in a folder that one process at a time may use."""

    def __init__(
        self, folder: Path, *, bytes_max: int = BYTES_MAX, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._segment_bytes = segment_bytes
        self._lock = _lock_folder(folder)
        self._segments: deque[_Segment] = deque()
        self._handed: deque[tuple[int, _Place]] = deque()
        self._commits = 0
        self._next_number = 1
        self._unread = 0
        self._tail: int | None = None
        self._dirty = False
        self._committed = self._recover()
        self._cursor = self._committed

    @property
    def unread(self) -> int:
        return self._unread

    @property
    def bytes_used(self) -> int:
        """Bytes of records that are kept, committed parts of the oldest segment included."""
        return sum(segment.size for segment in self._segments)

    def append(self, message: Message, *, force: bool = False, handed: bool = False) -> int:
        assert not (handed and self._unread), "an unread record stands before it"
        record = encode_record(message)
        if not force and self.bytes_used + len(record) > self._bytes_max:
            raise _full(self._bytes_max)
        segment = self._writable()
        try:
            _write_all(self._tail_fd(segment), record)
        except OSError as error:
            # A half-written record must not stand before the next one.
            os.ftruncate(self._tail_fd(segment), segment.size)
            raise SpoolFull(f"spool: cannot write to {segment.path.name}: {error.strerror}") from error
        segment.size += len(record)
        self._dirty = True
        number = self._next_number
        self._next_number += 1
        if handed:
            self._cursor = _Place(segment.number, segment.size)
            self._handed.append((number, self._cursor))
        else:
            self._unread += 1
        return number

    def read(self, count_max: int) -> list[tuple[int, Message]]:
        records: list[tuple[int, Message]] = []
        while len(records) < count_max and self._unread:
            segment = self._segment_at(self._cursor)
            with segment.path.open("rb") as file:
                file.seek(self._cursor.offset if segment.number == self._cursor.segment else 0)
                for message, end in read_records(file.read, start=file.tell()):
                    number = self._next_number - self._unread
                    self._unread -= 1
                    self._cursor = _Place(segment.number, end)
                    self._handed.append((number, self._cursor))
                    records.append((number, message))
                    if len(records) == count_max:
                        break
        return records

    def rewind(self) -> None:
        self._unread += len(self._handed)
        self._handed.clear()
        self._cursor = self._committed

    def commit(self, number: int) -> None:
        while self._handed and self._handed[0][0] <= number:
            self._committed = self._handed.popleft()[1]
            self._commits += 1
        if not self._unread and not self._handed:
            self._reset()
            return
        removed = self._drop_finished()
        if removed or self._commits >= MARK_EVERY:
            self._write_mark()

    def refuse(self, message: Message, reason: str) -> None:
        line = json.dumps(
            {
                "at_ms": time.time_ns() // 1_000_000,
                "reason": reason,
                "subject": message.subject,
                "msg_id": message.msg_id,
                "headers": dict(message.headers),
                "payload_hex": message.payload.hex(),
            }
        )
        path = self._folder / "refused.jsonl"
        if path.exists() and path.stat().st_size > self._bytes_max:
            _log.error(
                "spool: %s has reached its bound; message %s is dropped: %s",
                path.name,
                message.msg_id,
                reason,
            )
            return
        with path.open("a", encoding="ascii") as file:
            file.write(line + "\n")

    def unsynced(self) -> Callable[[], None] | None:
        if not self._dirty or self._tail is None:
            return None
        self._dirty = False
        # A descriptor of its own: the segment may be finished and closed while the thread is at work.
        descriptor = os.dup(self._tail)

        def push() -> None:
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

        return push

    def close(self) -> None:
        self._sync()
        if self._segments:
            self._write_mark()
        if self._tail is not None:
            os.close(self._tail)
            self._tail = None
        os.close(self._lock)

    def _sync(self) -> None:
        if (push := self.unsynced()) is not None:
            push()

    def _recover(self) -> _Place:
        mark = self._read_mark()
        for path in sorted(self._folder.glob("*.spool")):
            segment = _Segment(int(path.stem), path)
            if segment.number < mark.segment:
                path.unlink()
                continue
            start = min(mark.offset, path.stat().st_size) if segment.number == mark.segment else 0
            with path.open("rb") as file:
                file.seek(start)
                segment.size = start
                for _, segment.size in read_records(file.read, start=start):
                    self._unread += 1
            self._set_aside(segment)
            self._segments.append(segment)
        self._next_number += self._unread
        if not self._segments:
            return _Place(mark.segment, 0)
        first = self._segments[0].number
        return _Place(first, min(mark.offset, self._segments[0].size) if mark.segment == first else 0)

    def _set_aside(self, segment: _Segment) -> None:
        """Move what follows the last whole record out of the way; a crash during a write leaves that."""
        surplus = segment.path.stat().st_size - segment.size
        if surplus <= 0:
            return
        aside = segment.path.with_suffix(f".torn-{time.time_ns()}")
        with segment.path.open("r+b") as file:
            file.seek(segment.size)
            aside.write_bytes(file.read())
            file.truncate(segment.size)
        _log.warning(
            "spool: %d bytes after the last whole record of %s set aside in %s",
            surplus,
            segment.path.name,
            aside.name,
        )

    def _segment_at(self, place: _Place) -> _Segment:
        for segment in self._segments:
            if segment.number > place.segment or (
                segment.number == place.segment and place.offset < segment.size
            ):
                return segment
        raise AssertionError("unread records, but no segment holds them")

    def _writable(self) -> _Segment:
        if self._segments and self._segments[-1].size < self._segment_bytes:
            return self._segments[-1]
        if self._tail is not None:
            self._sync()
            os.close(self._tail)
            self._tail = None
        number = self._segments[-1].number + 1 if self._segments else max(self._committed.segment, 1)
        segment = _Segment(number, self._folder / f"{number:012d}.spool")
        self._segments.append(segment)
        return segment

    def _tail_fd(self, segment: _Segment) -> int:
        if self._tail is None:
            self._tail = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self._tail

    def _drop_finished(self) -> bool:
        removed = False
        while len(self._segments) > 1 and self._segments[0].number < self._committed.segment:
            self._segments.popleft().path.unlink(missing_ok=True)
            removed = True
        return removed

    def _reset(self) -> None:
        if not self._segments:
            return
        if self._tail is not None:
            os.close(self._tail)
            self._tail = None
        self._dirty = False
        # The mark comes first: a crash in between leaves segments that the next start knows to be finished.
        self._committed = self._cursor = _Place(self._segments[-1].number + 1, 0)
        self._write_mark()
        while self._segments:
            self._segments.popleft().path.unlink(missing_ok=True)

    def _read_mark(self) -> _Place:
        try:
            data = json.loads((self._folder / "mark").read_text("ascii"))
            return _Place(int(data["segment"]), int(data["offset"]))
        except (OSError, ValueError, KeyError, TypeError):
            return _Place(0, 0)

    def _write_mark(self) -> None:
        self._commits = 0
        draft = self._folder / "mark.new"
        draft.write_text(
            json.dumps({"segment": self._committed.segment, "offset": self._committed.offset}), "ascii"
        )
        draft.replace(self._folder / "mark")


def _full(bytes_max: int) -> SpoolFull:
    return SpoolFull(f"spool: its {bytes_max} bytes are full and the bus is away", retry_after_ms=1_000)


def _lock_folder(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"spool folder {folder}: a writable folder expected ({error.strerror})") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError(
            f"spool folder {folder}: in use by another process; each replica needs its own"
        ) from error
    return lock


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
