"""Repeating stops at the attempt cap, the deadline and the budget, and waits as long as the peer asked."""

import asyncio

import pytest
from ringback_calling import RetryBudget
from ringback_calling.retry import may_repeat, retry_after
from ringback_errors import (
    Behind,
    Conflict,
    DeadlineExceeded,
    Fenced,
    Forbidden,
    Internal,
    InvalidInput,
    Overloaded,
    Unavailable,
)

AWAY = Unavailable("away")


class Peer:
    """Fails with each error in turn, then answers."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.numbers = []

    async def __call__(self, number):
        self.numbers.append(number)
        if self.errors:
            raise self.errors.pop(0)
        return "reply"


async def repeated(peer, *, first=AWAY, attempts_max=3, left_s=5.0, budget=None, slept=None):
    async def sleep(seconds):
        if slept is not None:
            slept.append(seconds)

    return await retry_after(
        first,
        peer,
        attempts_max=attempts_max,
        left_s=left_s,
        budget=budget or RetryBudget(),
        sleep=sleep,
    )


async def test_a_second_attempt_may_answer():
    peer = Peer()
    assert await repeated(peer) == "reply"
    assert peer.numbers == [2]


async def test_the_first_attempt_counts():
    peer = Peer(AWAY, Overloaded("last"), AWAY)
    with pytest.raises(Overloaded, match="last"):
        await repeated(peer)
    assert peer.numbers == [2, 3]


@pytest.mark.parametrize("error", [Forbidden("no"), InvalidInput("no"), DeadlineExceeded("no")])
async def test_an_answer_that_repeating_can_not_change_ends_it(error):
    peer = Peer(error, AWAY)
    with pytest.raises(type(error)):
        await repeated(peer, attempts_max=9)
    assert peer.numbers == [2]


def test_only_a_peer_that_is_away_full_or_behind_is_asked_again():
    assert all(may_repeat(kind("x")) for kind in (Unavailable, Overloaded, Behind))
    kinds = (Conflict, DeadlineExceeded, Fenced, Forbidden, Internal, InvalidInput)
    assert not any(may_repeat(kind("x")) for kind in kinds)
    assert not may_repeat(asyncio.CancelledError())


async def test_no_attempt_starts_after_the_deadline():
    peer = Peer()
    with pytest.raises(Overloaded):
        await repeated(peer, first=Overloaded("later", retry_after_ms=60_000), left_s=0.5)
    assert peer.numbers == []


async def test_the_peer_is_left_alone_for_as_long_as_it_asked():
    slept = []
    await repeated(Peer(), first=Overloaded("later", retry_after_ms=3_000), slept=slept)
    assert slept == [3.0]


async def test_waits_are_jittered_and_grow_no_further_than_their_bounds():
    seen = set()
    for _ in range(20):
        slept = []
        await repeated(Peer(*[AWAY] * 8), attempts_max=10, left_s=60.0, slept=slept)
        assert all(wait <= min(1.0, 0.02 * 2**index) for index, wait in enumerate(slept))
        seen |= set(slept)
    assert len(seen) > 20 * 8


async def test_with_half_of_the_budget_gone_nobody_repeats():
    budget, peer = RetryBudget(tokens_max=4), Peer()
    budget.failed()
    assert budget.may_retry
    budget.failed()
    with pytest.raises(Unavailable):
        await repeated(peer, budget=budget)
    assert peer.numbers == []
    for _ in range(11):
        budget.succeeded()
    assert budget.may_retry


def test_the_budget_stays_within_its_bounds():
    budget = RetryBudget(tokens_max=2)
    for _ in range(100):
        budget.failed()
    assert not budget.may_retry
    for _ in range(11):
        budget.succeeded()
    assert budget.may_retry
    for _ in range(100):
        budget.succeeded()
    budget.failed()
    assert not budget.may_retry
