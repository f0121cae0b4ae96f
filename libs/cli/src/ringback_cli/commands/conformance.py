"""`ringback conformance`: what a Realtime server keeps of the protocol's promises."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from ringback_cli.caller import realtime_url
from ringback_cli.commands.connection import find_target
from ringback_cli.commands.running import run
from ringback_cli.conformance import Outcome, Result, Target, run_all
from ringback_cli.console import console

__all__ = ["conformance"]

_MARKS = {Outcome.PASSED: "[green]", Outcome.FAILED: "[bold red]", Outcome.SKIPPED: "[yellow]"}


def conformance(
    url: Annotated[str, typer.Option(help="Base URL, such as http://127.0.0.1:8080/v1.")] = "",
    key: Annotated[str, typer.Option(help="API key; else RINGBACK_API_KEY, or the running stack's.")] = "",
    only: Annotated[str, typer.Option(help="Checks to run, such as C05,C12; all by default.")] = "",
    pack: Annotated[str, typer.Option(help="For Ringback: the pack that answers.")] = "",
    model: Annotated[str, typer.Option(help="The model in the URL.")] = "gpt-realtime",
    session_limit: Annotated[
        float, typer.Option(help="The server's session limit in seconds, if short enough to wait for.")
    ] = 0,
    failing_words: Annotated[
        str, typer.Option(help="Words that make the server's model fail, if there are any.")
    ] = "",
    any_key: Annotated[bool, typer.Option(help="The server takes any key.")] = False,
) -> None:
    """Run the conformance checks of the Realtime protocol against a server and print what was seen.

    Exit code 1 when a check failed; a check that this server does not let be made is skipped, with the reason.
    """
    found = find_target(url=url, api_key=key)
    target = Target(
        url=realtime_url(found.url, pack=pack),
        key=found.api_key,
        model=model,
        session_ms_max=int(session_limit * 1000),
        failing_words=failing_words,
        any_key=any_key,
    )
    console.print(f"[bold]{'id':<4} {'result':<8}[/] promise · seen")
    results = run(run_all(target, only=only.split(","), on_result=_print))
    counts = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    console.print(
        f"{len(results)} checks: " + ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    )
    if counts[Outcome.FAILED]:
        raise typer.Exit(1)


def _print(result: Result) -> None:
    mark = _MARKS[result.outcome]
    console.print(f"{result.id:<4} {mark}{result.outcome:<8}[/] {escape(result.promise)}")
    console.print(f"              [dim]{escape(result.seen)}[/]")
