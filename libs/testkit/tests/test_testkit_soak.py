"""The judgement of a soak: what counts as growth, and what an allocator may do by itself."""

import os

import pytest
from ringback_testkit.footprint import Footprint, footprint
from ringback_testkit.soak import Look, grown


def looks(
    *, kb=lambda n: 50_000, files=lambda n: 20, threads=lambda n: 8, turn_ms=lambda n: 100.0, name="session"
):
    return [
        Look(float(n), n, {name: Footprint(kb(n), files(n), threads(n))}, (turn_ms(n),)) for n in range(30)
    ]


def test_what_stays_level_after_a_warm_up_has_not_grown():
    assert grown(looks(kb=lambda n: 30_000 + 2_000 * min(n, 10))) == []


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ({"kb": lambda n: 50_000 + 1_000 * n}, "session: memory"),
        ({"files": lambda n: 20 + 2 * n}, "session: open files"),
        ({"threads": lambda n: 8 + n}, "session: threads"),
        ({"turn_ms": lambda n: 100.0 + 20 * n}, "an answer took"),
    ],
)
def test_what_goes_on_growing_is_named(how, told):
    (found,) = grown(looks(**how))
    assert found.startswith(told)


def test_the_broker_keeps_what_is_written_to_it():
    assert grown(looks(kb=lambda n: 50_000 + 1_000 * n, name="nats")) == []


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
