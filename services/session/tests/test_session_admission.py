"""Who is let in: the bounds of a replica, quotas over all of them, and a loop that is too late."""

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_identity import hash_key
from ringback_session.adapters.meters_otel import PROBE_MS, measure_loop
from ringback_session.adapters.tenants_file import TenantsInFile
from ringback_session.ports import Caller
from ringback_session.server.gateway import Gateway
from ringback_session.usecases.admission import AdmissionLimits, LoopLag, Refused
from ringback_sockets import RealtimeLink, UpgradeRefused, dial
from ringback_testkit.scripted_model import ScriptedModel
from session_call_kit import LEASE_MS, ClientTwin, World, models_at

TWO = Caller(tenant="local", packs=("airline",), default_pack="airline", sessions_max=2)
OTHER = Caller(tenant="other", packs=("airline",), default_pack="airline", sessions_max=2)


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.close()


async def start(world, calls, number, caller=TWO):
    """A call of a tenant on one replica."""
    call = await calls.start(
        ClientTwin(),
        caller=caller,
        pack="airline",
        session_id=f"sess_{number}",
        token_hash=f"t{number}".encode(),
        model=None,
    )
    await world.settle()
    return call


async def known_everywhere(world, number):
    await world.until(lambda: world.records.find(f"sess_{number}") is not None)


async def test_a_full_replica_refuses_and_says_when_to_come_back(world):
    calls = world.replica("session-0", calls_max=1)
    call = await start(world, calls, 1)
    with pytest.raises(Refused) as caught:
        await start(world, calls, 2)
    assert (caught.value.reason, caught.value.retry_after_ms) == ("calls_max", 5_000)
    assert world.meters.refusals == ["calls_max"]
    assert not call.over
    call.fence()
    (await start(world, calls, 3)).fence()


async def test_calls_that_start_at_once_never_pass_the_limit(world):
    calls = world.replica("session-0", calls_max=3)
    started = await asyncio.gather(*(start(world, calls, n, OTHER) for n in range(9)), return_exceptions=True)
    refused = [outcome for outcome in started if isinstance(outcome, Refused)]
    assert len(calls.running) == 2, "the tenant's quota holds for calls that are starting, too"
    assert len(refused) == 7
    for call in list(calls.running.values()):
        call.fence()


async def test_calls_that_start_at_once_count_for_the_bound_of_their_replica(world):
    calls = world.replica("session-0", calls_max=3)
    unbounded = Caller(tenant="local", packs=("airline",), default_pack="airline")
    await asyncio.gather(*(start(world, calls, n, unbounded) for n in range(9)), return_exceptions=True)
    assert len(calls.running) == 3
    for call in list(calls.running.values()):
        call.fence()


async def test_a_tenants_quota_counts_the_calls_of_all_replicas(world):
    watching = await world.records.watch()
    here, there = world.replica("session-1"), world.replica("session-2")
    await start(world, here, 1)
    await start(world, there, 2)
    await known_everywhere(world, 1)
    await known_everywhere(world, 2)
    for replica in (here, there):
        with pytest.raises(Refused) as caught:
            await start(world, replica, 3)
        assert (caught.value.reason, caught.value.of_tenant) == ("tenant_quota", True)
    await start(world, here, 4, OTHER)
    for replica in (here, there):
        for call in list(replica.running.values()):
            call.fence()
    await watching.close()


async def test_a_killed_replicas_calls_count_until_their_lease_runs_out(world):
    watching = await world.records.watch()
    dead, alive = world.replica("session-1"), world.replica("session-2")
    for number in (1, 2):
        (await start(world, dead, number)).fence()
        await known_everywhere(world, number)
    with pytest.raises(Refused):
        await start(world, alive, 3)
    world.beats_for(LEASE_MS + 1)
    (await start(world, alive, 3)).fence()
    await watching.close()


async def test_an_ended_call_makes_room_for_its_tenant(world):
    watching = await world.records.watch()
    calls = world.replica("session-1")
    first = await start(world, calls, 1)
    await start(world, calls, 2)
    await known_everywhere(world, 1)
    first.end("client_closed")
    await world.until(lambda: world.records.find("sess_1") is None)
    await start(world, calls, 3)
    for call in list(calls.running.values()):
        call.fence()
    await watching.close()


async def test_a_resumed_call_is_let_in_where_a_new_one_is_not(world):
    calls = world.replica("session-0", admission=AdmissionLimits(calls_max=5, loop_lag_ms_max=50))
    call, _ = await world.start(calls=calls)
    for _ in range(10):
        calls.admission.lag.note(400)
    with pytest.raises(Refused) as caught:
        calls.admission.check()
    assert caught.value.reason == "loop_lag"
    calls.admission.check(resuming=True)
    again, client = await world.resume(calls=calls)
    assert client.closed is None
    assert again.state.epoch == 2
    again.fence()
    call.fence()


async def test_a_full_replica_takes_no_foreign_session_and_changes_nothing_of_it(world):
    home, full = world.replica("session-1"), world.replica("session-2", calls_max=1)
    _, client = await world.start(calls=home)
    other = await start(world, full, 9)
    with pytest.raises(Refused) as caught:
        await world.resume(calls=full)
    assert caught.value.reason == "calls_max"
    assert client.closed is None
    assert (await world.record()).epoch == 1
    again, _ = await world.resume(calls=home)
    again.fence()
    other.fence()


async def test_a_draining_replica_takes_nobody_and_lets_its_calls_go_on(world):
    call, client = await world.start()
    world.calls.stop_taking()
    for resuming in (False, True):
        with pytest.raises(Refused) as caught:
            world.calls.admission.check(resuming=resuming)
        assert (caught.value.reason, caught.value.retry_after_ms) == ("draining", 1_000)
    assert client.closed is None
    assert not call.over


async def test_a_drained_call_goes_on_elsewhere(world):
    _, client = await world.start()
    other = world.replica("session-1")
    draining = asyncio.ensure_future(world.calls.drain(10))
    await draining
    assert client.closed == (1001, "The server is shutting down.")
    assert not world.calls.running
    again, _ = await world.resume(calls=other)
    assert (again.state.epoch, again.state.session_id) == (2, "sess_1")
    assert (await world.record()).owner == "session-1"
    again.fence()


# The loop.


def test_one_long_stall_is_no_overload():
    lag = LoopLag(limit_ms=100)
    for late_ms in (1, 2, 2_000, 1, 2, 3, 1, 2, 1, 1):
        lag.note(late_ms)
    assert not lag.shedding
    assert lag.typical_ms < 3


def test_shedding_begins_above_the_limit_and_ends_below_half_of_it():
    lag = LoopLag(limit_ms=100)
    for _ in range(10):
        lag.note(120)
    assert lag.shedding
    for _ in range(10):
        lag.note(70)
    assert lag.shedding, "between half the limit and the limit nothing changes"
    for _ in range(10):
        lag.note(20)
    assert not lag.shedding


def test_a_limit_of_zero_never_sheds():
    lag = LoopLag(limit_ms=0)
    for _ in range(20):
        lag.note(10_000)
    assert not lag.shedding


@given(st.lists(st.floats(min_value=-5, max_value=5_000), max_size=60), st.integers(1, 1_000))
def test_samples_within_the_limit_never_shed(samples, limit_ms):
    lag = LoopLag(limit_ms=limit_ms)
    for late_ms in samples:
        lag.note(min(late_ms, limit_ms))
    assert not lag.shedding


async def test_the_probe_sees_a_stall_of_the_loop():
    seen = []
    probe = asyncio.ensure_future(measure_loop(seen.append))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    until = loop.time() + 2 * PROBE_MS / 1000
    while loop.time() < until:
        pass
    async with asyncio.timeout(5):
        while not seen:
            await asyncio.sleep(0.005)
    probe.cancel()
    assert seen[0] >= PROBE_MS * 0.9


# On a socket.

KEY = "rb_secret"


@pytest.fixture
async def door(world, tmp_path):
    """A gateway for a tenant that may hold one call."""
    tenants = tmp_path / "tenants.yaml"
    entry = {"tenant": "local", "key_hashes": [hash_key(KEY)], "packs": ["airline"]}
    tenants.write_text(json.dumps({"tenants": [entry | {"quotas": {"sessions_max": 1}}]}))
    async with ScriptedModel() as model:
        world.calls = world.replica("session-0", upstream=models_at(world, model.url))
        gateway = Gateway(world.calls, TenantsInFile(tenants))
        port = await gateway.open(host="127.0.0.1", port=0)
        yield f"ws://127.0.0.1:{port}"
        await gateway.close(drain_ms=0)


async def visit(door, path="/v1/realtime", *, key=KEY):
    link = RealtimeLink()
    await dial(f"{door}{path}", link=link, headers={"Authorization": f"Bearer {key}"})
    return link


async def first_event(link):
    async with asyncio.timeout(5):
        async for message in link.messages():
            return json.loads(message)
    raise AssertionError(f"closed with {link.closed}")


async def test_a_tenant_over_its_quota_gets_429_and_its_call_goes_on(door):
    link = await visit(door)
    assert (await first_event(link))["type"] == "session.created"
    with pytest.raises(UpgradeRefused) as caught:
        await visit(door)
    assert (caught.value.status, caught.value.retry_after_ms) == (429, 5_000)
    assert "its quota" in caught.value.said
    assert link.open


async def test_a_lagging_loop_answers_503_before_the_upgrade(door, world):
    for _ in range(10):
        world.calls.admission.lag.note(10_000)
    with pytest.raises(UpgradeRefused) as caught:
        await visit(door)
    assert (caught.value.status, caught.value.retry_after_ms) == (503, 5_000)
    assert world.meters.refusals == ["loop_lag"]


async def test_a_drained_callers_token_works_at_another_replica(door, world, tmp_path):
    """A client that was told GOING_AWAY comes back with its token, to whoever answers."""
    link = await visit(door)
    await first_event(link)
    token = link.response_headers["Ringback-Resume-Token"]
    await world.calls.drain(10)
    async with asyncio.timeout(5):
        closed = await link.wait_closed()
    assert closed.code == 1001
    with pytest.raises(UpgradeRefused) as caught:
        await visit(door, f"/r/{token}/v1/realtime")
    assert caught.value.status == 503
    async with ScriptedModel() as model:
        upstream = models_at(world, model.url)
        second = Gateway(
            world.replica("session-1", upstream=upstream), TenantsInFile(tmp_path / "tenants.yaml")
        )
        port = await second.open(host="127.0.0.1", port=0)
        again = await visit(f"ws://127.0.0.1:{port}", f"/r/{token}/v1/realtime")
        assert (await first_event(again))["type"] == "session.created"
        await second.close(drain_ms=0)


@pytest.mark.parametrize("drained_by", ["its end", "an operator"])
async def test_two_workers_listen_on_one_port_and_one_of_them_stops_alone(world, tmp_path, drained_by):
    tenants = tmp_path / "tenants.yaml"
    entry = {"tenant": "local", "key_hashes": [hash_key(KEY)], "packs": ["airline"]}
    tenants.write_text(json.dumps({"tenants": [entry]}))
    async with ScriptedModel() as model:
        upstream = models_at(world, model.url)
        workers = [world.replica(f"session-{n}", upstream=upstream) for n in (1, 2)]
        gateways = [Gateway(calls, TenantsInFile(tenants)) for calls in workers]
        port = await gateways[0].open(host="127.0.0.1", port=0, shared=True)
        assert await gateways[1].open(host="127.0.0.1", port=port, shared=True) == port
        if drained_by == "an operator":
            await workers[0].drain(0)
        else:
            gateways[0].stop_taking()
        for _ in range(8):
            link = await visit(f"ws://127.0.0.1:{port}")
            assert (await first_event(link))["type"] == "session.created"
        assert (len(workers[0].running), len(workers[1].running)) == (0, 8)
        for gateway in gateways:
            await gateway.close(drain_ms=0)
