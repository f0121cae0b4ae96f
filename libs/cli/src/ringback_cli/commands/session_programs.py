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
    minutes: Annotated[float, typer.Option(min=0, help="Begin none after so many minutes; 0: no limit.")] = 0,
    jobs: Annotated[
        int, typer.Option(min=0, help="How many processes share the calls; 0: one for each processor.")
    ] = 0,
    explain: Annotated[bool, typer.Option(help="Only the call of --seed: what happened in it.")] = False,
) -> None:
    """Run whole calls in virtual time, with scripted callers, models and services, losses, stalls and crashes.

    Prints how it goes. A call is drawn from its seed: the same seeds give the same fingerprint, in however many jobs.

    Exit code 1: something did not hold; the seed is printed, and the shortest trace that still goes wrong.
    130: interrupted; what was done so far is told.
    """
    chosen = ["--calls", str(calls), "--seed", str(seed), "--minutes", str(minutes), "--jobs", str(jobs)]
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
    code = _waited_for(subprocess.Popen([sys.executable, "-m", f"{SERVICE}.{program}", *arguments]))
    if code:
        raise typer.Exit(code)


def _waited_for(program: subprocess.Popen[bytes]) -> int:
    """Its exit code. A Ctrl-C reaches the program as well, and it is the program's to say what comes of that."""
    while True:
        try:
            return program.wait()
        except KeyboardInterrupt:
            continue
