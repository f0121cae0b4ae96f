"""The judgement of a soak: what counts as growth, and what an allocator may do by itself."""

import os

import pytest
from ringback_testkit.footprint import Footprint, footprint
from ringback_testkit.soak import Look, grown


def looks(
    *,
    held_kb=lambda n: 14_000,
    kb=lambda n: 50_000,
    files=lambda n: 20,
    threads=lambda n: 8,
    turn_ms=lambda n: 100.0,
    name="session",
):
    def look(n):
        holds = {name: Footprint(kb(n), files(n), threads(n))}
        held = {} if held_kb is None else {name: held_kb(n)}
        return Look(float(n), n, holds, (turn_ms(n),), held)

    return [look(n) for n in range(90)]


def test_what_stays_level_after_a_warm_up_has_not_grown():
    warm = looks(kb=lambda n: 30_000 + 2_000 * min(n, 30), held_kb=lambda n: 9_000 + 200 * min(n, 30))
    assert grown(warm) == []


def test_what_long_calls_hold_until_they_are_over_has_not_grown():
    assert grown(looks(held_kb=lambda n: 14_000 + 300 * (n % 10))) == []


def test_what_an_allocator_keeps_for_later_is_not_held():
    assert grown(looks(kb=lambda n: 50_000 + 150 * n)) == []


def test_a_leak_shows_under_what_comes_and_goes():
    (found,) = grown(looks(held_kb=lambda n: 14_000 + 300 * (n % 10) + 25 * n))
    assert found.startswith("session: what it holds")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"held_kb": lambda n: 14_000 + 25 * n}, "session: what it holds"),
        ({"kb": lambda n: 50_000 + 1_000 * n}, "session: memory"),
        ({"files": lambda n: 20 + n}, "session: open files"),
        ({"threads": lambda n: 8 + n}, "session: threads"),
        ({"turn_ms": lambda n: 100.0 + 20 * n}, "an answer took"),
    ],
)
def test_what_goes_on_growing_is_named(how, told):
    (found,) = grown(looks(**how))
    assert found.startswith(told)


def test_a_cache_with_a_bound_may_fill_late_and_no_more_than_that():
    assert grown(looks(held_kb=lambda n: 80_000 + 60 * n, name="memory")) == []
    (found,) = grown(looks(held_kb=lambda n: 80_000 + 300 * n, name="memory"))
    assert found.startswith("memory: what it holds")


def test_the_broker_keeps_what_is_written_to_it():
    assert grown(looks(kb=lambda n: 50_000 + 1_000 * n, held_kb=None, name="nats")) == []


def test_too_few_looks_judge_nothing():
    assert grown(looks(kb=lambda n: 50_000 * n)[:2]) == []


def test_a_footprint_is_that_of_the_process():
    before = footprint(os.getpid())
    kept = [open(os.devnull) for _ in range(5)]  # noqa: SIM115
    held = bytearray(os.urandom(1)) * 64_000_000
    after = footprint(os.getpid())
    assert after.files == before.files + len(kept)
    assert after.private_kb > before.private_kb + 50_000
    assert held
    for one in kept:
        one.close()
