"""A command whose service is away says so at once: where it looked, and which option names another place."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from ringback_cli import reaching
from ringback_cli.main import app
from ringback_cli.reaching import NotReached
from ringback_testkit import free_port
from typer.testing import CliRunner

pytestmark = pytest.mark.stack
AIRLINE = str(Path(__file__).parents[3] / "packs" / "airline")

# What each command is given besides the address, the option that names the address, and whose it is.
GRPC = {
    "tools list": ("--tools", "tools service"),
    "memory show jane": ("--memory", "memory service"),
    "memory consent jane": ("--memory", "memory service"),
    "policy status airline": ("--policy", "policy service"),
    "sessions list": ("--admin", "session replica"),
}
NATS = {
    "tools disable stock --reason x": "--nats-url",
    "tools enable stock --reason x": "--nats-url",
    "events tail": "--nats-url",
    "policy audit": "--nats-url",
}


@pytest.fixture(params=["refuses", "is silent"])
def address(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where nobody listens, or somebody who takes connections and never says a word."""
    if request.param == "refuses":
        yield f"127.0.0.1:{free_port()}"
        return
    monkeypatch.setattr(reaching, "REACH_MS", 200)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        yield f"127.0.0.1:{silent.getsockname()[1]}"


def told(arguments: list[str]) -> str:
    done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, NotReached | reaching.Unavailable), done.output
    return str(done.exception)


def test_nobody_waits_longer_than_three_seconds_to_hear_it() -> None:
    assert reaching.REACH_MS <= 3_000


@pytest.mark.parametrize("command", GRPC)
def test_a_service_that_is_away_is_named_with_its_address_and_its_option(command: str, address: str) -> None:
    option, who = GRPC[command]
    said = told([*command.split(), option, address])
    assert said.startswith(f"no {who} answers at {address}: {option} takes ")


@pytest.mark.parametrize("command", NATS)
def test_a_bus_that_is_away_is_named_with_its_address_and_its_option(
    command: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaching, "REACH_MS", 200)
    option = NATS[command]
    said = told([*command.split(), option, f"nats://desk:secret@{address}"])
    assert said == f"no NATS server answers at {address}: {option} takes nats://host:port"


def test_forgetting_asks_nobody_unless_all_three_are_there(address: str) -> None:
    options = ["--memory", address, "--session", address, "--tools", address]
    assert "no memory service answers" in told(["memory", "forget", "jane", *options])


def test_a_pack_is_not_published_by_hand_into_nothing(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaching, "REACH_MS", 200)
    options = ["--nats-url", f"nats://{address}", "--policy", address]
    assert "no NATS server answers" in told(["pack", "publish", AIRLINE, *options])
