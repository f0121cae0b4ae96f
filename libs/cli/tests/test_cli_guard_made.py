"""The written policy on an airline of our own: what keeps it is done, what breaks it is not."""

from __future__ import annotations

import json

import pytest
from made_airline import ASKED, DONE, write_folder
from made_stories import STORIES
from ringback_cli.main import app
from typer.testing import CliRunner


def replay(folder, *arguments):
    return CliRunner().invoke(app, ["eval", "airline-guard", "--data", str(folder), *arguments])


def became(line):
    if line["executed"]:
        return DONE
    return ASKED if line["decision"] == "confirm" else ",".join(line["rules"])


@pytest.mark.stack
@pytest.mark.timeout(300)
def test_every_clause_of_the_policy_decides_its_stories_kept_and_broken(tmp_path):
    write_folder(tmp_path, STORIES)
    out = tmp_path / "out.jsonl"
    done = replay(tmp_path, "--json", str(out))
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    runs = [line for line in lines if line["source"] == "run"]
    expected = [(at, tool, result) for at, story in enumerate(STORIES) for tool, _, result in story.writes]
    found = [(line["index"], line["tool"], became(line)) for line in runs]
    wrong = [
        (STORIES[at].name, tool, result, own, line["reason"])
        for (at, tool, result), (_, _, own), line in zip(expected, found, runs, strict=True)
        if own != result
    ]
    assert wrong == []
    assert [line["reason"] for line in lines if line["source"] == "task" and not line["executed"]] == []
    assert len(expected) >= 60
