"""`ringback call`: a caller that speaks a script into a running stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ringback_cli.caller import (
    Call,
    CallerVoice,
    CallLine,
    StereoRecording,
    load_script,
    play_script,
    realtime_url,
)
from ringback_cli.caller.script import Script
from ringback_cli.caller.transcript import write_transcript
from ringback_cli.commands.connection import Target, find_target
from ringback_cli.commands.running import run
from ringback_cli.console import TOPIC_STYLES, console
from ringback_cli.settings import load_settings

__all__ = ["call"]


def call(
    script: Annotated[
        Path | None, typer.Argument(help="A call script; default: packs/airline/calls/refund.yaml")
    ] = None,
    url: Annotated[
        str, typer.Option(help="Base URL, such as http://127.0.0.1:8080/v1. Default: the stack here.")
    ] = "",
    key: Annotated[str, typer.Option(help="API key. Default: the key of the stack here.")] = "",
    speed: Annotated[
        float, typer.Option(help="1 is real time; 4 streams four times faster.", min=0.1, max=50)
    ] = 1.0,
    record: Annotated[Path | None, typer.Option(help="Stereo WAV: caller left, agent right.")] = None,
    transcript: Annotated[Path | None, typer.Option(help="Text file for the transcript.")] = None,
) -> None:
    """Speak a call: the caller's lines by text-to-speech, 40 ms frames, listening and interrupting as scripted.

    Exit code 0: every step of the script went as written.
    """
    settings = load_settings()
    played = load_script(script or settings.packs / "airline" / "calls" / "refund.yaml")
    target = find_target(url=url, api_key=key)
    run(_call(played, target, speed=speed, record=record, transcript=transcript))


async def _call(
    script: Script, target: Target, *, speed: float, record: Path | None, transcript: Path | None
) -> None:
    voice = CallerVoice(seed=script.voice)
    voice.prepare(script.lines())
    console.print(f"[bold]{escape(script.title)}[/]  [dim]{target.url}, pack {script.pack}[/]")
    call = Call(
        realtime_url(target.url, pack=script.pack),
        target.api_key,
        speed=speed,
        recording=StereoRecording(record),
        on_line=_print_line,
    )
    try:
        async with call:
            console.print(f"[dim]session {escape(call.session_id)}[/]")
            await play_script(script, call, speak=voice.speak)
    finally:
        if transcript is not None:
            write_transcript(transcript, call.lines)
    console.print("[green]the call went as scripted[/]")


def _print_line(line: CallLine) -> None:
    style = TOPIC_STYLES.get(line.speaker, "red")
    cut = "" if line.heard == line.text else f"  [dim]· heard only “{escape(line.heard)}”[/]"
    console.print(f"[dim]{line.at_ms / 1000:7.2f}[/] [{style}]{line.speaker:<7}[/] {escape(line.text)}{cut}")
