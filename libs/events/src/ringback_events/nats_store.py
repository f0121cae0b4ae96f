"""Buckets and object stores on JetStream."""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

import orjson
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import Error as JsError
from nats.js.errors import NotFoundError
from ringback_errors import Conflict, InvalidInput, Unavailable

from ringback_events.bus import BusStats, Delivery, Entry, Subscription, WatchHandler
from ringback_events.failures import BusAway, WriteUnknown
from ringback_events.handling import watch_one
from ringback_events.keys import check_key, check_key_prefix, check_summary
from ringback_events.nats_consumer import TailSubscription
from ringback_events.nats_link import ApiError, NatsLink, answer_of
from ringback_events.topology import BucketSpec

__all__ = ["NatsBucket", "NatsObjects", "OpenTail"]

OPERATION = "KV-Operation"
SUMMARY = "Ringback-Summary"
MARKER = "Nats-Marker-Reason"
EXPECTED_REVISION = "Nats-Expected-Last-Subject-Sequence"
WRONG_REVISION = (10071, 10164)
TOO_LARGE = 10054
NO_MESSAGE = 10037
# Objects that are kept to be compared by their meta message alone, and how many of them.
SMALL_BYTES_MAX = 4_096
SMALL_MAX = 256

_T = TypeVar("_T")

_Take = Callable[[Msg, Delivery], Awaitable[None]]


class OpenTail(Protocol):
    """Opens a tail over a stream."""

    async def __call__(
        self,
        stream: str,
        filter_subject: str,
        deliver: str,
        take: _Take,
        *,
        headers_only: bool = False,
        pace_ms: int = 0,
    ) -> TailSubscription: ...


class NatsBucket:
    """A bucket; see the protocol for what each call promises."""

    def __init__(self, link: NatsLink, spec: BucketSpec, *, open_tail: OpenTail, stats: BusStats) -> None:
        self._link = link
        self._spec = spec
        self._stream = f"KV_{spec.name}"
        self._subject = f"$KV.{spec.name}."
        self._open_tail = open_tail
        self._stats = stats

    async def get(self, key: str, *, timeout_ms: int = 2_000) -> Entry | None:
        entry, _ = await self._read(check_key(key), timeout_ms=timeout_ms)
        return entry

    async def create(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        try:
            return await self._write(key, value, expected=0, summary=summary, timeout_ms=timeout_ms)
        except Conflict:
            # A deleted key leaves a marker with a revision of its own: create on top of exactly that one.
            entry, marker = await self._read(key, timeout_ms=timeout_ms)
            if entry is not None or not marker:
                raise
            return await self._write(key, value, expected=marker, summary=summary, timeout_ms=timeout_ms)

    async def update(
        self, key: str, value: bytes, *, revision: int, summary: str = "", timeout_ms: int = 2_000
    ) -> int:
        return await self._write(key, value, expected=revision, summary=summary, timeout_ms=timeout_ms)

    async def put(self, key: str, value: bytes, *, summary: str = "", timeout_ms: int = 2_000) -> int:
        return await self._write(key, value, expected=None, summary=summary, timeout_ms=timeout_ms)

    async def delete(self, key: str, *, revision: int | None = None, timeout_ms: int = 2_000) -> None:
        await self._write(key, None, expected=revision, summary="", timeout_ms=timeout_ms)

    async def keys(self, prefix: str = "", *, timeout_ms: int = 5_000) -> list[str]:
        live: set[str] = set()

        async def take(message: Msg, delivery: Delivery) -> None:
            key = delivery.subject[len(self._subject) :]
            if key.startswith(prefix) and not _is_removal(delivery):
                live.add(key)

        tail = await self._tail(prefix, take, headers_only=True)
        try:
            await _caught_up(tail, timeout_ms=timeout_ms, what=self._stream)
        finally:
            await tail.close()
        return sorted(live)

    async def watch(
        self,
        prefix: str,
        handler: WatchHandler,
        *,
        timeout_ms: int = 5_000,
        pace_ms: int = 0,
        summaries: bool = False,
    ) -> Subscription:
        first = True

        async def take(message: Msg, delivery: Delivery) -> None:
            key = delivery.subject[len(self._subject) :]
            entry = None if _is_removal(delivery) else _entry_of(delivery)
            if key.startswith(prefix) and not (first and entry is None):
                await watch_one(key, entry, handler, self._stats)

        tail = await self._tail(prefix, take, pace_ms=pace_ms, headers_only=summaries)
        try:
            await _caught_up(tail, timeout_ms=timeout_ms, what=self._stream)
        except Unavailable:
            await tail.close()
            raise
        first = False
        return tail

    async def _tail(
        self, prefix: str, take: _Take, *, headers_only: bool = False, pace_ms: int = 0
    ) -> TailSubscription:
        check_key_prefix(prefix)
        whole_tokens = prefix.endswith(".") and ".." not in prefix
        subject = f"{self._subject}{prefix if whole_tokens else ''}>"
        return await self._open_tail(
            self._stream, subject, "last_per_subject", take, headers_only=headers_only, pace_ms=pace_ms
        )

    async def _read(self, key: str, *, timeout_ms: int) -> tuple[Entry | None, int]:
        """Return the entry, or None and the revision of the marker that a deletion left (0: none)."""
        try:
            answer = await self._link.api(
                f"STREAM.MSG.GET.{self._stream}", {"last_by_subj": self._subject + key}, timeout_ms=timeout_ms
            )
        except ApiError as error:
            if error.err_code == NO_MESSAGE:
                return None, 0
            raise _unavailable(error, self._stream) from error
        message: dict[str, Any] = answer["message"]
        revision = int(message["seq"])
        headers = base64.b64decode(message.get("hdrs", "") or "")
        if OPERATION.encode() in headers or MARKER.encode() in headers:
            return None, revision
        return Entry(base64.b64decode(message.get("data", "") or ""), revision), revision

    async def _write(
        self, key: str, value: bytes | None, *, expected: int | None, summary: str, timeout_ms: int
    ) -> int:
        check_key(key)
        if value is not None and len(value) > self._spec.value_bytes_max:
            raise InvalidInput(
                f"value: at most {self._spec.value_bytes_max} bytes expected by bucket {self._spec.name},"
                f" got {len(value)}",
                field="value",
            )
        headers = {} if value is not None else {OPERATION: "DEL"}
        if summary:
            headers[SUMMARY] = check_summary(summary)
        if expected is not None:
            headers[EXPECTED_REVISION] = str(expected)
        message = await self._link.request(
            self._subject + key, value or b"", timeout_ms=timeout_ms, headers=headers
        )
        try:
            return int(answer_of(message)["seq"])
        except ApiError as error:
            if error.err_code in WRONG_REVISION:
                raise Conflict(
                    f"{self._spec.name}/{key}: revision {expected} expected", field="revision"
                ) from error
            raise _unavailable(error, self._stream) from error


class NatsObjects:
    """An object store; content is checked against its SHA-256 when read.

    To read an object takes a consumer of its own on the server. What is small, such as a name that points at another
    object, is kept, and read again only when its meta message tells of other content: one question then.
    """

    def __init__(self, link: NatsLink, name: str) -> None:
        self._link = link
        self._name = name
        # By name: the content's own id, and the content.
        self._small: OrderedDict[str, tuple[str, bytes]] = OrderedDict()

    async def put(self, name: str, data: bytes, *, timeout_ms: int = 10_000) -> None:
        async def work() -> None:
            store = await self._link.nc.jetstream().object_store(self._name)
            await store.put(name, data)

        await self._bounded(work(), timeout_ms=timeout_ms)

    async def get(self, name: str, *, timeout_ms: int = 10_000) -> bytes | None:
        known = self._small.get(name)
        if known is not None and known[0] == await self._content_id(name, timeout_ms=timeout_ms):
            return known[1]

        async def work() -> bytes | None:
            store = await self._link.nc.jetstream().object_store(self._name)
            try:
                found = await store.get(name)
            except NotFoundError:
                self._small.pop(name, None)
                return None
            data = bytes(found.data or b"")
            self._keep(name, found.info.nuid or "", data)
            return data

        return await self._bounded(work(), timeout_ms=timeout_ms)

    async def _content_id(self, name: str, *, timeout_ms: int) -> str:
        """What identifies the present content; nothing if there is none, or the server does not say."""
        meta = f"$O.{self._name}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"
        try:
            answer = await self._link.api(
                f"STREAM.MSG.GET.OBJ_{self._name}", {"last_by_subj": meta}, timeout_ms=timeout_ms
            )
            info = orjson.loads(base64.b64decode(answer["message"]["data"]))
            return "" if info.get("deleted") else str(info["nuid"])
        except (ApiError, KeyError, ValueError):
            return ""

    def _keep(self, name: str, content_id: str, data: bytes) -> None:
        self._small.pop(name, None)
        if content_id and len(data) <= SMALL_BYTES_MAX:
            self._small[name] = (content_id, data)
            if len(self._small) > SMALL_MAX:
                self._small.popitem(last=False)

    async def list(self, *, timeout_ms: int = 10_000) -> list[str]:
        async def work() -> list[str]:
            store = await self._link.nc.jetstream().object_store(self._name)
            try:
                return sorted(info.name for info in await store.list() if info.name and not info.deleted)
            except NotFoundError:
                return []

        return await self._bounded(work(), timeout_ms=timeout_ms)

    async def _bounded(self, work: Coroutine[Any, Any, _T], *, timeout_ms: int) -> _T:
        if not self._link.connected:
            work.close()
            raise BusAway(f"bus: {self._link.url} is not reachable; nothing was sent")
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                return await work
        except TimeoutError as error:
            raise WriteUnknown(f"objects {self._name}: no answer within {timeout_ms} ms") from error
        except (JsError, NatsError) as error:
            raise BusAway(f"objects {self._name}: {type(error).__name__}: {error}") from error


async def _caught_up(tail: TailSubscription, *, timeout_ms: int, what: str) -> None:
    try:
        async with asyncio.timeout(timeout_ms / 1000):
            await tail.caught_up.wait()
    except TimeoutError:
        raise Unavailable(f"bus: {what} was not read within {timeout_ms} ms") from None


def _entry_of(delivery: Delivery) -> Entry:
    return Entry(delivery.payload, delivery.stream_seq, delivery.headers.get(SUMMARY, ""))


def _is_removal(delivery: Delivery) -> bool:
    return OPERATION in delivery.headers or MARKER in delivery.headers


def _unavailable(error: ApiError, stream: str) -> Exception:
    if error.err_code == TOO_LARGE:
        return InvalidInput(f"value: too large for {stream}", field="value")
    return BusAway(f"bus: {stream} refused: {error}")
