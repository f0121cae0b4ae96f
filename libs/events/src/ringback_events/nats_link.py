"""The connection to NATS: connects late, reconnects for ever with jitter, says in one line what is wrong."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
from nats.aio.client import Client, Server
from nats.errors import (
    ConnectionClosedError,
    ConnectionDrainingError,
    ConnectionReconnectingError,
    MaxPayloadError,
    OutboundBufferLimitError,
)
from nats.errors import Error as NatsError
from ringback_errors import ConfigError, InvalidInput

from ringback_events.failures import BusAway, WriteUnknown
from ringback_events.nats_lane import Answer
from ringback_events.nats_replies import Replies

__all__ = ["ApiError", "NatsLink", "redacted_url"]

CONNECT_TIMEOUT_S = 2
PING_INTERVAL_S = 5
PINGS_OUTSTANDING_MAX = 2
RECONNECT_MIN_S = 0.1
RECONNECT_MAX_S = 2.0
SAME_ERROR_EVERY_S = 10.0
NO_RESPONDERS = "503"
_NOT_SENT = (
    ConnectionClosedError,
    ConnectionDrainingError,
    ConnectionReconnectingError,
    OutboundBufferLimitError,
)
_log = logging.getLogger("ringback.events.nats")


class ApiError(Exception):
    """JetStream answered with an error: `code` as HTTP has it, `err_code` its own."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"{description} ({err_code})")
        self.code = code
        self.err_code = err_code


class NatsLink:
    """One connection with request and reply, and hooks for coming and going."""

    def __init__(self, url: str, *, name: str, on_change: Callable[[bool], None]) -> None:
        self.url = redacted_url(url)
        self._servers = [part.strip() for part in url.split(",") if part.strip()]
        _check_url(self._servers)
        self._name = name
        self._on_change = on_change
        self._closing = False
        self._last_error = ("", 0.0)
        self._reconnects = 0
        self._replies = Replies()
        self.nc: Client = Client()

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return bool(self.nc.is_connected)

    async def connect(self, *, wait_ms: int | None) -> None:
        """Connect, trying again until `wait_ms` (None: for ever); then ConfigError."""
        try:
            async with asyncio.timeout(None if wait_ms is None else wait_ms / 1000):
                await self.nc.connect(
                    servers=self._servers,
                    name=self._name,
                    error_cb=self._error,
                    disconnected_cb=self._gone,
                    reconnected_cb=self._back,
                    connect_timeout=CONNECT_TIMEOUT_S,
                    # For ever. Only the first connect waits by this constant; later ones by `_next_server`.
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=random.uniform(0.2, 0.5),  # type: ignore[arg-type]
                    reconnect_to_server_handler=self._next_server,
                    ping_interval=PING_INTERVAL_S,
                    max_outstanding_pings=PINGS_OUTSTANDING_MAX,
                    # Nothing is buffered while the connection is down, so a request that fails then was not
                    # sent.
                    pending_size=0,
                )
        except TimeoutError:
            raise ConfigError(
                f"RINGBACK_NATS_URL: a NATS server expected at {self.url}, not reachable within {wait_ms} ms"
                f" ({self._last_error[0] or 'no answer'})"
            ) from None
        except NatsError as error:
            raise ConfigError(f"RINGBACK_NATS_URL: cannot connect to {self.url}: {error}") from error
        await self._replies.open(self.nc)
        self._last_error = ("", 0.0)
        self._on_change(True)

    async def request(
        self, subject: str, payload: bytes = b"", *, timeout_ms: int, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Ask and return the answer; BusAway if nothing was sent, WriteUnknown if no answer came in time."""
        if not self.connected:
            raise BusAway(f"bus: {self.url} is not reachable; nothing was sent")
        try:
            answer = await self._replies.ask(
                self.nc, subject, payload, timeout_s=timeout_ms / 1000, headers=headers
            )
        except _NOT_SENT as error:
            raise BusAway(f"bus: {self.url} is not reachable; nothing was sent") from error
        except MaxPayloadError as error:
            raise InvalidInput(
                f"payload: at most {self.nc.max_payload} bytes expected by the server", field="payload"
            ) from error
        except TimeoutError as error:
            raise WriteUnknown(f"bus: no answer within {timeout_ms} ms; read before deciding") from error
        except (NatsError, OSError) as error:
            raise WriteUnknown(f"bus: {type(error).__name__}; read before deciding") from error
        if answer.headers and answer.headers.get("Status") == NO_RESPONDERS:
            raise BusAway("bus: JetStream does not answer (no responders); nothing was stored")
        return answer

    async def take_acks(self, take: Callable[[str, Answer], None]) -> None:
        """Hand answers to what is posted to this, with their tokens."""
        await self._replies.open_acks(self.nc, take)

    async def post(self, subject: str, payload: bytes, *, token: str, headers: Mapping[str, str]) -> None:
        """Publish without waiting for the answer; raises what nats-py's `publish` raises."""
        await self._replies.post(self.nc, subject, payload, token=token, headers=headers)

    async def api(
        self, subject: str, body: Mapping[str, Any] | None = None, *, timeout_ms: int
    ) -> dict[str, Any]:
        """Ask JetStream's API; ApiError carries its error."""
        message = await self.request(
            f"$JS.API.{subject}",
            orjson.dumps(body) if body is not None else b"",
            timeout_ms=timeout_ms,
        )
        return answer_of(message)

    async def close(self) -> None:
        """Disconnect."""
        self._closing = True
        try:
            async with asyncio.timeout(2):
                await self.nc.close()
        except (TimeoutError, NatsError, OSError) as error:
            _log.debug("closing the connection: %s", error)

    async def _error(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        seen, at = self._last_error
        now = time.monotonic()
        if not self._closing and (text != seen or now - at > SAME_ERROR_EVERY_S):
            self._last_error = (text, now)
            _log.warning("NATS at %s: %s", self.url, text)

    async def _gone(self) -> None:
        self._reconnects = 0
        if not self._closing:
            _log.warning("NATS at %s: connection lost; publishing goes to the spool", self.url)
        self._on_change(False)

    async def _back(self) -> None:
        self._last_error = ("", 0.0)
        self._replies.reopen()
        _log.info("NATS at %s: connected again", self.url)
        self._on_change(True)

    def _next_server(self, servers: list[Server], info: dict[str, Any]) -> tuple[Server, float]:
        wait_s = min(RECONNECT_MAX_S, RECONNECT_MIN_S * 2 ** min(self._reconnects, 10)) * random.uniform(
            0.5, 1.0
        )
        server = servers[self._reconnects % len(servers)]
        self._reconnects += 1
        return server, wait_s


def answer_of(message: Answer) -> dict[str, Any]:
    """Return a JetStream answer, or raise its error as ApiError."""
    try:
        answer: dict[str, Any] = orjson.loads(message.data)
    except ValueError as error:
        raise WriteUnknown("bus: JetStream answered with something that is not JSON") from error
    if "error" in answer:
        refusal = answer["error"]
        raise ApiError(
            int(refusal.get("code", 500)),
            int(refusal.get("err_code", 0)),
            str(refusal.get("description", "no description")),
        )
    return answer


def redacted_url(url: str) -> str:
    """Return the URL (or several, by commas) without user and password."""
    return ",".join(part.rpartition("@")[2] if "@" in part else part for part in url.split(","))


def _check_url(servers: list[str]) -> None:
    for server in servers or [""]:
        try:
            parts = urlsplit(server)
            good = (
                parts.scheme in ("nats", "tls", "ws", "wss")
                and bool(parts.hostname)
                and (parts.port or 1) > 0
            )
        except ValueError:
            good = False
        if not good:
            raise ConfigError(f"RINGBACK_NATS_URL: nats://host:port expected, got {redacted_url(server)!r}")
