"""`ringback eval`: measures a service against data, by the service's own measurement in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from google.protobuf.json_format import MessageToDict
from ringback_errors import InvalidInput
from ringback_packs import load_pack

from ringback_cli.commands.running import run
from ringback_cli.guard.desk import open_desk
from ringback_cli.guard.evidence import read_slot_words
from ringback_cli.guard.recordings import Story, read_stories
from ringback_cli.guard.replay import Judged, Replay
from ringback_cli.guard.report import blocked_wrongly, table, write_lines
from ringback_cli.guard.tables import Tables, read_tables
from ringback_cli.overlap.cases import all_cases, voices
from ringback_cli.overlap.measuring import measure
from ringback_cli.overlap.report import IGNORES_GOAL, YIELDS_GOAL, lines_of, rates
from ringback_cli.overlap.report import table as overlap_table
from ringback_cli.settings import inherited_environment, load_settings

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


@app.command("pii")
def personal_data() -> None:
    """What is found of card numbers, phone numbers and e-mail addresses in made texts, written and spoken."""
    _measure("ringback_policy.evaluation", "pii", json_file=None)


@app.command("memory")
def memory(
    data: Annotated[Path, typer.Option(help="Folder with `dialogues_*.json` and `schema_*.json`.")],
    json_file: Json = None,
) -> None:
    """Slots and open tasks read from annotated dialogues, also with the conversation cut to an eighth."""
    _measure("ringback_memory.evaluation", "--data", str(data), json_file=json_file)


@app.command("airline-guard")
def airline_guard(
    data: Annotated[
        Path, typer.Option(help="Folder: `runs_*.json`, `tasks_*.json`, flights, reservations, users.")
    ],
    json_file: Json = None,
    questions: Annotated[
        Path | None, typer.Option(help="File for the questions to policy, for `ringback policy diff`.")
    ] = None,
) -> None:
    """What policy and tools do with the writes of recorded conversations, and with the correct actions of tasks.

    Starts both services with the pack `tau-airline`. Exit code 1: a correct action was not executed.
    """
    pack = load_settings().packs / "tau-airline"
    tables = read_tables(data)
    stories = read_stories(data, frozenset(_writes(pack)))
    with tempfile.TemporaryDirectory(prefix="ringback-guard-") as root:
        judged, asked = run(_replay(pack, data.resolve(), Path(root), stories, tables))
    typer.echo(table(judged))
    if questions:
        questions.write_text("".join(f"{json.dumps(question)}\n" for question in asked))
    if json_file:
        write_lines(json_file, judged)
    if blocked_wrongly(judged):
        raise typer.Exit(1)


@app.command("turns")
def turns(
    json_file: Json = None,
    rule: Annotated[
        list[str] | None, typer.Option(help="A turn rule to measure with, name=value; may be given again.")
    ] = None,
    espeak: Annotated[
        bool, typer.Option("--espeak", help="With voices of espeak-ng, if it is installed.")
    ] = False,
    lines: Annotated[int, typer.Option(help="Only so many lines of each kind; 0: all.", min=0)] = 0,
    calls: Annotated[int, typer.Option(help="Calls at once.", min=1, max=32)] = 4,
) -> None:
    """Backchannels and interruptions of synthetic voices over a speaking agent: talked through, or yielded to.

    Starts a stack of its own; some three minutes. Exit code 1: a goal was missed.
    """
    rules = dict(_rule(given) for given in rule or ())
    cases = all_cases(voices(espeak=espeak), lines_max=lines)
    with tempfile.TemporaryDirectory(prefix="ringback-turns-") as root:
        heard = run(
            measure(cases, packs=load_settings().packs, root=Path(root), rules=rules, calls_max=calls)
        )
    typer.echo(overlap_table(heard))
    if json_file:
        json_file.write_text("".join(f"{json.dumps(line)}\n" for line in lines_of(heard)))
    found = rates(heard)
    if found["yields"].value < YIELDS_GOAL or found["ignores"].value < IGNORES_GOAL:
        raise typer.Exit(1)


def _rule(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not (name and equals and value):
        raise InvalidInput(f"--rule: name=value expected, got {given!r}", field="rule")
    return name, yaml.safe_load(value)


async def _replay(
    pack: Path, data: Path, root: Path, stories: list[Story], tables: Tables
) -> tuple[list[Judged], list[dict[str, Any]]]:
    slots = read_slot_words(pack / "evaluation" / "slots.yaml")
    async with open_desk(pack, data=data, root=root, environment=inherited_environment()) as desk:
        replay = Replay(desk, slots=slots, tables=tables)
        judged = [one for story in stories for one in await replay.story(story)]
    return judged, [MessageToDict(asked, preserving_proto_field_name=True) for asked in replay.questions]


def _writes(pack: Path) -> list[str]:
    return [tool.name for tool in load_pack(pack).tools if tool.side_effect != "read"]


def _measure(module: str, *arguments: str, json_file: Path | None) -> None:
    """Services are not imported here: each is installed by itself and measured by its own module."""
    extra = ["--json", str(json_file)] if json_file else []
    done = subprocess.run([sys.executable, "-m", module, *arguments, *extra], check=False)
    if done.returncode:
        raise typer.Exit(done.returncode)
