"""Erasure: what the bucket holds of a session that has ended goes, to the last token; what has not ended stays."""

import pytest
from ringback_errors import Conflict, InvalidInput
from ringback_session.adapters.secrets_kv import SecretsInBucket
from ringback_session.adapters.traces_kv import TracesInBucket
from ringback_session.ports import Secret
from ringback_session.usecases.erasing import Erase, Erased
from session_call_kit import World

CALLER = "+49 30 1234567"


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.close()


class Told:
    """Keeps what is told for the audit."""

    def __init__(self):
        self.erasures = []

    def session_erased(self, *, tenant, session_id, removed, left, actor):
        self.erasures.append((tenant, session_id, removed, left, actor))


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def erase(world, told):
    return Erase(TracesInBucket(world.bus), told=told)


async def ended(world, session_id, *, token):
    call, _ = await world.start(session_id=session_id, token=token)
    call.end("client_closed")
    await world.until(lambda: session_id not in world.calls.running)
    assert (await world.record(session_id)).ended


async def keys(world):
    return await world.bus.bucket("sessions").keys()


async def test_a_session_that_has_ended_goes_with_every_token_that_ever_led_to_it(world, erase):
    await world.start(session_id="sess_1", token=b"t1")
    call, _ = await world.resume(token=b"t1", new=b"t2")
    call.end("client_closed")
    await world.until(lambda: "sess_1" not in world.calls.running)
    await ended(world, "sess_10", token=b"t3")
    assert await erase(tenant="local", session_id="sess_1") == Erased(found=3, removed=3, left=0)
    assert sorted(await keys(world)) == ["record.sess_10", f"token.{b't3'.hex()}"]
    assert await erase(tenant="local", session_id="sess_1") == Erased(found=0, removed=0, left=0)


async def test_a_session_that_has_not_ended_is_refused_and_loses_nothing(world, erase):
    call, _ = await world.start()
    before = await keys(world)
    with pytest.raises(Conflict, match="has not ended"):
        await erase(tenant="local", session_id="sess_1")
    # Nobody runs it now, but its caller may come back to any replica.
    call.fence()
    with pytest.raises(Conflict, match="has not ended"):
        await erase(tenant="local", session_id="sess_1")
    assert await keys(world) == before


async def test_another_tenants_session_is_not_found(world, erase):
    await ended(world, "sess_1", token=b"t1")
    assert await erase(tenant="other", session_id="sess_1") == Erased(found=0, removed=0, left=0)
    assert len(await keys(world)) == 2


async def test_the_client_secrets_of_a_caller_go_and_no_other(world, erase):
    secrets = SecretsInBucket(world.bus, world.clock)
    for number, (tenant, caller) in enumerate([("local", CALLER), ("local", "other"), ("far", CALLER)]):
        secret = Secret(
            tenant=tenant, pack="airline", session={"x": 1}, expires_at_ms=10**15, caller_id=caller
        )
        await secrets.keep(bytes([number]), secret)
    await world.bus.bucket("sessions").put("secret.ff", b"\xff")
    assert await erase(tenant="local", caller_id=CALLER) == Erased(found=1, removed=1, left=0)
    assert await keys(world) == ["secret.01", "secret.02", "secret.ff"]


async def test_a_record_that_nobody_can_read_can_be_erased(world, erase):
    await world.bus.bucket("sessions").put("record.sess_1", b"\xff\xff")
    assert await erase(tenant="local", session_id="sess_1") == Erased(found=1, removed=1, left=0)


async def test_what_changes_between_the_look_and_the_removal_counts_as_left(world):
    class Late(TracesInBucket):
        async def remove(self, trace):
            await world.bus.bucket("sessions").put(trace.key, b"\xff")
            await super().remove(trace)

    await world.bus.bucket("sessions").put("record.sess_1", b"\xff\xff")
    erased = await Erase(Late(world.bus), told=Told())(tenant="local", session_id="sess_1")
    assert erased == Erased(found=1, removed=0, left=1)


@pytest.mark.parametrize(
    ("fields", "named"), [({"tenant": ""}, "tenant"), ({"session_id": ""}, "session_id")]
)
async def test_a_request_that_names_nothing_is_refused(erase, fields, named):
    with pytest.raises(InvalidInput, match="expected") as refused:
        await erase(**{"tenant": "local", "session_id": "sess_1", **fields})
    assert refused.value.field == named


async def test_each_erasure_is_told_for_the_audit_with_who_asked(world, erase, told):
    await ended(world, "sess_1", token=b"t1")
    erased = await erase(tenant="local", session_id="sess_1", actor="bo@host")
    assert told.erasures == [("local", "sess_1", erased.removed, 0, "bo@host")]
    await erase(tenant="local", session_id="sess_1", actor="bo@host")
    assert len(told.erasures) == 1
    with pytest.raises(InvalidInput, match="actor"):
        await erase(tenant="local", session_id="sess_1", actor="b" * 129)
