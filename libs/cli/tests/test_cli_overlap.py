"""`ringback eval turns`: which cases there are, how they are judged, and what the report says."""

import dataclasses
import math

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ringback_cli.overlap import cases, measuring
from ringback_cli.overlap.cases import Case, all_cases
from ringback_cli.overlap.playing import MONOLOGUE, Heard
from ringback_cli.overlap.report import Rate, lines_of, rates, table
from ringback_cli.settings import load_settings
from ringback_errors import ConfigError
from ringback_packs import load_pack

CASE = Case("interruption", "Stop.", "deep", 1_200, b"")
MM = dataclasses.replace(CASE, kind="backchannel", line="Mm-hmm.")


def test_every_line_is_said_in_every_voice():
    speakers = {"one": str.encode, "two": str.encode}
    made = all_cases(speakers)
    lines = len(cases.BACKCHANNELS) + len(cases.INTERRUPTIONS) + len(cases.MIXED)
    assert len(made) == 2 * lines
    assert len({(case.voice, case.line) for case in made}) == len(made)
    assert [case.line for case in all_cases(speakers, lines_max=1)][:3] == [
        cases.BACKCHANNELS[0],
        cases.INTERRUPTIONS[0],
        cases.MIXED[0],
    ]


def test_the_agents_monologue_asks_nothing():
    assert "?" not in MONOLOGUE


@pytest.mark.parametrize(
    ("case", "stopped_ms", "right"),
    [
        (CASE, 0, True),
        (CASE, 2_000, True),
        (CASE, 2_040, False),
        (CASE, -1, False),
        (MM, -1, True),
        (MM, 1_040, True),
        (MM, 1_000, False),
        (MM, 0, False),
    ],
)
def test_each_kind_has_its_window(case, stopped_ms, right):
    assert Heard(case, stopped_ms=stopped_ms).right is right


def test_a_call_that_failed_is_never_right():
    assert not Heard(MM, failure="the call ended").right


# Wilson 1927; the values of the second case are those of a common worked example.
@pytest.mark.parametrize(("right", "of", "low", "high"), [(0, 0, 0.0, 1.0), (9, 10, 0.5958, 0.9821)])
def test_the_interval_is_wilsons(right, of, low, high):
    assert Rate(right, of).interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_the_interval_holds_the_share(counts):
    rate = Rate(*counts)
    low, high = rate.interval
    assert 0 <= low <= high <= 1
    assert not rate.of or low - 1e-9 <= rate.value <= high + 1e-9
    assert not math.isnan(low + high)


def test_the_report_counts_and_says_whose_voices_they_are():
    heard = [
        Heard(CASE, told_ms=400, stopped_ms=440, outcome="interrupted", reason="long", held_ms=280),
        Heard(dataclasses.replace(CASE, kind="mixed"), stopped_ms=-1),
        Heard(MM, outcome="ignored", reason="backchannel"),
    ]
    found = rates(heard)
    assert (found["yields"].right, found["yields"].of, found["ignores"].value) == (1, 2, 1.0)
    text = table(heard)
    assert text.startswith("Synthetic voices")
    assert "goal: yields ≥ 0.95: MISSED" in text
    assert "goal: ignores ≥ 0.90: reached" in text
    assert "wrong: 1" in text
    assert lines_of(heard)[0]["reason"] == "long"


def test_the_measured_pack_is_the_relay_with_the_rules_that_were_asked_for(tmp_path):
    packs = load_settings().packs
    folder = measuring._pack(packs / "passthrough", tmp_path / "turns", {"backchannel_window_ms": 250})
    assert load_pack(folder).name == "turns"
    rules = yaml.safe_load((folder / "bundle" / "interaction.yaml").read_text())["turn_rules"]
    assert (rules["backchannel_window_ms"], rules["input_gate"]) == (250, "off")


def test_voices_that_are_not_there_are_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="espeak-ng"):
        cases.voices(espeak=True)
