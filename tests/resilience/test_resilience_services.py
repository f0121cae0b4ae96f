"""Services die during a call: the call goes on as promised, and nothing irreversible runs undecided."""

from __future__ import annotations

import asyncio
import re
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ringback_testkit.typed_caller import TypedCaller

    from conftest import Airline


async def _back(airline: Airline, name: str, *, after_pid: int) -> None:
    """Wait until the supervisor has the program running again."""

    def back() -> bool:
        notes = [n for n in airline.running.notes if n.name == name and n.kind == "restarted"]
        program = airline.running.stack.supervisor.programs[name]
        return bool(notes) and program.pid != after_pid and program.returncode is None

    async with asyncio.timeout(40):
        while not back():
            await asyncio.sleep(0.1)


async def _asks_until(caller: TypedCaller, line: str, wanted: str) -> None:
    """Ask again, as people do, while a breaker that opened meanwhile rests; every time there is an answer."""

    async def says() -> str:
        before = len(caller.said)
        caller.type(line)
        return await caller.hears(f"{wanted}|nothing has been changed|call you back", after=before)

    async with asyncio.timeout(40):
        while not re.search(wanted, await says(), re.IGNORECASE):
            await asyncio.sleep(0.5)


async def test_with_policy_killed_the_talk_goes_on_and_nothing_irreversible_runs(with_keys: Airline) -> None:
    running = with_keys.running
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        policy = running.stack.supervisor.programs["policy"]
        policy._signal(signal.SIGSTOP)
        try:
            before = len(caller.said)
            caller.type("yes")
            await caller.hears("cannot do that|can't do that|note", after=before)
            assert await with_keys.refunds(reservation_id) == 0
            await running.fact(caller.session_id, "task_opened")
            before = len(caller.said)
            caller.type("hello?")
            await caller.hears(".", after=before)
        finally:
            policy._signal(signal.SIGCONT)
        pid = running.kill9("policy")
        await _back(with_keys, "policy", after_pid=pid)
        before = len(caller.said)
        await _asks_until(caller, f"Please cancel reservation {reservation_id}", "shall i go ahead")
        caller.type("yes")
        await caller.hears("is cancelled", after=before)
    assert await with_keys.refunds(reservation_id) == 1
    assert not caller.errors


async def test_with_memory_killed_the_call_goes_on_and_the_packet_is_the_core_s_own(
    with_keys: Airline,
) -> None:
    running = with_keys.running
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        pid = running.kill9("memory")
        caller.type("yes")
        await caller.hears("is cancelled")
        caller.type("Can I speak to a real person?")
        await caller.hears("colleague")
        fact = await running.fact(caller.session_id, "escalated_to_person")
        assert reservation_id in fact.escalated_to_person.packet_json
        await _back(with_keys, "memory", after_pid=pid)
    assert await with_keys.refunds(reservation_id) == 1


async def test_with_nats_away_the_talk_goes_on_and_nothing_irreversible_starts(with_keys: Airline) -> None:
    running = with_keys.running
    async with with_keys.caller() as caller:
        reservation_id = await with_keys.read_back(caller)
        nats = running.stack.supervisor.programs["nats"]
        nats._signal(signal.SIGSTOP)
        try:
            before = len(caller.said)
            caller.type("yes")
            await caller.hears("cannot do that|can't do that|note", after=before, timeout_s=30)
            before = len(caller.said)
            caller.type("hello?")
            await caller.hears(".", after=before)
        finally:
            nats._signal(signal.SIGCONT)
        assert await with_keys.refunds(reservation_id) == 0
        await running.fact(caller.session_id, "task_opened", timeout_s=30)
    facts = running.watcher.of(caller.session_id)
    order = [(fact.epoch, fact.seq) for fact in facts]
    assert order == sorted(order), "facts come in order after the outage"
