"""`ringback memory`: what is kept of a caller over calls: show it, export it, remove every trace of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson
from rich.markup import escape
from ringback.memory.v1 import memory_pb2 as pb
from ringback.memory.v1 import memory_pb2_grpc
from ringback_errors import NotFound

from ringback_cli.commands.acting import operator
from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.forgetting import Addresses, forget_caller
from ringback_cli.reaching import open_channel

__all__ = ["app"]

READ_MS = 5_000
INCOMPLETE = 3

app = typer.Typer(help="What is kept of a caller over calls.", no_args_is_help=True)

CallerId = Annotated[str, typer.Argument(help="The caller's long-term id, as the client gave it.")]
Tenant = Annotated[str, typer.Option(help="The caller's tenant.")]
Address = Annotated[str, typer.Option(help="memory's host:port; default: the stack under ./var.")]


@app.command()
def show(caller: CallerId, tenant: Tenant = "local", memory: Address = "") -> None:
    """Print what is kept of a caller."""
    record = run(_read(memory or find_stack().memory_address, tenant, caller))
    consent = pb.CallerConsent.Name(record.consent).removeprefix("CALLER_CONSENT_").lower()
    console.print(f"{escape(record.caller_id)}  consent {consent}, {record.calls} calls", highlight=False)
    for task in record.unresolved_tasks:
        console.print(f"  owed     {escape(task.title)} ({task.kind}, {task.status}, by {task.owed_by})")
    for preference in record.preferences:
        console.print(f"  prefers  {escape(preference.name)}: {escape(preference.value_json)}")
    for outcome in record.last_outcomes:
        console.print(f"  did      {escape(outcome.tool)} {escape(outcome.arguments_json)}: {outcome.status}")


@app.command()
def export(
    caller: CallerId,
    tenant: Tenant = "local",
    memory: Address = "",
    out: Annotated[Path | None, typer.Option(help="File to write; default: standard output.")] = None,
) -> None:
    """Write all that is kept of a caller as JSON."""
    record = run(_read(memory or find_stack().memory_address, tenant, caller))
    text = MessageToJson(record, preserving_proto_field_name=True)
    if out is None:
        typer.echo(text)
    else:
        out.write_text(text + "\n")


@app.command()
def consent(
    caller: CallerId,
    refused: Annotated[
        bool, typer.Option("--refused", help="The caller does not want to be remembered.")
    ] = False,
    tenant: Tenant = "local",
    memory: Address = "",
) -> None:
    """Note that a caller agreed to be remembered; with --refused, remove what is kept and keep the refusal."""
    request = pb.SetCallerConsentRequest(
        tenant=tenant,
        caller_id=caller,
        consent=pb.CALLER_CONSENT_REFUSED if refused else pb.CALLER_CONSENT_GIVEN,
        source="command line",
    )
    run(_consent(memory or find_stack().memory_address, request))
    console.print(f"{'refused' if refused else 'given'}: {escape(caller)}")


@app.command()
def forget(
    caller: CallerId,
    tenant: Tenant = "local",
    memory: Address = "",
    session: Annotated[
        str, typer.Option(help="session's admin host:port; default: the stack under ./var.")
    ] = "",
    tools: Annotated[str, typer.Option(help="tools' host:port; default: the stack under ./var.")] = "",
) -> None:
    """Remove every trace of a caller, look again, and print what was found in each place and what is left.

    Exit code 3 when something is left, such as a call or an action that is under way. The audit keeps that decisions
    were taken, with digests in place of values, and that a caller was forgotten, not who.
    """
    addresses = _addresses(memory=memory, session=session, tools=tools)
    done = run(forget_caller(addresses, tenant=tenant, caller_id=caller, actor=operator()))
    console.print(f"{'place':10}{'found':>8}{'removed':>9}{'left':>6}", highlight=False)
    for name, place in sorted(done.places.items()):
        console.print(f"{name:10}{place.found:>8}{place.removed:>9}{place.left:>6}", highlight=False)
    console.print("AUDIT is append-only: entries with digests and session ids, without values, stay")
    for session_id in done.live_session_ids:
        console.print(f"under way: {session_id}; ask again when this call has ended", style="yellow")
    for session_id, place_name in done.held.items():
        console.print(f"still held: {session_id} in {place_name}; ask again later", style="yellow")
    if not done.complete:
        raise typer.Exit(INCOMPLETE)
    console.print(f"[green]forgotten[/] {escape(caller)}: {len(done.session_ids)} calls, nothing is left")


def _addresses(*, memory: str, session: str, tools: str) -> Addresses:
    if memory and session and tools:
        return Addresses(session=session, tools=tools, memory=memory)
    stack = find_stack()
    return Addresses(
        session=session or stack.admin_address,
        tools=tools or stack.tools_address,
        memory=memory or stack.memory_address,
    )


async def _read(address: str, tenant: str, caller: str) -> pb.CallerRecord:
    async with open_channel(address, name="memory", option="--memory") as channel:
        stub = memory_pb2_grpc.MemoryServiceStub(channel.grpc)
        request = pb.GetCallerRequest(tenant=tenant, caller_id=caller)
        try:
            answer: pb.GetCallerResponse = await channel.unary(
                stub.GetCaller, request, deadline_ms=READ_MS, idempotent=True
            )
        except NotFound as error:
            raise NotFound(f"nothing is kept of caller {caller!r}", field="caller_id") from error
    return answer.record


async def _consent(address: str, request: pb.SetCallerConsentRequest) -> None:
    async with open_channel(address, name="memory", option="--memory") as channel:
        stub = memory_pb2_grpc.MemoryServiceStub(channel.grpc)
        await channel.unary(stub.SetCallerConsent, request, deadline_ms=READ_MS, idempotent=True)
