"""Owns the running of inference beside the event loop: a bounded pool of threads."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ringback_errors import Overloaded

from ringback_speech.ports import Recogniser, SpeechChunk, Synthesiser, Transcript

T = TypeVar("T")


class InferencePool:
    """Runs blocking calls on few threads; refuses more than `waiting_max` calls at once.

    A call whose waiter is cancelled before it starts is never run; one that runs is finished and dropped.
    """

    def __init__(self, *, threads: int = 2, waiting_max: int = 64) -> None:
        if threads < 1 or waiting_max < threads:
            raise ValueError(
                "threads, waiting_max: expected 1 or more threads and no fewer calls than threads"
            )
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="inference")
        self._waiting_max = waiting_max
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """How many calls are running or waiting."""
        return self._waiting

    async def run(self, call: Callable[[], T]) -> T:
        """The result of the call; raises Overloaded when too many are waiting."""
        if self._waiting >= self._waiting_max:
            raise Overloaded(
                f"inference pool: {self._waiting_max} calls are already waiting", retry_after_ms=200
            )
        future = self._executor.submit(call)
        self._waiting += 1
        loop = asyncio.get_running_loop()
        # Counted down when the thread is free again, not when the waiter goes away.
        future.add_done_callback(lambda _: _call_if_open(loop, self._freed))
        return await asyncio.wrap_future(future)

    def _freed(self) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Take no more calls, drop those that wait, and let those that run finish."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _call_if_open(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(call)


class AsyncRecogniser:
    """A recogniser for the event loop."""

    def __init__(self, recogniser: Recogniser, *, pool: InferencePool) -> None:
        self._recogniser = recogniser
        self._pool = pool

    async def transcribe(self, pcm: bytes) -> Transcript:
        """The transcript of an utterance; see `Recogniser.transcribe`."""
        return await self._pool.run(lambda: self._recogniser.transcribe(pcm))


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
        while (chunk := await self._pool.run(lambda: next(chunks, None))) is not None:
            yield chunk
