from __future__ import annotations

import asyncio

import pytest
from ringback_testkit import FakeClock


def test_timers_run_in_order_each_at_its_own_moment() -> None:
    clock = FakeClock(now_ms=1_000)
    seen: list[tuple[str, int]] = []
    clock.call_later(50, lambda: seen.append(("late", clock.now_ms())))
    clock.call_later(10, lambda: seen.append(("early", clock.now_ms())))
    clock.call_later(10, lambda: seen.append(("second", clock.now_ms())))
    clock.advance(40)
    assert seen == [("early", 1_010), ("second", 1_010)]
    assert clock.now_ms() == 1_040
    clock.advance(100)
    assert seen[-1] == ("late", 1_050)
    assert clock.timers == 0


def test_a_timer_set_by_a_timer_runs_within_the_same_advance() -> None:
    clock = FakeClock(now_ms=0)
    seen: list[int] = []
    clock.call_later(10, lambda: clock.call_later(10, lambda: seen.append(clock.now_ms())))
    clock.advance(20)
    assert seen == [20]


def test_a_cancelled_timer_never_runs() -> None:
    clock = FakeClock()
    clock.call_later(10, lambda: pytest.fail("ran")).cancel()
    clock.advance(10)
    assert not clock.advance_to_next()


def test_the_clock_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        FakeClock().advance(-1)


async def test_sleep_ends_when_the_clock_gets_there() -> None:
    clock = FakeClock()
    sleeper = asyncio.create_task(clock.sleep_ms(100))
    await asyncio.sleep(0)
    clock.advance(99)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(1)
    await sleeper
