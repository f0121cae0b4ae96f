"""The NATS connector: a request to a team's own worker, and its reply.

Request (JSON): `{"arguments", "action_id", "session_id", "tenant", "timeout_ms"}`, trace context and, for a
keyed tool, the key in the headers. Reply (JSON): `{"status": "ok", "data": …}` or `{"status": "error",
"error_code", "message", "retryable"}` with the codes of tools/v1 in lower case; an error with a code of its
own means that nothing was done. Where the request says `"progress": true`, any number of `{"status":
"progress", "message"}` may come before the reply. Workers that share the work subscribe with a queue group.
Nobody subscribed is known at once, and nothing was sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import nats
import orjson
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, NoRespondersError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from ringback_telemetry import inject

from ringback_tools.adapters.replies import StreamedReplies
from ringback_tools.domain.catalogue import ConnectorSpec
from ringback_tools.domain.messages import clean_text
from ringback_tools.domain.results import Answer, Answered, ErrorCode, Failed
from ringback_tools.ports import Call

__all__ = ["WorkerConnector"]

_log = logging.getLogger(__name__)
CONNECT_S: Final = 1
PROGRESS_BYTES_MAX: Final = 4_096
# The platform's own subjects are no workers: a pack must not be able to forge facts.
_FORBIDDEN: Final = ("ringback.", "$", "_")
_CODES: Final = {code.value: code for code in ErrorCode}
_IN_DOUBT: Final = frozenset({ErrorCode.TIMEOUT, ErrorCode.INTERNAL, ErrorCode.UNKNOWN_OUTCOME})
_PASSING: Final = frozenset(
    {ErrorCode.TIMEOUT, ErrorCode.TOOL_UNAVAILABLE, ErrorCode.RATE_LIMITED, ErrorCode.OVERLOADED}
)


class WorkerConnector:
    """Requests over a connection of its own, made when the first worker is called."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Client | None = None
        self._replies: StreamedReplies | None = None
        self._connecting = asyncio.Lock()

    async def call(self, call: Call) -> Answer:
        """One attempt."""
        subject = str(call.spec.options.get("subject", ""))
        if lacking := self.lacking(call.spec):
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=lacking)
        try:
            async with asyncio.timeout(min(CONNECT_S, call.timeout_ms / 2_000)):
                replies = await self._connected()
        except (NatsError, OSError, TimeoutError) as error:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=type(error).__name__)
        headers: dict[str, str] = {call.key_field: call.key} if call.key else {}
        inject(headers)
        try:
            reply = await replies.ask(
                subject,
                _request(call),
                headers=headers,
                timeout_s=call.timeout_ms / 1000,
                is_last=lambda raw: not _told(call, raw),
            )
        except NoRespondersError:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail="no worker is subscribed")
        except (OutboundBufferLimitError, ConnectionClosedError) as error:
            return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, detail=type(error).__name__)
        except TimeoutError:
            return Failed(ErrorCode.TIMEOUT, retryable=True, in_doubt=True, detail="no reply in time")
        except NatsError as error:
            return Failed(
                ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True, detail=type(error).__name__
            )
        return _answer(reply, bytes_max=call.bytes_max)

    def lacking(self, spec: ConnectorSpec) -> str:
        """A subject that is no worker's; whether one is subscribed shows with the call."""
        subject = str(spec.options.get("subject", ""))
        if not subject or subject.startswith(_FORBIDDEN):
            return "subject: expected a worker's own"
        return ""

    def described(self, call: Call) -> str:
        """The subject."""
        return str(call.spec.options.get("subject", ""))

    async def prepare(self, specs: Sequence[ConnectorSpec]) -> None:
        """Nothing: there is nothing to wait for."""

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()
            self._client = self._replies = None

    async def _connected(self) -> StreamedReplies:
        async with self._connecting:
            if self._client is None or self._replies is None or self._client.is_closed:
                self._client = await nats.connect(
                    self._url,
                    name="tools-workers",
                    connect_timeout=CONNECT_S,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    error_cb=_note,
                    # A request that waits for a reconnect would be sent after its time.
                    pending_size=0,
                )
                self._replies = StreamedReplies(self._client)
                await self._replies.start()
            if not self._client.is_connected:
                raise ConnectionError("not connected")
            return self._replies


async def _note(error: Exception) -> None:
    _log.warning("connection to workers: %s", type(error).__name__)


def _request(call: Call) -> bytes:
    return orjson.dumps(
        {
            "arguments": call.arguments,
            "action_id": call.action_id,
            "session_id": call.session_id,
            "tenant": call.tenant,
            "timeout_ms": call.timeout_ms,
            "progress": call.progress is not None,
        }
    )


def _told(call: Call, raw: bytes) -> bool:
    """Whether the message is word of progress; it is passed on then."""
    # Looked at before it is read: answers may be large, and are read but once.
    if call.progress is None or len(raw) > PROGRESS_BYTES_MAX or b'"progress"' not in raw:
        return False
    try:
        word = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return False
    if not isinstance(word, dict) or word.get("status") != "progress":
        return False
    call.progress(str(word.get("message", "")))
    return True


def _answer(raw: bytes, *, bytes_max: int) -> Answer:
    if len(raw) > bytes_max:
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail=f"more than {bytes_max} bytes")
    try:
        reply = orjson.loads(raw)
    except orjson.JSONDecodeError:
        reply = None
    if not isinstance(reply, dict) or reply.get("status") not in ("ok", "error"):
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=True, detail="no reply of the agreed form")
    if reply["status"] == "ok":
        data = reply.get("data")
        return Answered(data, status=200, body=data)
    return _error(reply)


def _error(reply: Mapping[str, Any]) -> Failed:
    code = _CODES.get(str(reply.get("error_code", "")), ErrorCode.INTERNAL)
    in_doubt = code in _IN_DOUBT
    retry_after_ms = reply.get("retry_after_ms")
    return Failed(
        code,
        retryable=reply.get("retryable") is True and code in _PASSING,
        in_doubt=in_doubt,
        definitive=not in_doubt and code not in _PASSING,
        blames=in_doubt or code is ErrorCode.TOOL_UNAVAILABLE,
        text=clean_text(reply.get("message")),
        retry_after_ms=retry_after_ms if isinstance(retry_after_ms, int) else 0,
        detail=code.value,
    )
