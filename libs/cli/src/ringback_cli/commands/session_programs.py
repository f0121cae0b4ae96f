"""`ringback simulate` and `ringback replay`: programs of the session service, started as such."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from ringback_errors import ConfigError

__all__ = ["replay", "simulate"]

SERVICE = "ringback_session"


def simulate(
    calls: Annotated[int, typer.Option(min=1, help="How many calls.")] = 500,
    seed: Annotated[int, typer.Option(help="The seed of the first call; the next ones count up.")] = 1,
    minutes: Annotated[float, typer.Option(min=0, help="Stop after so many minutes; 0: no limit.")] = 0,
    explain: Annotated[bool, typer.Option(help="Only the call of --seed: what happened in it.")] = False,
) -> None:
    """Run whole calls in virtual time, with scripted callers, models and services, losses, stalls and crashes.

    Prints how it goes. Exit code 1 when something did not hold: then also the seed and its shortest trace.
    """
    chosen = ["--calls", str(calls), "--seed", str(seed), "--minutes", str(minutes)]
    _run("simulation", *chosen, *(["--explain"] if explain else []))


def replay(
    file: Annotated[
        Path, typer.Argument(help="A recording that RINGBACK_RECORD_DIR made.", show_default=False)
    ],
) -> None:
    """Take a recorded call through the conversation core again, bit for bit.

    Exit code 0: identical; 1: the first step that differs is printed; 2: the file is not a recording.
    """
    _run("recordings", str(file))


def _run(program: str, *arguments: str) -> None:
    if find_spec(SERVICE) is None:
        raise ConfigError("the session service is not installed here; run: make setup")
    done = subprocess.run([sys.executable, "-m", f"{SERVICE}.{program}", *arguments], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
