"""The `ringback` command: which sub-commands there are, and how an error ends the process."""

from __future__ import annotations

import sys

import typer
from ringback_errors import ConfigError, InvalidInput, RingbackError

from ringback_cli.commands import (
    call,
    conformance,
    demo,
    doctor,
    evaluate,
    events,
    memory,
    pack,
    policy,
    provision,
    session_programs,
    sessions,
    talk,
    tools,
    up,
)
from ringback_cli.console import error_console

__all__ = ["app", "main"]

app = typer.Typer(
    name="ringback",
    help="Run, call and watch Ringback, the control plane for realtime voice agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("call")(call.call)
app.command("talk")(talk.talk)
app.command("conformance")(conformance.conformance)
app.command("doctor")(doctor.doctor)
app.command("simulate")(session_programs.simulate)
app.command("replay")(session_programs.replay)
app.command("provision")(provision.provision)
app.add_typer(pack.app, name="pack")
app.add_typer(events.app, name="events")
app.add_typer(policy.app, name="policy")
app.add_typer(tools.app, name="tools")
app.add_typer(memory.app, name="memory")
app.add_typer(sessions.app, name="sessions")
app.add_typer(evaluate.app, name="eval")


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    typer.echo(f"ringback {installed('ringback-cli')}")


def main() -> None:
    """Run the command; errors become one line, exit code 2 for what the user can put right, else 1."""
    try:
        app()
    except RingbackError as error:
        error_console.print(f"ringback: {error}", style="red", markup=False)
        sys.exit(2 if isinstance(error, ConfigError | InvalidInput) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
