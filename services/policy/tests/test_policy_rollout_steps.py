"""The steps of a rollout by themselves: what is kept from one to the next, and what is not."""

from types import SimpleNamespace

from ringback_policy.domain.rollout import (
    TIGHTENED_MAX,
    Rollout,
    bundle_for,
    canaried,
    gate_failed,
    promoted,
    rolled_back,
    staged,
)
from ringback_policy.usecases.rolling_out import Questions, RollingOut

ACTIVE = Rollout(digest="old")


def canary(rollout, candidate="new", *, percent=50.0):
    return canaried(staged(rollout, candidate, tightening=False), percent=percent, tenants=())


def test_a_question_without_a_session_gets_the_active_bundle_whatever_the_canary():
    assert bundle_for(canary(ACTIVE, percent=100), tenant="t", session_id="") == "old"


def test_a_failed_gate_that_is_told_again_does_not_count_for_the_next_canary_of_the_same_bundle():
    failed = gate_failed(gate_failed(canary(ACTIVE), "new", seq=5), "new", seq=6)
    assert not failed.candidate
    again = canary(failed)
    assert gate_failed(again, "new", seq=6) is again


def test_a_bundle_that_is_active_again_is_not_decided_for_by_itself():
    tightened = promoted(staged(ACTIVE, "strict", tightening=True))
    assert tightened.tightened == {"old": "strict"}
    assert not tightened.tightening
    assert not rolled_back(tightened).tightened


def test_of_ever_stricter_bundles_the_newest_are_remembered():
    rollout = ACTIVE
    for number in range(TIGHTENED_MAX + 3):
        rollout = promoted(staged(rollout, f"strict-{number}", tightening=True))
    assert len(rollout.tightened) == TIGHTENED_MAX
    assert "old" not in rollout.tightened
    assert set(rollout.tightened.values()) == {rollout.digest}


def test_recorded_questions_are_bounded_by_their_size_as_well():
    questions = Questions(bytes.decode, bytes_max=10)
    for question in (b"first", b"second", b"3rd"):
        questions.keep("shop", question)
    assert list(questions.of("shop")) == ["second", "3rd"]


class Unchanged:
    """A pack's rollout that nobody changes."""

    async def fetch(self, digest):
        return SimpleNamespace(pack="shop")

    async def rollout(self, pack):
        return ACTIVE

    async def change(self, pack, expected_revision, step):
        raise AssertionError("nothing is to be changed, or audited")


async def test_a_failed_gate_of_a_bundle_in_no_canary_leaves_no_trace():
    rolling_out = RollingOut(
        Unchanged(),
        audit=None,
        facts=None,
        clock=lambda: 0,
        questions=Questions(bytes.decode),
        speaker=None,
    )
    await rolling_out.gate_failed("other", gate="latency", reason="slow", actor="quality", seq=1)
