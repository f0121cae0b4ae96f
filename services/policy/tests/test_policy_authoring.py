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


def test_a_file_that_nobody_would_read_is_named_with_the_one_that_was_probably_meant(folder, capsys):
    (folder / "safety.yaml").rename(folder / "safety.yml")
    assert author(["check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "safety.yaml: expected, but missing" in out
    assert "safety.yml: unknown file; expected one of actions.yaml" in out
    assert "did you mean 'safety.yaml'?" in out


def test_what_yaml_reads_as_something_else_than_text_is_to_be_put_in_quotes(folder, capsys):
    path = folder / "domain.yaml"
    path.write_text(path.read_text().replace('version: "1"', "version: 1.10"))
    assert author(["check", str(folder)]) == 1
    assert (
        capsys.readouterr().out == "domain.yaml:3: version: expected `str`, got `float`; put it in quotes\n"
    )


def test_a_broken_read_back_is_told_once(folder, capsys):
    path = folder / "actions.yaml"
    path.write_text(path.read_text().replace("{args.reservation_id|id}", "{args.reservation_id|id"))
    assert author(["check", str(folder)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "template: expected every { to be closed by }" in line


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
    assert author(["explain", str(folder), "--case", "no such"]) == 1
    assert "expected one of" in capsys.readouterr().out


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


COUNT = "session.totals.cancel_reservation.succeeded >= 5"
COVERED = "when: facts.reservation.airline_cancelled"
TYPOS = [
    ("domain.yaml", "effect: escalate", "effect: escalat", "expected one of allow, confirm, deny, escalate;"),
    ("domain.yaml", "on_error: escalate", "onerror: escalate", "did you mean 'on_error'?"),
    ("domain.yaml", "on_error: escalate", "on_error: escalat", "did you mean 'escalate'?"),
    ("domain.yaml", "departure_date: string", "departure_date: strng", "did you mean 'string'?"),
    ("domain.yaml", "facts:\n", "fact:\n", "did you mean 'facts'?"),
    ("domain.yaml", "segments_flown > 0", "segments_flow > 0", "did you mean 'segments_flown'?"),
    ("domain.yaml", COVERED, COVERED.replace("facts", "fact"), "did you mean 'facts'?"),
    ("domain.yaml", COUNT, COUNT.replace("ee", "e"), "did you mean 'succeeded'?"),
    ("domain.yaml", COUNT, COUNT.replace("5", '"5"'), "expected operands of one type"),
    ("domain.yaml", COUNT, "sizes(args) > 1", "did you mean 'size'?"),
    ("actions.yaml", "must_contain:", "must_contian:", "did you mean 'must_contain'?"),
]


@pytest.mark.parametrize(("file", "right", "wrong", "said"), TYPOS)
def test_a_name_that_nobody_knows_is_answered_with_the_one_that_was_probably_meant(
    folder, capsys, file, right, wrong, said
):
    path = folder / file
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong, 1))
    assert author(["check", str(folder)]) == 1
    assert said in capsys.readouterr().out


def test_a_rule_about_an_action_that_is_almost_a_declared_one_is_warned_of(folder, capsys):
    path = folder / "domain.yaml"
    path.write_text(path.read_text().replace("action: cancel_reservation", "action: cancel_reservaton", 1))
    assert author(["check", str(folder)]) == 0
    assert "declares no 'cancel_reservaton'; did you mean 'cancel_reservation'?" in capsys.readouterr().out
