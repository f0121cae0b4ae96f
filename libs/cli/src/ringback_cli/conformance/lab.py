"""What a check works with: connections to the server under test, audio for them, and how to say what was seen.

CheckFailedError     the server did something else than the protocol says
CheckSkippedError    this server, or what was said about it, does not let the check be made
"""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import urlsplit, urlunsplit

from ringback_sockets import RealtimeLink, dial

from ringback_cli.caller.audio import SAMPLE_RATE, silence
from ringback_cli.caller.voice import CallerVoice
from ringback_cli.conformance.probe import Event, Probe

__all__ = ["CheckFailedError", "CheckSkippedError", "Lab", "Target", "expect", "skip"]

HANDSHAKE_MS = 10_000
PAUSE_MS = 1_500
# The append of C10 has to leave this side.
OUTBOX_BYTES_MAX = 32 * 1024 * 1024
HTTP_S = 10


class CheckFailedError(Exception):
    """The words say what was seen instead."""


class CheckSkippedError(Exception):
    """The words say why."""


def expect(holds: object, otherwise: str) -> None:
    """The check fails unless it holds."""
    if not holds:
        raise CheckFailedError(otherwise)


def skip(reason: str) -> NoReturn:
    raise CheckSkippedError(reason)


@dataclass(frozen=True, kw_only=True)
class Target:
    """The server under test, and what must be known of it for some checks.

    `session_ms_max`: its limit for a session, if it is short enough to wait for. `failing_words`: words that make
    its model fail, in a text or as the prompt of a transcription.
    """

    url: str
    key: str = ""
    model: str = "gpt-realtime"
    session_ms_max: int = 0
    failing_words: str = ""
    any_key: bool = False

    def with_model(self, model: str | None) -> str:
        mark = "&" if "?" in self.url else "?"
        return f"{self.url}{mark}model={model}" if model else self.url


class Lab:
    """Connects checks to one target, and keeps every event that came for the checks that look at all of them."""

    def __init__(self, target: Target, *, voice: CallerVoice | None = None) -> None:
        self.target = target
        self.probes: list[Probe] = []
        self._voice = voice

    @asynccontextmanager
    async def connect(
        self,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        model: str | None = "",
        greeted: bool = True,
        **session: Any,
    ) -> AsyncIterator[Probe]:
        """A connection; `session` is what it is configured with, `greeted` waits for `session.created`."""
        shown = self.target.key if key is None else key
        auth = {"Authorization": f"Bearer {shown}"} if shown else {}
        url = self.target.with_model(self.target.model if model == "" else model)
        chosen = auth if headers is None else dict(headers)
        link = await dial(
            url, link=RealtimeLink(outbox_bytes_max=OUTBOX_BYTES_MAX), headers=chosen, timeout_ms=HANDSHAKE_MS
        )
        probe = Probe(link)
        self.probes.append(probe)
        try:
            if greeted:
                await probe.until("session.created")
            if session:
                await probe.configure(**session)
            yield probe
        finally:
            await probe.close()

    async def speech(self, line: str = "Hello, how can you help me today?") -> bytes:
        """PCM16 at 24 kHz of somebody who says the line."""
        if self._voice is None:
            self._voice = await asyncio.to_thread(CallerVoice, seed=3)
        return await asyncio.to_thread(self._voice.speak, line)

    async def turn(self, line: str = "Hello, how can you help me today?", *, lead_ms: int = 0) -> bytes:
        """A line with the silence after it that ends a turn."""
        pause = silence(SAMPLE_RATE * PAUSE_MS // 1000)
        return silence(SAMPLE_RATE * lead_ms // 1000) + await self.speech(line) + pause

    @property
    def events(self) -> list[Event]:
        """Every event of every connection so far."""
        return [event for probe in self.probes for event in probe.events]

    async def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> tuple[int, Event]:
        """POST JSON to a path below the Realtime URL; the status and the answer."""
        parts = urlsplit(self.target.url)
        scheme = {"ws": "http", "wss": "https"}[parts.scheme]
        url = urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + path, "", ""))
        shown = self.target.key if key is None else key
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {shown}"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
        return await asyncio.to_thread(_answer_of, request)


def _answer_of(request: urllib.request.Request) -> tuple[int, Event]:
    try:
        with urllib.request.urlopen(request, timeout=HTTP_S) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as refused:
        try:
            said = json.loads(refused.read() or b"{}")
        except ValueError:
            said = {}
        return refused.code, said if isinstance(said, dict) else {}
    except OSError:
        # A server without this path may also hang up on the body.
        return 0, {}
