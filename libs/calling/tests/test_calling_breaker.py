"""The breaker opens, rests, tries and closes as drawn; no sequence of calls brings it off the drawing."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from ringback_calling import Breaker, BreakerState, Budget
from ringback_errors import DeadlineExceeded, InvalidInput, Unavailable


class Clock:
    now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def opened(clock, **more):
    breaker = Breaker(failures_max=2, open_ms=100, clock=clock, name="tools", **more)
    for _ in range(2):
        breaker.allow()
        breaker.record_failure()
    return breaker


def test_it_opens_after_enough_failures_in_a_row(clock):
    breaker = opened(clock)
    clock.now = 40
    assert breaker.state is BreakerState.OPEN
    with pytest.raises(Unavailable, match="tools") as caught:
        breaker.allow()
    assert caught.value.retry_after_ms == 60


def test_a_success_between_failures_keeps_it_closed(clock):
    breaker = Breaker(failures_max=2, clock=clock)
    for _ in range(5):
        breaker.record_failure()
        breaker.record_success()
    assert breaker.state is BreakerState.CLOSED


def test_after_its_rest_one_probe_is_let_through_and_closes_it(clock):
    breaker = opened(clock)
    clock.now = 100
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.allow()
    with pytest.raises(Unavailable, match="half open"):
        breaker.allow()
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED
    breaker.allow()


def test_a_probe_that_fails_opens_it_for_another_rest(clock):
    breaker = opened(clock)
    clock.now = 100
    breaker.allow()
    breaker.record_failure()
    clock.now = 199
    with pytest.raises(Unavailable):
        breaker.allow()
    clock.now = 200
    breaker.allow()


def test_a_probe_whose_caller_went_away_gives_its_place_back(clock):
    breaker = opened(clock)
    clock.now = 100
    breaker.allow()
    breaker.record_abandoned()
    breaker.allow()
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED


def test_it_can_ask_for_several_probes(clock):
    breaker = opened(clock, half_open_probes=2)
    clock.now = 100
    breaker.allow()
    breaker.allow()
    breaker.record_success()
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.record_success()
    assert breaker.state is BreakerState.CLOSED


def test_a_call_from_before_the_opening_changes_nothing(clock):
    breaker = opened(clock)
    breaker.record_success()
    breaker.record_failure()
    assert breaker.state is BreakerState.OPEN


def test_every_change_is_told_once(clock):
    told = []
    breaker = opened(clock, on_change=told.append)
    clock.now = 100
    breaker.allow()
    breaker.record_success()
    assert told == [BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED]


@pytest.mark.parametrize("field", ["failures_max", "open_ms", "half_open_probes"])
def test_a_breaker_that_could_never_work_is_refused(field):
    with pytest.raises(InvalidInput) as caught:
        Breaker(**{field: 0})
    assert caught.value.field == field


class AnySequence(RuleBasedStateMachine):
    """Calls come and go in any order while time passes."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.breaker = Breaker(failures_max=3, open_ms=50, half_open_probes=2, clock=self.clock)
        self.running = 0
        self.in_a_row = 0

    @rule()
    def call(self):
        before = self.breaker.state
        try:
            self.breaker.allow()
        except Unavailable:
            assert before is not BreakerState.CLOSED
        else:
            assert before is not BreakerState.OPEN
            self.running += 1

    @rule(how=st.sampled_from(["success", "failure", "abandoned"]))
    def end(self, how):
        if self.running:
            self.running -= 1
            getattr(self.breaker, f"record_{how}")()

    @rule(ms=st.integers(0, 60))
    def passes(self, ms):
        self.clock.now += ms

    @invariant()
    def probes_are_bounded(self):
        assert 0 <= self.breaker._probes_running <= 2

    @invariant()
    def it_never_stays_shut_for_good(self):
        if self.breaker.state is BreakerState.OPEN:
            assert self.clock.now < self.breaker._opened_at_ms + 50


AnySequence.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnySequence = AnySequence.TestCase


def test_a_budget_shrinks_with_time_and_never_below_zero(clock):
    budget = Budget(100, clock)
    assert budget.remaining_ms() == 100
    clock.now = 30
    assert (budget.remaining_ms(), budget.remaining_ms(at_most=20), budget.spent_ms()) == (70, 20, 30)
    budget.require(70)
    with pytest.raises(DeadlineExceeded, match="71 ms"):
        budget.require(71)
    clock.now = 130
    assert (budget.remaining_ms(), budget.remaining_ms(20), budget.expired) == (0, 0, True)
