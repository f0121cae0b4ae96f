"""A call script that is wrong says where and what was expected."""

from pathlib import Path

import pytest
from ringback_cli.caller import load_script
from ringback_errors import InvalidInput

HEAD = "name: test\ntitle: A test\npack: airline\n"
SHIPPED = sorted((Path(__file__).resolve().parents[3] / "packs").glob("*/calls/*.yaml"))


def load(tmp_path: Path, text: str):
    path = tmp_path / "call.yaml"
    path.write_text(text)
    return load_script(path)


def test_a_whole_script_is_read(tmp_path):
    script = load(tmp_path, HEAD + "steps:\n- wait_for: {agent: finished}\n- say: Hello.\n- pause_ms: 200\n")
    assert script.lines() == ["Hello."]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scripts_are_whole(path):
    script = load_script(path)
    assert script.name == path.stem
    assert script.checks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: x\n", "missing required field"),
        ("- [", "YAML expected"),
        (HEAD + "steps:\n- {}\n", r"step 1: one of say, wait_for, expect, pause_ms expected"),
        (HEAD + "steps:\n- {say: Hi., pause_ms: 3}\n", "step 1: one of"),
        (HEAD + "steps:\n- {interrupt_after_ms: 3}\n", "only beside say"),
        (HEAD + "steps:\n- {wait_for: {}}\n", "step 1: wait_for: exactly one of heard, event, agent"),
        (HEAD + "steps:\n- {expect: {heard: a, probe: b}}\n", "step 1: expect: exactly one of"),
        (HEAD + "steps:\n- {wait_for: {heard: '('}}\n", "a regular expression expected"),
        (HEAD + "steps:\n- {wait_for: {agent: asleep}}\n", r"steps\[0\].wait_for.agent"),
        (HEAD + "steps: []\ncolour: red\n", "unknown field `colour`"),
    ],
)
def test_a_broken_script_names_the_step_and_what_was_expected(tmp_path, text, said):
    with pytest.raises(InvalidInput, match=said):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidInput, match=r"none\.yaml: a readable call script expected"):
        load_script(tmp_path / "none.yaml")
