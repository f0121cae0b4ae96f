"""The breaker as a value."""

from hypothesis import given
from hypothesis import strategies as st
from ringback_tools.domain.breaker import Breaker, BreakerRule, BreakerState, allow, record, unused

RULE = BreakerRule(
    failures_max=3, rate_max=0.5, rate_calls_min=6, window_ms=10_000, slow_ms=500, open_ms=1_000
)


def feed(breaker, outcomes, *, now_ms=0, duration_ms=1.0):
    for ok in outcomes:
        breaker = record(breaker, ok=ok, duration_ms=duration_ms, now_ms=now_ms)
    return breaker


def opened(now_ms=0):
    return feed(Breaker(RULE), [False] * 3, now_ms=now_ms)


def test_failures_in_a_row_open_it():
    assert feed(Breaker(RULE), [False, False, True, False, False]).state is BreakerState.CLOSED
    assert opened().state is BreakerState.OPEN


def test_a_high_share_of_failures_opens_it_though_successes_lie_between():
    assert feed(Breaker(RULE), [False, True, False, True, False]).state is BreakerState.CLOSED
    assert feed(Breaker(RULE), [False, True, False, True, True, False]).state is BreakerState.OPEN


def test_slow_calls_count_as_failed():
    assert feed(Breaker(RULE), [True] * 3, duration_ms=501).state is BreakerState.OPEN


def test_failures_older_than_the_window_are_forgotten():
    breaker = feed(Breaker(RULE), [False, True, False, True, False])
    breaker = feed(breaker, [True, False], now_ms=10_000)
    assert breaker.state is BreakerState.CLOSED


def test_open_refuses_until_its_time_and_then_lets_one_probe_through():
    breaker = opened()
    assert allow(breaker, now_ms=999) == (breaker, False)
    probing, allowed = allow(breaker, now_ms=1_000)
    assert allowed
    assert probing.state is BreakerState.HALF_OPEN
    assert not allow(probing, now_ms=1_001)[1]


def test_a_good_probe_closes_and_a_bad_one_opens_again():
    probing, _ = allow(opened(), now_ms=1_000)
    assert feed(probing, [True], now_ms=1_100).state is BreakerState.CLOSED
    again = feed(probing, [False], now_ms=1_100)
    assert again.state is BreakerState.OPEN
    assert not allow(again, now_ms=2_000)[1]


def test_a_probe_that_was_not_made_or_never_ended_does_not_lock_it():
    probing, _ = allow(opened(), now_ms=1_000)
    assert allow(unused(probing), now_ms=1_001)[1]
    assert allow(probing, now_ms=2_000)[1]


def test_a_call_from_before_it_opened_does_not_close_it():
    assert feed(opened(), [True]).state is BreakerState.OPEN


@given(
    st.lists(st.tuples(st.sampled_from(["allow", "ok", "bad", "unused"]), st.integers(0, 1_500)), max_size=60)
)
def test_it_always_recovers_when_the_dependency_does(steps):
    breaker, now_ms = Breaker(RULE), 0
    for step, wait_ms in steps:
        now_ms += wait_ms
        match step:
            case "allow":
                breaker, _ = allow(breaker, now_ms=now_ms)
            case "unused":
                breaker = unused(breaker)
            case _:
                breaker = record(breaker, ok=step == "ok", duration_ms=1, now_ms=now_ms)
    for _ in range(3):
        now_ms += RULE.open_ms
        breaker, allowed = allow(breaker, now_ms=now_ms)
        if allowed:
            breaker = record(breaker, ok=True, duration_ms=1, now_ms=now_ms)
    assert breaker.state is BreakerState.CLOSED
