"""`ringback tools`: list an agent's, switch them off and on, try one, import one from an OpenAPI document."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from google.protobuf import timestamp_pb2
from rich.markup import escape
from rich.table import Table
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2 as pb
from ringback.tools.v1 import tools_pb2_grpc
from ringback_errors import ConfigError, InvalidInput, NotFound
from ringback_events import control_subject
from ringback_identity import new_id
from ringback_packs import PackStore, load_pack
from ringback_packs.findings import near
from ringback_packs.openapi import tool_text

from ringback_cli.commands.acting import one_line, operator
from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.reaching import open_bus, open_channel
from ringback_cli.settings import inherited_environment, load_settings

__all__ = ["app"]

app = typer.Typer(help="List tools, switch them off and on, and try them.", no_args_is_help=True)

TIMEOUT_MS = 5_000
NAME = re.compile(r"[a-z][a-z0-9_]{0,63}(@[0-9]{1,5}\.[0-9]{1,5})?")

Name = Annotated[str, typer.Argument(help="The tool, or tool@MAJOR.MINOR for one version of it.")]
Reason = Annotated[str, typer.Option(help="Why; agents, operators and the audit read it.")]
PackFolder = Annotated[Path | None, typer.Option(help="The pack's folder; default: packs/airline.")]
NatsUrl = Annotated[str, typer.Option(help="NATS server; default: the stack under ./var.")]
Anyway = Annotated[
    bool,
    typer.Option("--anyway", help="Although no pack that was published last under its name has the tool."),
]


@app.command("list")
def list_tools(
    agent: Annotated[str, typer.Option(help="Whose tools; default: the pack's first agent.")] = "",
    scope: Annotated[list[str] | None, typer.Option(help="A scope that the caller has; repeat it.")] = None,
    pack: PackFolder = None,
    tenant: Annotated[str, typer.Option(help="The caller's tenant.")] = "local",
    tools: Annotated[str, typer.Option(help="tools' host:port; default: the stack under ./var.")] = "",
) -> None:
    """Print what an agent may use with these scopes, and what of it cannot be had now, as the tools service says it."""
    found = load_pack(pack or load_settings().packs / "airline")
    asked = pb.ListToolsRequest(
        tenant=tenant, pack_digest=found.digest, agent=agent or found.default_agent, scopes=scope or ()
    )
    answer = run(_listed(tools or find_stack().tools_address, asked))
    table = Table("tool", "version", "effect", "deadline", "available", box=None, pad_edge=False)
    for tool in answer.tools:
        effect = policy_pb2.SideEffect.Name(tool.side_effect).removeprefix("SIDE_EFFECT_").lower()
        name = f"{tool.name} (internal)" if tool.internal else tool.name
        state = "yes" if tool.available else f"no: {tool.unavailable_reason}"
        state += f"; {tool.caution}" if tool.caution else ""
        row = (name, tool.version, effect, f"{tool.deadline_ms} ms", state)
        table.add_row(*(escape(text) for text in row))
    console.print(table)
    if answer.open_breakers:
        console.print(f"open breakers: {', '.join(answer.open_breakers)}", markup=False)


@app.command()
def disable(name: Name, reason: Reason, nats_url: NatsUrl = "", anyway: Anyway = False) -> None:
    """Switch a tool off on every replica: no call of it starts; what runs already ends as it would."""
    run(_switch(name, off=True, reason=reason, url=nats_url or find_stack().nats_url, anyway=anyway))
    console.print(f"{name} is off: {reason}", markup=False)


@app.command()
def enable(name: Name, reason: Reason, nats_url: NatsUrl = "", anyway: Anyway = False) -> None:
    """Switch a tool on again."""
    run(_switch(name, off=False, reason=reason, url=nats_url or find_stack().nats_url, anyway=anyway))
    console.print(f"{name} is on: {reason}", markup=False)


@app.command("test")
def try_tool(
    name: Annotated[str, typer.Argument(help="The tool, or tool@MAJOR.MINOR.")],
    args: Annotated[str, typer.Option(help="Arguments as JSON.")] = "{}",
    pack: PackFolder = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Run it although it changes the system behind it.")
    ] = False,
) -> None:
    """Run one tool through the whole pipeline, in a process of its own, and print each step.

    The call is real: addresses and secrets are the tools service's settings (RINGBACK_CONNECTOR_… and so on) in
    this shell; for the airline the running stack's reservation system. Exit code 0: the tool answered.
    """
    tool, _, version = name.partition("@")
    command = [sys.executable, "-m", "ringback_tools.trial", tool, "--args", args]
    command += ["--pack", str(pack or load_settings().packs / "airline")]
    command += ["--tool-version", version] if version else []
    command += ["--yes"] if yes else []
    ended = subprocess.run(command, env=_environment(), check=False)
    raise typer.Exit(ended.returncode)


@app.command("import")
def import_operation(
    document: Annotated[Path, typer.Argument(help="An OpenAPI 3 document, YAML or JSON.", exists=True)],
    operation: Annotated[str, typer.Option(help="The operationId.")],
    base_url_ref: Annotated[str, typer.Option(help="Names the address in the tools service's settings.")],
) -> None:
    """Print the entry for tools.yaml of one operation of an HTTP API; read it, and say what it cannot know."""
    typer.echo(
        tool_text(document.read_text("utf-8"), operation=operation, base_url_ref=base_url_ref), nl=False
    )


async def _listed(address: str, asked: pb.ListToolsRequest) -> pb.ListToolsResponse:
    async with open_channel(address, name="tools", option="--tools") as channel:
        stub = tools_pb2_grpc.ToolsServiceStub(channel.grpc)
        answer: pb.ListToolsResponse = await channel.unary(
            stub.ListTools, asked, deadline_ms=TIMEOUT_MS, idempotent=True
        )
        return answer


async def _switch(name: str, *, off: bool, reason: str, url: str, anyway: bool = False) -> None:
    said = one_line(reason, field="--reason")
    if not NAME.fullmatch(name):
        raise InvalidInput("a tool's name, or name@MAJOR.MINOR, expected", field="NAME")
    fact = events_pb2.ControlFact(
        schema_version=1,
        producer="cli",
        occurred_at=timestamp_pb2.Timestamp(seconds=int(time.time())),
        tool_disabled=events_pb2.ToolDisabled(tool=name, disabled=off, reason=said, actor=operator()),
    )
    bus = await open_bus(url)
    try:
        if not anyway:
            await _check_known(PackStore(bus), name)
        await bus.publish_now(
            control_subject("tool_disabled"),
            fact.SerializeToString(),
            msg_id=new_id("ctl"),
            timeout_ms=TIMEOUT_MS,
        )
    finally:
        await bus.close()


async def _check_known(packs: PackStore, name: str) -> None:
    """A misspelt switch would stop nothing, and whoever set it would not know."""
    known: set[str] = set()
    for pack_name in await packs.names(timeout_ms=TIMEOUT_MS):
        pack = await packs.get(await packs.resolve(pack_name, timeout_ms=TIMEOUT_MS), timeout_ms=TIMEOUT_MS)
        for tool in pack.tools:
            known |= {tool.name, f"{tool.name}@{tool.version}"}
    if name not in known:
        raise NotFound(
            f"a tool of a published pack expected, found none called {name!r}{near(name, sorted(known))};"
            " --anyway switches it all the same",
            field="NAME",
        )


def _environment() -> dict[str, str]:
    environment = inherited_environment()
    try:
        backend = find_stack().backend_url
    except (NotFound, ConfigError):
        return environment
    environment.setdefault("RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS", backend)
    return environment
