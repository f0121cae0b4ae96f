"""`ringback up`: the whole stack on this machine, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from typing import Annotated

import typer
from rich.markup import escape

from ringback_cli.commands.running import run
from ringback_cli.console import console, print_note
from ringback_cli.settings import CliSettings, inherited_environment, load_settings
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.stack import Stack, run_stack

__all__ = ["up"]


def up(
    port: Annotated[int, typer.Option(help="Port for Realtime clients.", min=1, max=65535)] = 8080,
    otlp: Annotated[str, typer.Option(help="OTLP/gRPC endpoint for traces and metrics, host:port.")] = "",
    workers: Annotated[
        int,
        typer.Option(
            help="Session processes behind the one port; 0: RINGBACK_WORKERS, else one.", min=0, max=64
        ),
    ] = 0,
    no_keys_in_backend: Annotated[
        bool,
        typer.Option("--no-keys-in-backend", help="Let the reservation system ignore idempotency keys."),
    ] = False,
) -> None:
    """Start NATS, the reservation system and every service; stop all of them on Ctrl-C.

    State, logs and the key of tenant `local` are kept under `./var`. A service that crashes is restarted and named.
    """
    arguments = ("--idempotency-keys", "off") if no_keys_in_backend else ()
    settings = load_settings()
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a stack is meant to end.
        run(
            _up(
                settings,
                port=port,
                otlp=otlp,
                backend_arguments=arguments,
                workers=workers or settings.workers,
            )
        )


async def _up(
    settings: CliSettings, *, port: int, otlp: str, backend_arguments: tuple[str, ...], workers: int
) -> None:
    paths = StackPaths(settings.var)
    console.print(f"ringback: starting in {settings.var}")
    async with run_stack(
        paths,
        packs=settings.packs,
        environment=inherited_environment(),
        on_note=print_note,
        realtime_port=port,
        otlp_endpoint=otlp,
        backend_arguments=backend_arguments,
        workers=workers,
    ) as stack:
        _print_how_to_reach(stack)
        await asyncio.Event().wait()


def _print_how_to_reach(stack: Stack) -> None:
    url, key = stack.addresses.realtime_url, stack.api_key
    root = url.removesuffix("/v1")
    for pack in stack.packs:
        for warning in pack.warnings:
            console.print(f"  [yellow]warning[/] {escape(pack.pack)}: {escape(warning)}")
    console.print("\n[bold green]Ringback is up.[/]")
    rows = [
        ("Realtime", f"{url}   pack airline; as a plain relay: {root}/p/passthrough/v1"),
        ("key", f"{key}   also in {stack.paths.api_key}"),
        ("NATS", f"{stack.addresses.nats_url}"),
        ("logs", f"{stack.paths.logs}"),
        ("try", f"{_command()} talk"),
        ("", f"{_command()} call packs/airline/calls/refund.yaml"),
        ("", f"{_command()} events tail"),
    ]
    for name, text in rows:
        console.print(f"  {name:<9} {escape(text)}")
    console.print("Ctrl-C stops everything.")


def _command() -> str:
    """How this program is called here: by its path where its name alone is not found."""
    return "ringback" if shutil.which("ringback") else sys.argv[0]
