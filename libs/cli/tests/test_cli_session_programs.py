"""`ringback simulate` and `ringback replay` start the service's own programs and end as they do."""

import sys

import pytest
from ringback_cli.commands import session_programs
from ringback_cli.main import app
from typer.testing import CliRunner


def run(*arguments):
    return CliRunner().invoke(app, arguments).exit_code


def test_replay_of_what_is_no_recording_ends_with_2(tmp_path, capfd):
    path = tmp_path / "some.file"
    path.write_text("RIFF")
    assert run("replay", str(path)) == 2
    assert "line 1: not the JSON of a recording's header" in capfd.readouterr().err


def test_a_simulated_call_ends_well(capfd):
    assert run("simulate", "--calls", "1", "--seed", "1") == 0
    assert capfd.readouterr().out.startswith("1 calls, ")


def test_without_the_service_the_command_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(session_programs, "SERVICE", "ringback_of_nobody")
    with pytest.raises(Exception, match="not installed"):
        session_programs.simulate(calls=1)
    assert "ringback_of_nobody" not in sys.modules
