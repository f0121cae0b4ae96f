"""`ringback demo`: three spoken calls, watched and checked."""

from __future__ import annotations

from typing import Annotated

import typer

from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.demo.run import run_demo
from ringback_cli.settings import load_settings

__all__ = ["demo"]


def demo(
    speed: Annotated[float, typer.Option(help="1 is real time.", min=0.1, max=50)] = 1.0,
    only: Annotated[list[str] | None, typer.Option(help="Only this call: refund, refused or outage.")] = None,
) -> None:
    """Start a stack in ./var/demo, run three spoken calls through it, and check what they did.

    Exit code 0: every check held. Recordings, transcripts, events and traces stay in ./var/demo.
    """
    if run(run_demo(load_settings(), speed=speed, only=only or [])):
        console.print("\n[bold green]every check held[/]")
        return
    console.print("\n[bold red]some checks failed[/]")
    raise typer.Exit(1)
