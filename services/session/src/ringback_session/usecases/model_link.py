"""The connection to the model: made, lost, made again or replaced, each time with the conversation rebuilt."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

from ringback_errors import Unavailable
from ringback_realtime import MalformedFrameError, peek
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from ringback_session.ports import Models, ModelSocket, Term

__all__ = ["ModelLink"]

# What is kept while no connection serves: half a minute of the caller's voice, and so many requests.
AUDIO_BYTES_MAX = 2 * 1024 * 1024
REQUESTS_MAX = 64
RECONNECTS_MAX = 8
# Full jitter: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
PAUSE_FIRST_S = 0.4
PAUSE_MAX_S = 5.0
# A connection that held for so long was a good one: what is lost later is a new loss.
LASTING_S = 10.0
_JITTER = wait_random_exponential(multiplier=PAUSE_FIRST_S / 2, max=PAUSE_MAX_S)
_KEPT = ("response.create", "input_audio_buffer.commit", "input_audio_buffer.clear")
Purpose = Literal["start", "reconnect", "rotation"]


class _Line:
    """One connection; `lost` says why it can not be used any more, `taker` has its frames while it serves."""

    __slots__ = ("lost", "socket", "taker")

    def __init__(self) -> None:
        self.socket: ModelSocket | None = None
        self.taker: Callable[[bytes], None] | None = None
        self.lost = ""

    def frame(self, frame: bytes) -> None:
        """What a connection says before or after it serves is about nothing that the call knows."""
        taker = self.taker
        if taker is not None:
            taker(frame)

    @property
    def usable(self) -> bool:
        return self.socket is not None and not self.lost

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()


class ModelLink:
    """One call's way to the model, over any number of connections, one of which serves at a time."""

    __slots__ = (
        "_audio_bytes",
        "_backlog",
        "_closed",
        "_connected_s",
        "_line",
        "_losses",
        "_model",
        "_models",
        "_on_frame",
        "_on_lost",
        "_opening",
        "_served",
        "_spare",
        "audio",
        "send",
    )

    def __init__(
        self,
        *,
        models: Models,
        model: Callable[[], str],
        opening: Callable[[str], list[bytes]],
        on_frame: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._models = models
        self._model = model
        self._opening = opening
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._line: _Line | None = None
        self._spare: _Line | None = None
        # The caller's audio, verbatim. While the model is away the last half minute of it waits.
        self.audio: Callable[[bytes], None] = self._keep_audio
        # While the model is away only requests are kept: all else is in the history.
        self.send: Callable[[bytes], None] = self._keep
        self._backlog: deque[tuple[bool, bytes]] = deque()
        self._audio_bytes = 0
        self._closed = False
        self._served = 0
        self._connected_s = 0.0
        self._losses = 0

    @property
    def term(self) -> Term:
        """How long the present connection may serve."""
        line = self._line
        return line.socket.term if line is not None and line.socket is not None else Term()

    async def connect(self, context: str) -> None:
        """Connect, configure, rebuild. Raises Unavailable."""
        line = await self._dialled("start")
        if self._closed:
            line.close()
        else:
            self._serve(line, context)

    async def reconnect(self, context: Callable[[], Awaitable[str]]) -> None:
        """Try with growing pauses, also between connections that do not last. Raises Unavailable in the end."""
        first = self._losses > 1

        async def attempt() -> None:
            nonlocal first
            if first:
                # Connections that do not last are failed attempts too.
                first = False
                raise Unavailable("the model hung up again and again")
            if not self._closed:
                await self._again(context)

        retrying = AsyncRetrying(
            stop=lambda _: self._losses >= RECONNECTS_MAX,
            wait=_pause_s,
            retry=retry_if_exception_type(Unavailable),
            sleep=asyncio.sleep,
            reraise=True,
        )
        await retrying(attempt)

    async def prepare(self) -> bool:
        """Have another connection at hand for `rotate`. False when none can be had now."""
        served = self._served
        try:
            line = await self._dialled("rotation")
        except Unavailable:
            return False
        if self._closed or self._line is None or self._served != served:
            # It is not wanted any more.
            line.close()
            return False
        self._drop_spare()
        self._spare = line
        return True

    def rotate(self, context: str) -> bool:
        """Let the prepared connection take over. False if it was lost meanwhile: then none serves."""
        old = self._away()
        if old is not None:
            old.close()
        spare, self._spare = self._spare, None
        if spare is None or not spare.usable:
            return False
        self._serve(spare, context)
        return True

    def close(self) -> None:
        self._closed = True
        line = self._away()
        self._drop_spare()
        self._backlog.clear()
        if line is not None:
            line.close()

    async def _again(self, context: Callable[[], Awaitable[str]]) -> None:
        spare, self._spare = self._spare, None
        try:
            line = spare if spare is not None and spare.usable else await self._dialled("reconnect")
        except Unavailable:
            self._losses += 1
            raise
        try:
            text = await context()
        except BaseException:
            # Nobody would ever close it: the call that it was for is over.
            line.close()
            raise
        if self._closed:
            line.close()
        elif line.lost:
            self._losses += 1
            raise Unavailable(f"the model hung up at once: {line.lost}")
        else:
            self._serve(line, text)

    async def _dialled(self, purpose: Purpose) -> _Line:
        line = _Line()

        def on_lost(reason: str) -> None:
            line.lost = reason or "closed"
            if self._line is line:
                self._lost(reason)

        line.socket = await self._models.connect(
            model=self._model(), purpose=purpose, on_frame=line.frame, on_lost=on_lost
        )
        if line.lost and not self._closed:
            raise Unavailable(f"the model hung up at once: {line.lost}")
        return line

    def _serve(self, line: _Line, context: str) -> None:
        assert line.socket is not None, "dialled before it serves"
        self._line = line
        line.taker = self._on_frame
        self.audio = self.send = line.socket.send
        self._served += 1
        self._connected_s = asyncio.get_running_loop().time()
        backlog, self._backlog, self._audio_bytes = self._backlog, deque(), 0
        for frame in self._opening(context):
            line.socket.send(frame)
        for _, frame in backlog:
            line.socket.send(frame)

    def _lost(self, reason: str) -> None:
        self._away()
        if self._closed:
            return
        lasted_s = asyncio.get_running_loop().time() - self._connected_s
        self._losses = 1 if lasted_s > LASTING_S else self._losses + 1
        self._on_lost(reason)

    def _away(self) -> _Line | None:
        """No connection serves from now on. Returns the one that did."""
        line, self._line = self._line, None
        if line is not None:
            line.taker = None
        self.audio, self.send = self._keep_audio, self._keep
        return line

    def _keep(self, frame: bytes) -> None:
        if self._closed or not _is_kept(frame):
            return
        if sum(not is_audio for is_audio, _ in self._backlog) < REQUESTS_MAX:
            self._backlog.append((False, frame))

    def _keep_audio(self, frame: bytes) -> None:
        if self._closed:
            return
        self._backlog.append((True, frame))
        self._audio_bytes += len(frame)
        while self._audio_bytes > AUDIO_BYTES_MAX:
            # The oldest goes first; requests among it stay in their order.
            oldest = next(entry for entry in self._backlog if entry[0])
            self._backlog.remove(oldest)
            self._audio_bytes -= len(oldest[1])

    def _drop_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.close()


def _pause_s(state: RetryCallState) -> float:
    """Full jitter, but not before the model asked to be left alone, within reason."""
    error = state.outcome.exception() if state.outcome else None
    asked_ms = error.retry_after_ms if isinstance(error, Unavailable) else None
    return max(_JITTER(state), min(PAUSE_MAX_S, (asked_ms or 0) / 1000))


def _is_kept(frame: bytes) -> bool:
    try:
        return peek(frame).type in _KEPT
    except MalformedFrameError:
        return False
