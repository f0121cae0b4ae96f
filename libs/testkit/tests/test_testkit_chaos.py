"""The schedule of kills: a seed says it whole."""

from ringback_testkit.chaos import DELAY_MS_MAX, WEIGHTS, schedule
from ringback_testkit.stubborn_caller import STAGES


def test_a_seed_gives_the_same_kills_and_another_one_others():
    assert schedule(7, kills=50) == schedule(7, kills=50)
    assert schedule(7, kills=50) != schedule(8, kills=50)


def test_a_longer_schedule_begins_with_the_shorter_one():
    assert schedule(7, kills=80)[:50] == schedule(7, kills=50)


def test_every_program_dies_at_every_stage_sooner_or_later():
    kills = schedule(1, kills=2_000)
    assert {(kill.program, kill.stage) for kill in kills} == {(p, s) for p in WEIGHTS for s in STAGES}
    assert all(0 <= kill.delay_ms < DELAY_MS_MAX for kill in kills)
