"""`ringback events`: what happens on the bus, as lines or as JSON."""

from __future__ import annotations

import asyncio
from typing import Annotated

import orjson
import typer
from ringback.events.v1 import events_pb2
from ringback_events import ALL_CONTROL, ALL_EVENTS, Delivery, Start, session_events

from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.running import run
from ringback_cli.console import console, print_fact
from ringback_cli.reaching import open_bus
from ringback_cli.watch.facts import control_line, event_line, fact_as_json

__all__ = ["app"]

app = typer.Typer(help="Watch the facts that a running stack publishes.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Watch the facts that a running stack publishes."""


@app.command()
def tail(
    session: Annotated[str, typer.Option(help="Only this session (sess_…).")] = "",
    tenant: Annotated[str, typer.Option(help="Only this tenant.")] = "local",
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    nats_url: Annotated[str, typer.Option(help="NATS server; default: the stack under ./var.")] = "",
    history: Annotated[bool, typer.Option(help="Begin with what the stream still holds.")] = False,
) -> None:
    """Print facts as they happen, until Ctrl-C."""
    url = nats_url or find_stack().nats_url
    run(_tail(url, tenant=tenant, session=session, json_lines=json_lines, history=history))


async def _tail(url: str, *, tenant: str, session: str, json_lines: bool, history: bool) -> None:
    async def on_event(delivery: Delivery) -> None:
        event = events_pb2.SessionEvent.FromString(delivery.payload)
        if event.tenant != tenant:
            return
        if json_lines:
            _print_json(fact_as_json(event))
        else:
            at = event.occurred_at.ToDatetime().strftime("%H:%M:%S.%f")[:-3]
            print_fact(
                event_line(event),
                prefix=f"[dim]{at} {event.session_id[:13]} {event.epoch}.{event.seq:<4}[/] ",
            )

    async def on_control(delivery: Delivery) -> None:
        fact = events_pb2.ControlFact.FromString(delivery.payload)
        if json_lines:
            _print_json(fact_as_json(fact))
        else:
            print_fact(control_line(fact), prefix=f"[dim]{'control':<33}[/] ")

    start: Start = "all" if history else "new"
    bus = await open_bus(url)
    try:
        await bus.ephemeral(session_events(tenant, session) if session else ALL_EVENTS, on_event, start=start)
        await bus.ephemeral(ALL_CONTROL, on_control, start=start)
        await asyncio.Event().wait()
    finally:
        await bus.close()


def _print_json(value: object) -> None:
    console.print(orjson.dumps(value).decode(), markup=False)
