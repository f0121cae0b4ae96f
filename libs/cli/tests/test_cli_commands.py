"""The command line: help for everything, one line and an exit code for what is wrong."""

import re
import sys
from pathlib import Path

import pytest
from ringback_cli import main as command
from ringback_cli.caller import CallerVoice
from ringback_cli.caller.client import realtime_url
from ringback_cli.settings import load_settings
from ringback_errors import ConfigError, InvalidInput
from ringback_speech import SpeechChunk
from typer.main import get_command
from typer.testing import CliRunner


def commands(group, *path):
    """Each command that does something, by its words."""
    for name, own in group.commands.items():
        if hasattr(own, "commands"):
            yield from commands(own, *path, name)
        else:
            yield " ".join((*path, name)), own


COMMANDS = dict(commands(get_command(command.app)))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = CliRunner().invoke(command.app, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_written_so_that_markdown_takes_nothing_away(name):
    own = COMMANDS[name]
    texts = [own.help or "", *(getattr(option, "help", None) or "" for option in own.params)]
    assert [text for text in texts if "*" in re.sub(r"`[^`]*`", "", text)] == []


def test_a_pack_that_is_none_is_refused_with_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ringback", "pack", "check", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "pack.yaml: a file of this name expected" in capsys.readouterr().err


def test_no_stack_to_talk_to_says_how_to_start_one(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["ringback", "talk"])
    monkeypatch.setenv("RINGBACK_VAR", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    assert "start one with: make up" in capsys.readouterr().err


def test_a_home_without_packs_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="RINGBACK_HOME: a folder with packs/airline expected"):
        load_settings({"RINGBACK_HOME": str(tmp_path)})


def test_settings_name_the_folders(tmp_path):
    settings = load_settings({"RINGBACK_VAR": str(tmp_path), "RINGBACK_PACKS": "elsewhere"})
    assert (settings.var, settings.packs) == (tmp_path, Path("elsewhere"))


@pytest.mark.parametrize(
    ("base", "options", "expected"),
    [
        ("http://127.0.0.1:8080/v1", {}, "ws://127.0.0.1:8080/v1/realtime"),
        ("https://calls.example/v1", {"pack": "airline"}, "wss://calls.example/p/airline/v1/realtime"),
        ("http://127.0.0.1:8080", {"model": "m"}, "ws://127.0.0.1:8080/v1/realtime?model=m"),
        ("ws://127.0.0.1:8080/v1/realtime", {"resume_token": "t"}, "ws://127.0.0.1:8080/r/t/v1/realtime"),
    ],
)
def test_a_base_url_becomes_the_websocket_of_a_call(base, options, expected):
    assert realtime_url(base, **options) == expected


def test_a_base_url_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="url: something like"):
        realtime_url("127.0.0.1:8080")


class _Padded:
    """Speaks each sentence as 100 ms of sound inside 500 ms of silence on both sides."""

    voices = ("caller",)

    def stream(self, text, *, voice=None):
        for sentence in text.split(". "):
            yield SpeechChunk(bytes(24_000) + b"\x00\x30" * 2_400 + bytes(24_000), sentence, sentence)


def test_a_line_is_spoken_in_one_breath():
    pcm = CallerVoice(synthesiser=_Padded()).speak("Hold on. Which card?")
    loud = pcm.count(b"\x00\x30")
    assert loud == 4_800
    # Two sentences of 100 ms with soft edges of 40 ms, and a breath of 180 ms between them.
    assert len(pcm) // 2 // 24 == 2 * (100 + 2 * 40) + 180
