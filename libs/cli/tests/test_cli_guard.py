"""Recorded conversations of the airline's desk: how they are read, and what a replay may never do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ringback_cli.guard.evidence import caller_id, read_slot_words, slots_of
from ringback_cli.guard.recordings import Utterance, Write, read_stories
from ringback_cli.guard.tables import read_tables
from ringback_cli.main import app
from ringback_errors import InvalidInput
from typer.testing import CliRunner

ROOT = Path(__file__).parents[3]
PACK = ROOT / "packs" / "tau-airline"
DATA = ROOT.parent / "shared" / "data" / "tau_airline"
WRITES = frozenset({"cancel", "change"})


def call(name, arguments, at):
    return {"id": f"call_{at}", "function": {"name": name, "arguments": json.dumps(arguments)}}


RUN = {
    "task_id": 7,
    "traj": [
        {"role": "user", "content": "Cancel it."},
        {"role": "assistant", "content": "Shall I cancel AB12CD?"},
        {"role": "user", "content": "Yes."},
        {"role": "assistant", "content": None, "tool_calls": [call("look", {"id": 1}, 1)]},
        {"role": "tool", "content": "{}"},
        {"role": "assistant", "content": None, "tool_calls": [call("cancel", {"id": 1}, 2)]},
        {"role": "tool", "content": "Error: too late"},
        {"role": "assistant", "content": "It was too late. Anything else?"},
        {"role": "assistant", "content": None, "tool_calls": [call("change", {"id": 2}, 2)]},
        {"role": "tool", "content": '{"ok": 1}'},
    ],
}


def folder(tmp_path, *, runs=None, tasks=None):
    for name in ("flights", "reservations", "users"):
        (tmp_path / f"{name}.json").write_text("{}")
    if runs is not None:
        (tmp_path / "runs_x.json").write_text(json.dumps(runs))
    if tasks is not None:
        (tmp_path / "tasks_x.json").write_text(json.dumps(tasks))
    return tmp_path


def test_each_write_knows_what_was_said_and_done_before_it(tmp_path):
    (story,) = read_stories(folder(tmp_path, runs=[RUN]), WRITES)
    first, second = story.writes
    assert (first.read_back, first.answer) == ("Shall I cancel AB12CD?", "Yes.")
    assert (first.succeeded, second.succeeded) == (False, True)
    assert [(past.tool, past.succeeded) for past in second.before] == [("look", True), ("cancel", False)]
    # What the agent said after the caller's last words was answered by nobody.
    assert (second.read_back, second.answer) == ("Shall I cancel AB12CD?", "Yes.")
    assert (first.call_id, second.call_id) == ("call_2", "call_2")


def test_the_correct_actions_of_tasks_are_read_in_order(tmp_path):
    task = {
        "id": "9",
        "actions": [{"name": "look", "arguments": {}}, {"name": "change", "arguments": {"id": 3}}],
    }
    (story,) = read_stories(folder(tmp_path, tasks=[task]), WRITES)
    assert (story.source, story.index, story.task_id) == ("task", 0, "9")
    assert [(write.tool, write.arguments, write.call_id) for write in story.writes] == [
        ("change", {"id": 3}, None)
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "expected JSON"),
        ("{}", "expected a list of objects"),
        ("[1]", "expected a list of objects"),
        ('[{"task_id": 1}]', "expected a run with messages"),
        ('[{"traj": [{"role": "assistant", "tool_calls": [{}]}]}]', "expected a run with messages"),
    ],
)
def test_a_recording_that_cannot_be_read_is_named(tmp_path, content, expected):
    (folder(tmp_path) / "runs_x.json").write_text(content)
    with pytest.raises(InvalidInput, match=expected) as refused:
        read_stories(tmp_path, WRITES)
    assert "runs_x.json" in str(refused.value.field)


def test_a_folder_without_data_or_recordings_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="missing"):
        read_tables(tmp_path)
    with pytest.raises(InvalidInput, match=r"runs_\*\.json or tasks_\*\.json"):
        read_stories(folder(tmp_path), WRITES)


def told(*texts):
    return tuple(Utterance("caller" if speaker == "u" else "agent", text) for speaker, text in texts)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (told(("u", "I am ill and cannot fly.")), {"cancel_reason": "health"}),
        (told(("u", "A change of plan."), ("u", "There is a storm.")), {}),
        (told(("u", "I have the flu."), ("u", "There is a storm.")), {"cancel_reason": "weather"}),
        (told(("u", "It's not for health reasons, my plans have changed.")), {"cancel_reason": "other"}),
        (told(("u", "I can't fly, I'm ill.")), {"cancel_reason": "health"}),
        (told(("u", "I don't want a voucher.")), {}),
        (told(("u", "Does it cover health reasons?")), {}),
        (told(("a", "Are you ill?"), ("u", "Just cancel it.")), {}),
        (told(("u", "Can I get some compensation?")), {"compensation_asked": "yes"}),
        (told(("a", "I can offer you a certificate."), ("u", "A certificate is fine.")), {}),
    ],
)
def test_slots_hold_what_the_caller_told_and_nothing_else(said, expected):
    words = read_slot_words(PACK / "evaluation" / "slots.yaml")
    assert {found.slot: found.value for found in slots_of(said, words)} == expected


def test_a_caller_is_who_they_last_said_they_are():
    write = Write("cancel", {}, None, told(("u", "I am ann_1."), ("a", "ann_2?"), ("u", "No, bob_3, please")))
    assert caller_id(write, {"ann_1", "ann_2", "bob_3"}) == "bob_3"
    assert caller_id(write, set()) == ""


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_no_write_that_breaks_the_policy_runs_and_no_correct_one_is_blocked(tmp_path):
    if not DATA.is_dir():
        pytest.skip("the public airline recordings are not here (../shared/data/tau_airline)")
    out = tmp_path / "out.jsonl"
    done = CliRunner().invoke(app, ["eval", "airline-guard", "--data", str(DATA), "--json", str(out)])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    runs = [line for line in lines if line["source"] == "run"]
    labels = json.loads((PACK / "evaluation" / "labels_dev.json").read_text())["labels"]
    assert [(label["run"], label["tool"]) for label in labels] == [(r["index"], r["tool"]) for r in runs]
    judged = list(zip(labels, runs, strict=True))
    assert [label for label, line in judged if line["executed"] and label["verdict"] != "holds"] == []
    assert [label for label, line in judged if _blocked(line) and label["verdict"] == "holds"] == []
    assert [line for line in lines if line["source"] == "task" and not line["executed"]] == []
    assert sum(line["executed"] for line in runs) >= 20


def _blocked(line):
    return line["decision"] in ("deny", "escalate")
