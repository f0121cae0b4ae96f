"""A bundle's own tests, their coverage, and the account of a decision."""

import shutil

import pytest
from ringback_policy.bootstrap import author
from ringback_policy.domain.explaining import Said, explain
from ringback_policy.domain.vocabulary import Gate


def renderer(value, kind, currency):
    return value


@pytest.fixture
def folder(airline, tmp_path):
    target = tmp_path / "airline" / "bundle"
    shutil.copytree(airline.root / "packs" / "airline" / "bundle", target)
    return target


def test_the_airlines_cases_pass_and_reach_every_rule(folder, capsys):
    assert author(["test", str(folder), "--untested-fails"]) == 0
    assert "0 failed, 0 of" in capsys.readouterr().out


def test_a_failed_case_is_named_with_its_line_and_what_was_expected(folder, capsys):
    path = folder / "tests" / "cancel.yaml"
    path.write_text(path.read_text().replace("rule: cancel-business", "rule: cancel-flown"))
    assert author(["test", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "tests/cancel.yaml:31: business class: rule: expected 'cancel-flown', got 'cancel-business'" in out


def test_an_untested_rule_fails_only_when_asked(folder, capsys):
    (folder / "tests" / "cancel.yaml").write_text("cases: []\n")
    assert author(["test", str(folder)]) == 0
    assert author(["test", str(folder), "--untested-fails"]) == 1


def test_check_prints_findings_with_lines(folder, capsys):
    assert author(["check", str(folder)]) == 0
    path = folder / "domain.yaml"
    path.write_text(path.read_text().replace("segments_flown > 0", "segments_flow > 0"))
    assert author(["check", str(folder)]) == 1
    assert "rule cancel-flown: unknown field facts.reservation.segments_flow" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    ["cases: 3\n", "cases: [{name: a}]\n", "cases: [\n", "cases: [{name: a, gate: door, expect: {}}]\n"],
)
def test_a_file_that_is_not_one_of_cases_is_refused(folder, capsys, text):
    (folder / "tests" / "cancel.yaml").write_text(text)
    assert author(["test", str(folder)]) == 1
    assert "tests/cancel.yaml:" in capsys.readouterr().out


def test_a_case_with_an_undeclared_fact_is_refused(folder, capsys):
    (folder / "tests" / "cancel.yaml").write_text(
        "cases: [{name: a, gate: action, action: x, facts: {weather: 1}, expect: {}}]\n"
    )
    assert author(["test", str(folder)]) == 1
    assert "declares no fact 'weather'" in capsys.readouterr().out


def test_explain_shows_each_rule(folder, capsys):
    assert author(["explain", str(folder), "--case", "business"]) == 0
    out = capsys.readouterr().out
    assert "business class: CONFIRM by cancel-business" in out
    assert "silent" in out


def test_a_folder_that_is_none_is_a_wrong_call(tmp_path, capsys):
    assert author(["check", str(tmp_path / "none")]) == 2


def test_an_explanation_tells_what_waits_what_fired_and_what_failed(airline):
    request = airline.request(airline.action(), gate=Gate.ACTION)
    waiting = {step.rule: step.said for step in explain(airline.bundle, request, renderer=renderer).steps}
    assert waiting["cancel-business"] is Said.WAITS
    request = airline.request(airline.action(), gate=Gate.ACTION, facts=(airline.fact(unavailable=True),))
    failed = {step.rule: step.said for step in explain(airline.bundle, request, renderer=renderer).steps}
    assert failed["cancel-business"] is Said.ERROR
    request = airline.request(airline.action(), gate=Gate.ACTION, facts=(airline.fact(),))
    fired = {step.rule: step.said for step in explain(airline.bundle, request, renderer=renderer).steps}
    assert (fired["cancel-within-a-day"], fired["cancel-flown"]) == (Said.FIRED, Said.SILENT)
