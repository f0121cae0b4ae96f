"""Simulated calls with a model that says no read-back as it is: the port says it, or a person takes over."""

import pytest
from ringback_session.domain import consent
from ringback_session.simulation.plan import Move, Plan, draw
from ringback_session.simulation.world import simulate

CANCELS = Move(1_000, "caller", "says", "Cancel 1.")


@pytest.mark.parametrize(
    "settings", [{}, {"typed": True}, {"sound": "pcmu"}, {"recorded": True}, {"text": True}]
)
def test_the_caller_is_read_to_by_the_port_says_yes_and_it_happens_once(settings):
    outcome = simulate(Plan(seed=1, moves=(CANCELS,), garbles=True, voice="ready", **settings))
    assert not outcome.violations
    assert (outcome.counts["effects"], outcome.counts["escalated_to_person"]) == (1, 0)


@pytest.mark.parametrize("voice", ["", "slow", "away", "unusable"])
def test_without_a_port_that_speaks_nothing_happens_and_a_person_takes_over(voice):
    outcome = simulate(Plan(seed=1, moves=(CANCELS,), garbles=True, voice=voice))
    assert not outcome.violations
    assert (outcome.counts["effects"], outcome.counts["escalated_to_person"]) == (0, 1)


@pytest.mark.parametrize("answers", [("question",), ("early_yes",), ("silence",), ("mumble",), ("yes_no",)])
def test_whatever_the_caller_says_to_it_what_the_port_reads_is_repeated_until_it_is_answered(answers):
    outcome = simulate(Plan(seed=1, moves=(CANCELS,), garbles=True, voice="ready", answers=answers))
    assert not outcome.violations


@pytest.mark.parametrize("what", ["stalls", "dies"])
@pytest.mark.parametrize("word", range(0, 24, 6))
def test_an_owner_that_is_lost_anywhere_around_it_does_not_make_it_count_twice(what, word):
    lost = Move(3_000, "owner", what, str(word), 3_000)
    outcome = simulate(Plan(seed=1, moves=(CANCELS, lost), garbles=True, voice="ready"))
    assert not outcome.violations


def test_it_finds_a_yes_that_counts_before_the_port_has_said_the_value(monkeypatch):
    plan = Plan(seed=1, moves=(CANCELS,), garbles=True, voice="ready", typed=True, answers=("early_yes",))
    assert not simulate(plan).violations
    monkeypatch.setattr(consent, "_values_heard", lambda step, asked: True)
    assert "never said yes" in "; ".join(simulate(plan).violations)


def test_a_read_back_that_a_spent_budget_takes_back_in_the_same_moment_is_not_said():
    moves = (
        Move(1_000, "caller", "says", "Billing, please."),
        Move(7_000, "caller", "says", "Billing, please."),
        Move(28_000, "caller", "says", "Cancel 2."),
        Move(28_700, "caller", "says", "Lose 1."),
        Move(30_224, "caller", "noise"),
    )
    plan = Plan(seed=7300526, typed=True, budget_tokens=60, garbles=True, voice="ready", moves=moves)
    assert not simulate(plan).violations


def test_some_plans_have_such_a_model_with_and_without_a_port():
    drawn = [draw(seed) for seed in range(200)]
    with_port = {bool(plan.voice) for plan in drawn if plan.garbles}
    assert with_port == {True, False}
