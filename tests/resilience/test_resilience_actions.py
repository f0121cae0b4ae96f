"""A side effect happens at most once, whatever dies: the ledger of the reservation system is the judge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ringback_cli.caller.script import BackendFault

if TYPE_CHECKING:
    from conftest import Airline

STATES = ("admitted", "attempting", "answered", "finished")


async def _appears(sign: Path, *, timeout_s: float = 15.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(sign.exists):
            await asyncio.sleep(0.02)


async def _outcome(airline: Airline, session_id: str, *, timeout_s: float = 30.0) -> str:
    """The status with which the cancellation was published as finished."""
    running = airline.running

    def statuses() -> list[int]:
        return [
            event.action_finished.status
            for event in running.facts(session_id, "action_finished")
            if event.action_finished.tool == "cancel_reservation"
        ]

    assert await running.watcher.wait_for(lambda: bool(statuses()), timeout_s=timeout_s), "no outcome"
    found = statuses()
    assert len(found) == 1, "one action has one outcome"
    return {1: "ok", 2: "failed", 3: "unknown", 4: "not_started"}[found[0]]


@pytest.mark.parametrize("state", STATES)
async def test_killing_tools_at_any_state_leaves_exactly_one_refund_with_key_support(
    with_keys: Airline, state: str
) -> None:
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        sign = with_keys.hold_tools_at(state)
        caller.type("yes")
        await _appears(sign)
        with_keys.running.kill9("tools")
        assert await _outcome(with_keys, caller.session_id) == "ok"
        await caller.hears("is cancelled")
    assert await with_keys.refunds(reservation_id) == 1


@pytest.mark.parametrize("state", STATES)
async def test_killing_tools_at_any_state_never_doubles_a_refund_without_key_support(
    without_keys: Airline, state: str
) -> None:
    async with without_keys.caller() as caller:
        reservation_id = await without_keys.read_back(caller)
        sign = without_keys.hold_tools_at(state)
        caller.type("yes")
        await _appears(sign)
        without_keys.running.kill9("tools")
        outcome = await _outcome(without_keys, caller.session_id)
        refunds = await without_keys.refunds(reservation_id)
        # What is told is what the ledger says: done, or not done with a task that stays open.
        assert (outcome == "ok") == (refunds == 1), f"{outcome} with {refunds} refunds"
        if outcome != "ok":
            assert refunds == 0
            await without_keys.running.fact(caller.session_id, "task_opened")
            await caller.hears("not cancelled|cannot tell|note|call you back")


async def test_killing_session_while_the_action_runs_leaves_one_refund_and_the_caller_hears_it_once(
    with_keys: Airline,
) -> None:
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        await with_keys.faults(BackendFault(scope=reservation_id, method="POST", apply_latency_ms=2500))
        caller.type("yes")
        await with_keys.running.fact(caller.session_id, "action_progressed")
        with_keys.running.kill9("session")
        before = len(caller.said)
        await caller.come_back()
        await caller.hears("is cancelled", after=before)
        await with_keys.faults()
    assert await with_keys.refunds(reservation_id) == 1
    resumed = await with_keys.running.fact(caller.session_id, "session_resumed")
    assert resumed.epoch == 2
    told = [text for text in caller.said if "is cancelled" in text]
    assert len(told) == 1, told


async def test_killing_session_before_the_yes_asks_for_it_again(with_keys: Airline) -> None:
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        asked = await with_keys.running.fact(caller.session_id, "consent_asked")
        # What was not written yet may go with the process; the way back may not: the next test.
        await with_keys.running.journalled(caller.session_id, asked.consent_asked.consent_id)
        with_keys.running.kill9("session")
        before = len(caller.said)
        await caller.come_back()
        await caller.hears("shall i go ahead", after=before)
        assert await with_keys.refunds(reservation_id) == 0
        caller.type("yes, please")
        await caller.hears("is cancelled", after=before)
    assert await with_keys.refunds(reservation_id) == 1


async def test_killing_session_at_the_first_moment_of_a_call_leaves_a_way_back(with_keys: Airline) -> None:
    async with with_keys.caller() as caller:
        with_keys.running.kill9("session")
        await caller.come_back()
        reservation_id = await with_keys.read_back(caller)
        caller.type("yes")
        await caller.hears("is cancelled")
    assert await with_keys.refunds(reservation_id) == 1


async def test_a_caller_who_interrupts_while_the_action_runs_loses_nothing_and_doubles_nothing(
    with_keys: Airline,
) -> None:
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        await with_keys.faults(BackendFault(scope=reservation_id, method="POST", apply_latency_ms=1500))
        caller.type("yes")
        await with_keys.running.fact(caller.session_id, "action_progressed")
        caller.send({"type": "response.cancel"})
        caller.type("hello, are you still there?")
        assert await _outcome(with_keys, caller.session_id) == "ok"
        await caller.hears("is cancelled")
        await with_keys.faults()
    assert await with_keys.refunds(reservation_id) == 1


async def test_asking_for_the_same_cancellation_again_books_nothing_again(with_keys: Airline) -> None:
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        caller.type("yes")
        await caller.hears("is cancelled")
        before = len(caller.said)
        caller.type(f"Please cancel reservation {reservation_id}")
        await caller.hears("cancelled|nothing left to do", after=before)
    assert await with_keys.refunds(reservation_id) == 1


async def test_an_answer_that_was_lost_is_found_out_and_not_repeated(without_keys: Airline) -> None:
    async with without_keys.caller() as caller:
        reservation_id = await without_keys.read_back(caller)
        await without_keys.faults(BackendFault(scope=reservation_id, method="POST", apply_then_drop=True))
        caller.type("yes")
        assert await _outcome(without_keys, caller.session_id) == "ok"
        await without_keys.faults()
    assert await without_keys.refunds(reservation_id) == 1
