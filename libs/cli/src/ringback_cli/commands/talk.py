"""`ringback talk`: a typed conversation with a running stack."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Annotated

import typer
from ringback_errors import Unavailable

from ringback_cli.caller.client import Event, RealtimeClient, realtime_url
from ringback_cli.commands.connection import Target, find_target
from ringback_cli.commands.running import run
from ringback_cli.console import console

__all__ = ["talk"]

# For lines from a pipe, which do not wait for answers: at most so long for one, and so long for more after it.
ANSWER_S = 20.0
MORE_S = 0.5


def talk(
    url: Annotated[
        str, typer.Option(help="Base URL, such as http://127.0.0.1:8080/v1. Default: the stack here.")
    ] = "",
    key: Annotated[str, typer.Option(help="API key. Default: the key of the stack here.")] = "",
    pack: Annotated[str, typer.Option(help="Agent pack.")] = "airline",
) -> None:
    """Type to an agent; it answers in text. An empty line, Ctrl-D or Ctrl-C ends the call.

    Lines from a pipe are said one after the other, each when the one before is answered. Exit code 1 when the server
    ends the call.
    """
    run(_talk(find_target(url=url, api_key=key), pack=pack))


async def _talk(target: Target, *, pack: str) -> None:
    answers, piped = _Answers(), not sys.stdin.isatty()

    def on_event(event: Event) -> None:
        _print_event(event)
        answers.follow(event)

    client = await RealtimeClient.connect(
        realtime_url(target.url, pack=pack), api_key=target.api_key, on_event=on_event
    )
    client.send({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
    reader = await _stdin()
    typing = asyncio.create_task(reader.readline())
    ended = asyncio.create_task(client.closed.wait())
    try:
        while True:
            await asyncio.wait({typing, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise Unavailable(f"the call ended: {client.close_reason}")
            text = typing.result().decode(errors="replace").strip()
            if not text:
                return
            answers.begin()
            _send_text(client, text)
            if piped:
                await asyncio.wait(
                    {asyncio.create_task(answers.given()), ended}, return_when=asyncio.FIRST_COMPLETED
                )
            typing = asyncio.create_task(reader.readline())
    finally:
        typing.cancel()
        ended.cancel()
        await client.close()


class _Answers:
    """What the agent says to a line: one response, or more behind it."""

    def __init__(self) -> None:
        self._open = 0
        self._ended = asyncio.Event()
        self._began = asyncio.Event()

    def follow(self, event: Event) -> None:
        match event.get("type"):
            case "response.created":
                self._open += 1
                self._began.set()
            case "response.done":
                self._open -= 1
                self._ended.set()
            case "error":
                self._ended.set()

    def begin(self) -> None:
        self._ended.clear()

    async def given(self) -> None:
        """Until there was an answer and no more comes; not longer than somebody would wait."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_S):
                await self._ended.wait()
                while self._open or await self._more():
                    self._ended.clear()
                    await self._ended.wait()

    async def _more(self) -> bool:
        self._began.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(MORE_S):
                await self._began.wait()
        return self._began.is_set()


def _send_text(client: RealtimeClient, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    client.send(
        {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
    )
    client.send({"type": "response.create"})


def _print_event(event: Event) -> None:
    match event.get("type"):
        case "response.output_text.delta":
            console.print(event["delta"], end="", style="green", markup=False)
        case "response.output_text.done":
            console.print()
        case "response.output_audio_transcript.done":
            # Words that were already under way as speech before the switch to text.
            console.print(event["transcript"], style="green", markup=False)
        case "error":
            error = event["error"]
            console.print(f"error {error.get('code')}: {error.get('message')}", style="red", markup=False)


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader
