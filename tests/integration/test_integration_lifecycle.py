"""Services and NATS in any order: who waits, who is healthy when, and how each one ends."""

from __future__ import annotations

import asyncio

import pytest
from ringback_testkit import NatsServer

SERVICES = ("policy", "tools", "memory", "session")


@pytest.fixture
def nats_later(services, tmp_path):
    """A NATS server on the port that the services were told, started when the test says so."""
    server = NatsServer(tmp_path / "nats")
    server._port = services.nats_port
    yield server
    server.stop()


async def _all(services, wanted):
    found = await asyncio.gather(*(services.health(name, wanted) for name in SERVICES))
    return dict(zip(SERVICES, found, strict=True))


async def _says(process, *words, timeout_s=20):
    async with asyncio.timeout(timeout_s):
        while not any(all(word in line for word in words) for line in process.log.splitlines()):
            assert process.running, f"{process.name} ended:\n{process.tail()}"
            await asyncio.sleep(0.1)


async def test_services_wait_for_nats_say_so_come_up_with_it_and_end_in_order(services, nats_later, can_bind):
    running = {name: services.launch(name) for name in SERVICES}
    for process in running.values():
        await _says(process, f"nats://127.0.0.1:{services.nats_port}")
    assert all(process.running for process in running.values()), "nobody gives up at once"
    for name in ("policy", "tools"):
        assert await services.health(name, "NOT_SERVING", timeout_s=10) == "NOT_SERVING"

    await asyncio.to_thread(nats_later.restart)
    assert await _all(services, "SERVING") == dict.fromkeys(SERVICES, "SERVING")

    await asyncio.to_thread(nats_later.stop)
    for name in ("tools", "memory", "session"):
        assert await services.health(name, "NOT_SERVING") == "NOT_SERVING", name
    # What policy needs it holds in memory, and calls go on that need its answers.
    assert await services.health("policy", "SERVING", timeout_s=5) == "SERVING"
    assert all(process.running for process in running.values()), "a lost bus ends nobody"

    await asyncio.to_thread(nats_later.restart)
    assert await _all(services, "SERVING") == dict.fromkeys(SERVICES, "SERVING")

    codes = await asyncio.gather(*(asyncio.to_thread(process.terminate) for process in running.values()))
    assert dict(zip(running, codes, strict=True)) == dict.fromkeys(SERVICES, 0)
    assert [name for name, port in services.ports.items() if not can_bind(port)] == []
    for name, process in running.items():
        assert "Traceback" not in process.log, f"{name}:\n{process.tail()}"
