"""`ringback talk`: a typed conversation with a running stack."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer
from rich.markup import escape

from ringback_cli.caller.client import Event, RealtimeClient, realtime_url
from ringback_cli.commands.connection import Target, find_target
from ringback_cli.commands.running import run
from ringback_cli.console import console

__all__ = ["talk"]


def talk(
    url: Annotated[
        str, typer.Option(help="Base URL, such as http://127.0.0.1:8080/v1. Default: the stack here.")
    ] = "",
    key: Annotated[str, typer.Option(help="API key. Default: the key of the stack here.")] = "",
    pack: Annotated[str, typer.Option(help="Agent pack.")] = "airline",
) -> None:
    """Type to an agent; it answers in text. An empty line, Ctrl-D or Ctrl-C ends the call."""
    run(_talk(find_target(url=url, api_key=key), pack=pack))


async def _talk(target: Target, *, pack: str) -> None:
    client = await RealtimeClient.connect(
        realtime_url(target.url, pack=pack), api_key=target.api_key, on_event=_print_event
    )
    client.send({"type": "session.update", "session": {"type": "realtime", "output_modalities": ["text"]}})
    reader = await _stdin()
    typing = asyncio.create_task(reader.readline())
    ended = asyncio.create_task(client.closed.wait())
    try:
        while True:
            await asyncio.wait({typing, ended}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                console.print(f"[dim]the call ended: {escape(client.close_reason)}[/]")
                return
            text = typing.result().decode(errors="replace").strip()
            if not text:
                return
            _send_text(client, text)
            typing = asyncio.create_task(reader.readline())
    finally:
        typing.cancel()
        ended.cancel()
        await client.close()


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
