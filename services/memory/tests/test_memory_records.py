"""Records at rest: the KV bucket and its twin pass the same tests."""

import pytest
from ringback_errors import Conflict, Unavailable
from ringback_events import MemoryBus
from ringback_memory.adapters.records import (
    MAGIC,
    InMemoryStateStore,
    KvStateStore,
    decode_record,
    encode_record,
)
from ringback_memory.domain import events as ev
from ringback_memory.domain.state import FOLD_VERSION
from ringback_memory.domain.timeline import Record
from ringback_memory.ports import NeedsRebuildError, SessionKey

KEY = SessionKey("local", "sess_1")


@pytest.fixture(params=["twin", "bucket"])
async def store(request):
    if request.param == "twin":
        yield InMemoryStateStore()
        return
    bus = MemoryBus()
    yield KvStateStore(bus)
    await bus.close()


@pytest.fixture
def record(script, folded):
    return folded(script.spine()).record


async def test_what_was_saved_is_loaded(store, record):
    assert await store.load(KEY) is None
    revision = await store.save(KEY, record, revision=None)
    stored = await store.load(KEY)
    assert (stored.record, stored.revision) == (record, revision)


async def test_the_second_of_two_writers_loses(store, record):
    revision = await store.save(KEY, record, revision=None)
    with pytest.raises(Conflict):
        await store.save(KEY, record, revision=None)
    await store.save(KEY, record, revision=revision)
    with pytest.raises(Conflict):
        await store.save(KEY, record, revision=revision)


async def test_sessions_of_different_tenants_are_different(store, record):
    await store.save(KEY, record, revision=None)
    assert await store.load(SessionKey("other", "sess_1")) is None


def test_an_older_fold_asks_for_a_rebuild_and_a_newer_one_is_left_alone(record):
    value = encode_record(record)
    with pytest.raises(NeedsRebuildError) as older:
        decode_record(_as_version(value, FOLD_VERSION - 1), revision=5)
    assert older.value.revision == 5
    with pytest.raises(Unavailable):
        decode_record(_as_version(value, FOLD_VERSION + 1), revision=5)


def test_garbage_at_rest_asks_for_a_rebuild():
    for value in (b"", b"garbage", encode_record(Record())[:-3], encode_record(Record())[:7]):
        with pytest.raises(NeedsRebuildError):
            decode_record(value, revision=1)


def test_the_largest_record_stays_below_a_megabyte(new_script, folded):
    script = new_script()
    for n in range(400):
        script.caller(f"{n} " + "ü" * 1_900)
        arguments = f'{{"s{n}":"{"v" * 150}","t{n}":"{"w" * 150}","pad":"{"p" * 1_600}"}}'
        script.requested(f"act_{n}" + "a" * 140, arguments=arguments, call_id=f"call_{n}" + "c" * 140)
        script.finished(action_id=f"act_{n}" + "a" * 140, result=f'{{"r{n}":"{"r" * 1_900}"}}')
        script.add(ev.TaskOpened(f"task_{n}", "t" * 500, reason="r" * 500))
        script.add(ev.ConsentAsked(f"con_{n}", f"act_{n}", "b" * 500, 0))
        script.add(ev.FactsFetched(f"fact_{n}", "t", "{}", '"' + "f" * 1_000 + '"'))
        script.decided("ALLOW")
    assert len(encode_record(folded(script.events).record)) < 1_000_000
    assert Record() == decode_record(encode_record(Record()), revision=1)


def _as_version(value, version):
    return MAGIC + version.to_bytes(2, "big") + value[len(MAGIC) + 2 :]
