"""`ringback eval`: measures a service against data, by the service's own measurement in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app"]

app = typer.Typer(help="Measure what the services do against data.", no_args_is_help=True)

Json = Annotated[Path | None, typer.Option("--json", help="File for the results, in JSON.")]


@app.command("consent")
def consent(
    data: Annotated[Path, typer.Option(help="JSON lines with assistant, user and label (affirm or negate).")],
    json_file: Json = None,
) -> None:
    """How answers to read-backs read: counts, intervals, and the set of made contrasts apart."""
    _measure("ringback_policy.evaluation", "consent", "--data", str(data), json_file=json_file)


@app.command("memory")
def memory(
    data: Annotated[Path, typer.Option(help="Folder with dialogues_*.json and schema_*.json.")],
    json_file: Json = None,
) -> None:
    """Slots and open tasks read from annotated dialogues, also with the conversation cut to an eighth."""
    _measure("ringback_memory.evaluation", "--data", str(data), json_file=json_file)


def _measure(module: str, *arguments: str, json_file: Path | None) -> None:
    """Services are not imported here: each is installed by itself and measured by its own module."""
    extra = ["--json", str(json_file)] if json_file else []
    done = subprocess.run([sys.executable, "-m", module, *arguments, *extra], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
