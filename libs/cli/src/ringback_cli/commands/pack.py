"""`ringback pack`: check a pack's folder, publish it to a running stack."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from ringback_packs import load_pack

from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.reaching import open_bus, open_channel
from ringback_cli.stack.provision import Provisioned, publish_and_activate

__all__ = ["app"]

app = typer.Typer(help="Check and publish agent packs.", no_args_is_help=True)

Folder = Annotated[
    Path, typer.Argument(help="The pack's folder, such as packs/airline.", exists=True, file_okay=False)
]


@app.command()
def check(folder: Folder) -> None:
    """Load a pack as a service would and say what is wrong with it: file, line, field, what was expected.

    Its bundle is looked at by `ringback policy check`.
    """
    pack = load_pack(folder)
    console.print(f"[green]ok[/] {escape(pack.name)} {escape(pack.version)}  {pack.digest}")
    for agent in pack.agents:
        console.print(f"  agent {escape(agent.name)}: {escape(agent.role.strip().splitlines()[0])}")
    for tool in pack.tools:
        console.print(f"  tool  {escape(tool.name)} {escape(tool.version)} ({tool.side_effect})")


@app.command()
def publish(
    folder: Folder,
    nats_url: Annotated[str, typer.Option(help="NATS server; default: the stack under ./var.")] = "",
    policy: Annotated[str, typer.Option(help="policy's host:port; default: the stack under ./var.")] = "",
    reason: Annotated[str, typer.Option(help="Why; kept in the audit.")] = "published by hand",
) -> None:
    """Publish a pack and activate its policy bundle; running calls keep what they began with."""
    if not (nats_url and policy):
        stack = find_stack()
        nats_url, policy = nats_url or stack.nats_url, policy or stack.policy_address
    done = run(_published(folder, nats_url=nats_url, policy=policy, reason=reason))
    for pack in done:
        console.print(f"[green]published[/] {escape(pack.pack)} {escape(pack.version)}  {pack.pack_digest}")
        console.print(f"  active bundle {pack.bundle_digest}")
        for warning in pack.warnings:
            console.print(f"  [yellow]warning[/] {escape(warning)}")


async def _published(folder: Path, *, nats_url: str, policy: str, reason: str) -> list[Provisioned]:
    """Publishing waits for a stack that starts; whoever does it by hand is told first that nobody is there."""
    await (await open_bus(nats_url)).close()
    async with open_channel(policy, name="policy", option="--policy"):
        return await publish_and_activate([folder], nats_url=nats_url, policy_address=policy, reason=reason)
