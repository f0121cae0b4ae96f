"""`ringback sessions`: look after running calls, on whichever replica they are."""

from __future__ import annotations

import getpass
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import grpc
import typer
from google.protobuf.json_format import MessageToJson
from rich.table import Table
from ringback.session.v1 import session_pb2 as pb
from ringback.session.v1 import session_pb2_grpc
from ringback_errors import (
    ConfigError,
    Conflict,
    InvalidInput,
    NotFound,
    Overloaded,
    RingbackError,
    Unavailable,
)

from ringback_cli.commands.connection import find_stack
from ringback_cli.commands.following import Following
from ringback_cli.commands.running import run
from ringback_cli.console import console, print_fact
from ringback_cli.reaching import NotReached, reach
from ringback_cli.watch.facts import cost, event_line

__all__ = ["app"]

app = typer.Typer(help="Look after running calls: see, watch, speak, take over, end.", no_args_is_help=True)

TIMEOUT_S = 10.0
_T = TypeVar("_T")
_ERRORS: dict[grpc.StatusCode, type[RingbackError]] = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidInput,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.ABORTED: Conflict,
}
_NOBODY = "no session replica answers at {}: --admin takes the host:port of an admin service"
# How gRPC begins when it is not the peer that speaks: it was there, and went.
_TRANSPORT = ("failed to connect", "Socket closed")

Session = Annotated[str, typer.Argument(help="The session, sess_….")]
Admin = Annotated[
    str, typer.Option(help="A session replica's admin address, host:port; default: the stack under ./var.")
]
Reason = Annotated[str, typer.Option(help="Why; part of the audit.")]
Force = Annotated[bool, typer.Option("--force", help="Also while another person has the call.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_sessions(
    tenant: Annotated[str, typer.Option(help="Only this tenant's.")] = "",
    as_json: AsJson = False,
    admin: Admin = "",
) -> None:
    """List the running calls of all replicas."""
    answer = _ask(
        admin, lambda stub: stub.ListSessions(pb.ListSessionsRequest(tenant=tenant), timeout=TIMEOUT_S)
    )
    if as_json:
        _print_json(answer)
        return
    table = Table("session", "tenant", "pack", "agent", "phase", "turn", "since", "cost", "replica", box=None)
    for info in sorted(answer.sessions, key=lambda each: each.started_at.ToNanoseconds()):
        phase = f"operator ({info.operator})" if info.operator else info.phase
        since = _age(info) if info.HasField("started_at") else "?"
        price = cost(info) if info.tokens else "–"
        row = (
            info.session_id,
            info.tenant,
            info.pack,
            info.agent,
            phase,
            str(info.turn),
            since,
            price,
            info.owner,
        )
        table.add_row(*row)
    console.print(table)
    console.print(_calls(len(answer.sessions)), style="dim")


@app.command()
def show(session_id: Session, as_json: AsJson = False, admin: Admin = "") -> None:
    """Show one call: who has it, what it is doing, and what was said last."""
    request = pb.GetSessionRequest(session_id=session_id)
    answer = _ask(admin, lambda stub: stub.GetSession(request, timeout=TIMEOUT_S))
    _print_json(answer.session) if as_json else _print_info(answer.session)


@app.command()
def watch(session_id: Session, as_json: AsJson = False, admin: Admin = "") -> None:
    """Watch a call as it goes, until it ends or Ctrl-C.

    A call that moves to another replica is looked for, for about a minute, and watched on. Shown are the facts that its
    owner makes, what other services found out later among them once the owner knows of it; what became of the call
    between two owners is in `show`, not here.
    """

    def show(update: pb.WatchSessionResponse, again: bool) -> None:
        if as_json:
            _print_json(update, indent=None)
        elif update.WhichOneof("update") == "fact":
            print_fact(event_line(update.fact))
        elif not again:
            _print_info(update.session)

    def tell(words: str) -> None:
        typer.echo(words, err=True)

    following = Following(session_id, show=show, tell=tell)
    run(following.to_its_end(lambda do: _asked(admin, do)))


@app.command()
def say(
    session_id: Session,
    text: Annotated[str, typer.Argument(help="What the caller is to hear.")],
    note: Annotated[bool, typer.Option(help="Tell the model instead; the caller does not hear it.")] = False,
    assistant: Annotated[bool, typer.Option(help="The same, as words of its own.")] = False,
    reply: Annotated[
        bool, typer.Option(help="With --note or --assistant: have the model speak of it.")
    ] = False,
    force: Force = False,
    reason: Reason = "",
    admin: Admin = "",
) -> None:
    """Have a line spoken to the caller, or tell the model something.

    A call that another person has taken over is theirs to speak in, unless --force; they keep it.
    """
    if note and assistant:
        raise InvalidInput("--note or --assistant expected, not both", field="say")
    if reply and not (note or assistant):
        raise InvalidInput(
            "expected with --note or --assistant: what is spoken needs no reply", field="--reply"
        )
    request = pb.InjectMessageRequest(
        session_id=session_id, operator=_operator(reason), text=text, reply=reply, force=force
    )
    as_note = pb.INJECT_AS_ASSISTANT_NOTE if assistant else pb.INJECT_AS_SYSTEM_NOTE
    setattr(request, "as", as_note if note or assistant else pb.INJECT_AS_SPOKEN)
    _ask(admin, lambda stub: stub.InjectMessage(request, timeout=TIMEOUT_S))
    console.print("the model was told" if note or assistant else "will be spoken")


@app.command()
def takeover(
    session_id: Session,
    force: Force = False,
    reason: Reason = "",
    admin: Admin = "",
) -> None:
    """Take a call over: the agent is silent, `say` speaks for you, until `handback`.

    After ten minutes without an act of yours the agent goes on by itself.
    """
    request = pb.TakeOverRequest(session_id=session_id, operator=_operator(reason), force=force)
    _ask(admin, lambda stub: stub.TakeOver(request, timeout=TIMEOUT_S))
    console.print(f"{session_id} is yours", markup=False)


@app.command()
def handback(
    session_id: Session,
    note: Annotated[str, typer.Option(help="For the agent: what happened meanwhile.")] = "",
    force: Force = False,
    reason: Reason = "",
    admin: Admin = "",
) -> None:
    """Hand a call back to its agent."""
    request = pb.HandBackRequest(session_id=session_id, operator=_operator(reason), note=note, force=force)
    _ask(admin, lambda stub: stub.HandBack(request, timeout=TIMEOUT_S))
    console.print("the agent goes on")


@app.command()
def transfer(
    session_id: Session,
    agent: Annotated[str, typer.Option(help="An agent of the call's pack.")] = "",
    person: Annotated[bool, typer.Option("--person", help="To a person.")] = False,
    force: Force = False,
    reason: Reason = "",
    admin: Admin = "",
) -> None:
    """Move a call to another agent, or to a person."""
    if bool(agent) == person:
        raise InvalidInput("--agent or --person expected", field="transfer")
    request = pb.TransferSessionRequest(
        session_id=session_id, operator=_operator(reason), agent=agent, force=force
    )
    _ask(admin, lambda stub: stub.TransferSession(request, timeout=TIMEOUT_S))
    console.print(f"goes to {agent or 'a person'}", markup=False)


@app.command()
def end(session_id: Session, reason: Reason = "ended_by_operator", admin: Admin = "") -> None:
    """End a call, whoever has it."""
    request = pb.EndSessionRequest(session_id=session_id, reason=reason, actor=_actor())
    _ask(admin, lambda stub: stub.EndSession(request, timeout=TIMEOUT_S))
    console.print(f"{session_id} is over", markup=False)


@app.command()
def drain(
    replica: Annotated[str, typer.Option(help="Which; default: the one that is asked.")] = "",
    reason: Reason = "",
    admin: Admin = "",
) -> None:
    """Have a replica take no more calls; its running ones finish, or go on where their clients resume them."""
    request = pb.DrainRequest(operator=_operator(reason), owner=replica)
    answer = _ask(admin, lambda stub: stub.Drain(request, timeout=TIMEOUT_S))
    console.print(f"{answer.owner} drains: {_calls(answer.running)} there", markup=False)


@app.command()
def usage(
    session_id: Annotated[str, typer.Argument(help="A session; or --tenant.")] = "",
    tenant: Annotated[str, typer.Option(help="A tenant, by day.")] = "",
    as_json: AsJson = False,
    admin: Admin = "",
) -> None:
    """Show what a session used by model, or a tenant by day, and what is known of its cost."""
    if bool(session_id) == bool(tenant):
        raise InvalidInput("a session or --tenant expected", field="usage")
    request = pb.GetUsageRequest(session_id=session_id, tenant=tenant)
    answer = _ask(admin, lambda stub: stub.GetUsage(request, timeout=TIMEOUT_S))
    if as_json:
        _print_json(answer)
        return
    columns = ["text_in", "text_cached", "text_out", "audio_in", "audio_cached", "audio_out"]
    table = Table(
        "day" if tenant else "model", *(name.replace("_", " ") for name in columns), "cost", box=None
    )
    for row in answer.rows:
        table.add_row(row.of, *(f"{getattr(row, name):,}" for name in columns), cost(row))
    console.print(table)
    if answer.unreported:
        console.print(f"{answer.unreported} answers of the model without usage", style="yellow")
    if not answer.rows:
        console.print("nothing was used", style="dim")


def _ask(address: str, do: Callable[[Any], Awaitable[_T]]) -> _T:
    """Ask the replica at the address, or any of the stack here: each answers for all."""
    return run(_asked(address, do))


async def _asked(address: str, do: Callable[[Any], Awaitable[_T]]) -> _T:
    targets = [address] if address else _of_stack()
    for target in targets:
        with suppress(NotReached):
            return await _of(target, do)
    raise Unavailable(_NOBODY.format(", ".join(targets)))


def _of_stack() -> list[str]:
    stack = find_stack()
    return list(stack.admin_addresses) or [stack.admin_address]


async def _of(target: str, do: Callable[[Any], Awaitable[_T]]) -> _T:
    async with grpc.aio.insecure_channel(target) as channel:
        await reach(channel, target, who="session replica", option="--admin")
        try:
            return await do(session_pb2_grpc.SessionAdminServiceStub(channel))
        except grpc.aio.AioRpcError as error:
            raise _told(error, target) from None


def _told(error: grpc.aio.AioRpcError, target: str) -> RingbackError:
    return _ERRORS.get(error.code(), Unavailable)(_words(error, target))


def _words(error: grpc.aio.AioRpcError, target: str) -> str:
    """What the replica said; the transport's own text says where it looked, and not what to do."""
    told = error.details() or error.code().name.lower()
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED or any(mark in told for mark in _TRANSPORT):
        return _NOBODY.format(target)
    return told


def _calls(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"


def _operator(reason: str) -> pb.Operator:
    return pb.Operator(actor=_actor(), reason=reason)


def _actor() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise ConfigError("nobody is logged in: acts on calls need a name") from None


def _age(info: pb.SessionInfo) -> str:
    seconds = int((datetime.now(UTC) - info.started_at.ToDatetime(UTC)).total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"


def _print_info(info: pb.SessionInfo) -> None:
    rows = {
        "tenant": info.tenant,
        "pack": f"{info.pack}  agent {info.agent or '–'}",
        "phase": info.phase + (f"  {info.operator}" if info.operator else ""),
        "turn": f"{info.turn}  epoch {info.epoch}, fact {info.seq}",
        "client": "connected" if info.connected else "away",
        "waits for": ", ".join(info.open_actions) or "–",
        "replica": f"{info.owner}  {info.owner_address}",
        "used": f"{info.tokens:,} tokens, {cost(info)}",
    }
    console.print(info.session_id, style="bold", markup=False)
    for name, text in rows.items():
        console.print(f"  {name:<10}{text}", markup=False)
    for line in info.transcript:
        console.print(f"  {line.role:<10}{line.text}", markup=False)


def _print_json(message: Any, *, indent: int | None = 2) -> None:
    typer.echo(MessageToJson(message, preserving_proto_field_name=True, indent=indent))
