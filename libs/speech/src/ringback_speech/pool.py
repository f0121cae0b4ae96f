"""Owns the running of inference beside the event loop: a bounded pool of threads, the most urgent call first."""

import asyncio
import heapq
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from enum import IntEnum
from typing import Any, TypeVar

from ringback_errors import Overloaded

from ringback_speech.ports import Recogniser, SpeechChunk, Synthesiser, Transcript

T = TypeVar("T")


class Urgency(IntEnum):
    """Which of the waiting calls goes first."""

    SPEECH = 0
    """Somebody is listening to the silence."""
    WORDS = 1
    """An answer will need it."""
    COURTESY = 2
    """Nobody waits for it."""


class InferencePool:
    """Runs blocking calls on few threads; refuses more than `waiting_max` calls at once.

    The most urgent call goes first, among equals the oldest. A call whose waiter is cancelled before it starts is
    never run; one that runs is finished and dropped.
    """

    def __init__(self, *, threads: int = 2, waiting_max: int = 64) -> None:
        if threads < 1 or waiting_max < threads:
            raise ValueError(
                "threads, waiting_max: expected 1 or more threads and no fewer calls than threads"
            )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._waiting_max = waiting_max
        self._waiting = 0
        self._numbers = itertools.count()
        self._queue: list[tuple[Urgency, int, Future[Any], Callable[[], Any]]] = []
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many calls are running or waiting."""
        return self._waiting

    async def run(self, call: Callable[[], T], *, urgency: Urgency = Urgency.WORDS) -> T:
        """The result of the call; raises Overloaded when too many are waiting."""
        if self._waiting >= self._waiting_max:
            raise Overloaded(
                f"inference pool: {self._waiting_max} calls are already waiting", retry_after_ms=200
            )
        future: Future[T] = Future()
        with self._lock:
            heapq.heappush(self._queue, (urgency, next(self._numbers), future, call))
        try:
            self._executor.submit(self._next)
        except RuntimeError:
            raise Overloaded("inference pool: closed") from None
        self._waiting += 1
        loop = asyncio.get_running_loop()
        # Counted down when the thread is free again, not when the waiter goes away.
        future.add_done_callback(lambda _: _call_if_open(loop, self._freed))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more calls, drop those that wait, and let those that run finish."""
        with self._lock:
            dropped, self._queue = self._queue, []
        for _, _, future, _ in dropped:
            future.cancel()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def _freed(self) -> None:
        self._waiting -= 1

    def _next(self) -> None:
        """Run the most urgent call; there is one such turn for each call."""
        with self._lock:
            if not self._queue:
                return
            _, _, future, call = heapq.heappop(self._queue)
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)


def _call_if_open(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


class AsyncRecogniser:
    """A recogniser for the event loop."""

    def __init__(self, recogniser: Recogniser, *, pool: InferencePool) -> None:
        self._recogniser = recogniser
        self._pool = pool

    async def transcribe(
        self, pcm: bytes, *, draft: Sequence[str] = (), urgency: Urgency = Urgency.WORDS
    ) -> Transcript:
        """The transcript of an utterance; see `Recogniser.transcribe`. Cancelled, it soon frees its thread."""
        abandoned = threading.Event()
        try:
            return await self._pool.run(
                lambda: self._recogniser.transcribe(pcm, draft=draft, abandoned=abandoned.is_set),
                urgency=urgency,
            )
        finally:
            abandoned.set()


class AsyncSynthesiser:
    """A synthesiser for the event loop; a sentence is made when it is asked for."""

    def __init__(self, synthesiser: Synthesiser, *, pool: InferencePool) -> None:
        self._synthesiser = synthesiser
        self._pool = pool

    @property
    def voices(self) -> tuple[str, ...]:
        """The names of the voices, the default first."""
        return self._synthesiser.voices

    async def stream(self, text: str, *, voice: str | None = None) -> AsyncIterator[SpeechChunk]:
        """The speech, sentence by sentence; see `Synthesiser.stream`. Stop by leaving the loop."""
        chunks: Iterator[SpeechChunk] = self._synthesiser.stream(text, voice=voice)
        while chunk := await self._pool.run(lambda: next(chunks, None), urgency=Urgency.SPEECH):
            yield chunk
