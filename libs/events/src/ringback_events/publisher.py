"""The way out: a bounded window of messages in flight, the spool behind it, and the order of both.

A message is in the window (in memory, sent or about to be) or in the spool. When the bus goes away, what is
in the window moves to the end of the spool, so nothing but the spool has to survive; when it comes back the
spool is sent first. After a failure everything that is not acknowledged is sent again from the oldest on,
and the stream drops what it has by its id.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ringback_errors import RingbackError, Unavailable
from ringback_telemetry import counter, gauge
from ringback_telemetry.names import Attr, Metric

from ringback_events.bus import BusStats
from ringback_events.failures import BusAway, SpoolFull
from ringback_events.message import Message
from ringback_events.spool import SYNC_INTERVAL_MS, Spool

__all__ = ["Publisher", "PublisherLimits", "Send"]

Send = Callable[[int, Message], Awaitable[None]]
OnAck = Callable[[], None]
_log = logging.getLogger("ringback.events.publisher")


@dataclass(frozen=True, slots=True)
class PublisherLimits:
    """Bounds of the window and its patience."""

    window_messages_max: int = 512
    window_bytes_max: int = 8 * 1024 * 1024
    # Longer than a change of leader of a replicated stream (4 to 10 s).
    ack_timeout_ms: int = 12_000
    retry_base_ms: int = 100
    retry_max_ms: int = 5_000


@dataclass(slots=True)
class _Item:
    token: int
    message: Message
    on_ack: OnAck | None
    # The record's number in the spool; None for a message that never was there.
    record: int | None
    sent_at: float | None = None
    done: bool = False


class Publisher:
    """Delivers messages in order over a transport that may come and go."""

    def __init__(
        self, send: Send, *, spool: Spool, stats: BusStats, limits: PublisherLimits | None = None
    ) -> None:
        self._send = send
        self._spool = spool
        self._stats = stats
        self._limits = limits or PublisherLimits()
        self._window: deque[_Item] = deque()
        self._window_bytes = 0
        self._unsent: deque[_Item] = deque()
        self._flying: dict[int, _Item] = {}
        # Messages that should have moved to the spool and could not (a full disk); nothing is taken while
        # there are any.
        self._stranded: deque[tuple[Message, OnAck | None]] = deque()
        self._callbacks: dict[int, OnAck] = {}
        self._next_token = 1
        self._submitted = spool.unread
        self._completed = 0
        self._up = False
        self._closed = False
        self._failures = 0
        self._retry_at = 0.0
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._sync_task: asyncio.Task[None] | None = None

    @property
    def unacked(self) -> int:
        """Messages taken and not yet acknowledged."""
        return self._submitted - self._completed

    def start(self) -> None:
        """Begin sending; needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="publisher")
        self._sync_task = asyncio.create_task(self._look_after_spool(), name="publisher-sync")

    def submit(self, message: Message, on_ack: OnAck | None = None, *, durable: bool = False) -> None:
        """Take a message; SpoolFull when it cannot be kept. A durable one is in the spool, with all before it."""
        if self._closed:
            raise BusAway("bus: closed, nothing more can be published")
        if self._up and not self._spool.unread and not self._stranded and self._room_for(message):
            self._enter(message, on_ack, record=self._recorded(message) if durable else None)
        else:
            self._to_spool(message, on_ack)
        self._submitted += 1
        self._stats.published += 1
        self._wake.set()

    def connected(self) -> None:
        """The transport works (again): send what waits."""
        self._up = True
        self._failures = 0
        self._retry_at = 0.0
        self._wake.set()

    def disconnected(self) -> None:
        """The transport is gone: move what is in flight to the spool, in order."""
        self._up = False
        self._move_window_to_spool()

    def acked(self, token: int) -> None:
        """The stream has stored the message sent as `token`."""
        item = self._flying.pop(token, None)
        if item is None or item.done:
            return
        item.done = True
        self._failures = 0
        self._stats.acked += 1
        if item.on_ack is not None:
            _call(item.on_ack)
        self._advance()

    def failed(self, token: int, reason: str) -> None:
        """The stream did not take `token` now; everything unacknowledged is sent again after a wait."""
        if token in self._flying:
            self._again(reason)

    def refused(self, token: int, reason: str) -> None:
        """The stream will never take `token`: set it aside and go on with the others."""
        item = self._flying.pop(token, None)
        if item is None or item.done:
            return
        item.done = True
        self._stats.refused += 1
        _log.error("message %s on %s refused for good: %s", item.message.msg_id, item.message.subject, reason)
        self._spool.refuse(item.message, reason)
        self._advance()

    async def flush(self, timeout_ms: int) -> None:
        """Wait until all that was taken before is acknowledged; Unavailable if time runs out."""
        target = self._submitted
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                while self._completed < target:
                    self._progress.clear()
                    await self._progress.wait()
        except TimeoutError:
            waiting = target - self._completed
            raise Unavailable(f"bus: {waiting} messages not acknowledged within {timeout_ms} ms") from None

    async def close(self, timeout_ms: int) -> None:
        """Give the rest a moment, then leave it in the spool for the next start."""
        self._closed = True
        if self._up:
            try:
                await self.flush(timeout_ms)
            except Unavailable as error:
                _log.warning("%s at close; they stay in the spool", error)
        for task in (self._task, self._sync_task):
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        self._up = False
        self._move_window_to_spool()
        if self._stranded:
            _log.error("%d messages are lost: neither the bus nor the spool takes them", len(self._stranded))
        await asyncio.to_thread(self._spool.close)

    def _room_for(self, message: Message) -> bool:
        return (
            len(self._window) < self._limits.window_messages_max
            and self._window_bytes + message.size_bytes <= self._limits.window_bytes_max
        )

    def _recorded(self, message: Message) -> int:
        """Writes what is in the window and the message to the spool, as handed out; the message's record."""
        try:
            for item in self._window:
                if item.record is None and not item.done:
                    item.record = self._spool.append(item.message, force=True, handed=True)
            return self._spool.append(message, handed=True)
        except SpoolFull:
            self._stats.spool_full += 1
            counter(Metric.REFUSED).add(1, {Attr.REASON: "spool_full"})
            raise

    def _enter(self, message: Message, on_ack: OnAck | None, *, record: int | None) -> None:
        item = _Item(self._next_token, message, on_ack, record)
        self._next_token += 1
        self._window.append(item)
        self._window_bytes += message.size_bytes
        self._unsent.append(item)

    def _to_spool(self, message: Message, on_ack: OnAck | None) -> None:
        try:
            if self._stranded:
                raise SpoolFull("spool: cannot be written and the bus is away", retry_after_ms=1_000)
            record = self._spool.append(message)
        except SpoolFull:
            self._stats.spool_full += 1
            counter(Metric.REFUSED).add(1, {Attr.REASON: "spool_full"})
            raise
        self._stats.spooled += 1
        if on_ack is not None:
            self._callbacks[record] = on_ack

    def _move_window_to_spool(self) -> None:
        items = [item for item in self._window if not item.done]
        forgotten = sum(1 for item in self._window if item.done and item.record is None)
        self._completed += forgotten
        self._window.clear()
        self._unsent.clear()
        self._flying.clear()
        self._window_bytes = 0
        for item in items:
            if item.record is not None:
                if item.on_ack is not None:
                    self._callbacks[item.record] = item.on_ack
            else:
                self._strand_or_spool(item)
        self._spool.rewind()
        self._progress.set()

    def _strand_or_spool(self, item: _Item) -> None:
        if not self._stranded:
            try:
                # Beyond the spool's bound by one window at most: these were taken already.
                record = self._spool.append(item.message, force=True)
            except SpoolFull as error:
                _log.error("%s; in-flight messages are kept in memory only", error)
            else:
                self._stats.spooled += 1
                if item.on_ack is not None:
                    self._callbacks[record] = item.on_ack
                return
        self._stranded.append((item.message, item.on_ack))

    async def _run(self) -> None:
        while True:
            await self._wait_for_work()
            if not self._up:
                continue
            if self._overdue():
                self._again(f"no acknowledgement within {self._limits.ack_timeout_ms} ms")
            if _now() >= self._retry_at:
                self._load()
                await self._send_waiting()

    async def _wait_for_work(self) -> None:
        try:
            async with asyncio.timeout(self._seconds_until_due()):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    def _seconds_until_due(self) -> float | None:
        if not self._up:
            return None
        if _now() < self._retry_at:
            return self._retry_at - _now()
        oldest = self._oldest_sent_at()
        if oldest is None:
            return None
        return max(0.0, oldest + self._limits.ack_timeout_ms / 1000 - _now())

    def _oldest_sent_at(self) -> float | None:
        return next((item.sent_at for item in self._window if not item.done), None)

    def _overdue(self) -> bool:
        oldest = self._oldest_sent_at()
        return oldest is not None and _now() - oldest >= self._limits.ack_timeout_ms / 1000

    def _load(self) -> None:
        room = self._limits.window_messages_max - len(self._window)
        while room > 0 and self._spool.unread and self._window_bytes < self._limits.window_bytes_max:
            for record, message in self._spool.read(min(room, 64)):
                self._enter(message, self._callbacks.pop(record, None), record=record)
            room = self._limits.window_messages_max - len(self._window)
        while self._stranded and not self._spool.unread and self._room_for(self._stranded[0][0]):
            self._enter(*self._stranded.popleft(), record=None)

    async def _send_waiting(self) -> None:
        while self._unsent and self._up and _now() >= self._retry_at:
            item = self._unsent.popleft()
            if item.done:
                continue
            item.sent_at = _now()
            self._flying[item.token] = item
            try:
                await self._send(item.token, item.message)
            except RingbackError as error:
                self._again(str(error))

    def _again(self, reason: str) -> None:
        self._stats.last_error = reason
        wait_ms = min(self._limits.retry_max_ms, self._limits.retry_base_ms * 2 ** min(self._failures, 16))
        self._failures += 1
        # Not random in tests' sense: jitter only spreads replicas, nothing depends on its value.
        self._retry_at = _now() + wait_ms / 1000 * random.uniform(0.5, 1.0)
        if self._failures in (1, 5) or self._failures % 50 == 0:
            _log.warning("publishing waits %d ms (failure %d): %s", wait_ms, self._failures, reason)
        self._unsent = deque(item for item in self._window if not item.done)
        for item in self._unsent:
            item.sent_at = None
        self._wake.set()

    def _advance(self) -> None:
        record = None
        while self._window and self._window[0].done:
            item = self._window.popleft()
            self._window_bytes -= item.message.size_bytes
            self._completed += 1
            record = item.record or record
        if record is not None:
            self._spool.commit(record)
        self._progress.set()
        self._wake.set()

    async def _look_after_spool(self) -> None:
        while True:
            await asyncio.sleep(SYNC_INTERVAL_MS / 1000)
            gauge(Metric.PUBLISH_UNACKED).set(self.unacked)
            gauge(Metric.SPOOL_DEPTH).set(self._spool.unread)
            if (push := self._spool.unsynced()) is not None:
                try:
                    await asyncio.to_thread(push)
                except OSError as error:
                    _log.error("spool: cannot sync: %s", error.strerror)


def _call(on_ack: OnAck) -> None:
    try:
        on_ack()
    except Exception:
        _log.exception("an on_ack callback failed")


def _now() -> float:
    return asyncio.get_running_loop().time()
