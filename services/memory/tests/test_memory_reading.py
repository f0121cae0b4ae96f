"""How a request waits for the state that it names."""

import asyncio
import contextlib

import pytest
from ringback_errors import NotFound, Unavailable
from ringback_memory.adapters.clock import SystemClock
from ringback_memory.adapters.in_memory import FixedSchemas, InMemorySource
from ringback_memory.adapters.records import InMemoryStateStore
from ringback_memory.domain.events import CallerSpoke, Event, Position
from ringback_memory.ports import SessionKey
from ringback_memory.usecases.reading import read_view
from ringback_memory.usecases.sessions import Sessions

KEY = SessionKey("local", "sess_1")


class Ticking:
    """A clock that every look at it moves on."""

    def __init__(self):
        self.now = 0

    def monotonic_ms(self):
        self.now += 10
        return self.now


class Looks:
    """Sessions of which nothing is known, at a store that answers the first `answers` looks only."""

    def __init__(self, answers):
        self.left = answers

    async def view(self, key, *, at_least, timeout_ms):
        self.left -= 1
        if self.left < 0:
            raise Unavailable("no answer")
        return

    def at_hand(self, key):
        return None

    @contextlib.contextmanager
    def changes(self, key):
        async def changed(timeout_ms):
            return None

        yield changed


@pytest.mark.parametrize(("answers", "error"), [(1, NotFound), (3, NotFound), (0, Unavailable)])
async def test_a_last_look_that_had_no_time_does_not_hide_what_was_seen_before(answers, error):
    with pytest.raises(error):
        await read_view(Looks(answers), KEY, at_least=Position(1, 1), deadline_ms=100, clock=Ticking())


class SlowStore(InMemoryStateStore):
    """Counts the looks, and lets `meanwhile` happen after a look has read and before it answers."""

    def __init__(self):
        super().__init__()
        self.looks = 0
        self.meanwhile = None

    async def load(self, key, *, timeout_ms=None):
        self.looks += 1
        read = await super().load(key, timeout_ms=timeout_ms)
        if self.meanwhile is not None:
            await self.meanwhile()
        return read


def _sessions(store, clock):
    return Sessions(store, schemas=FixedSchemas(), source=InMemorySource(), clock=clock)


def _said(seq):
    return Event(Position(1, seq), seq, CallerSpoke(f"item_{seq}", "Hello."))


async def test_a_fact_that_is_folded_here_is_waited_for_without_asking_the_store():
    store, clock = SlowStore(), Patient()
    sessions = _sessions(store, clock)
    await sessions.fold(KEY, _said(1))
    before = store.looks
    asking = asyncio.create_task(
        read_view(sessions, KEY, at_least=Position(1, 2), deadline_ms=25_000, clock=clock)
    )
    while not clock.waits:
        await asyncio.sleep(0)
    await sessions.fold(KEY, _said(2))
    async with asyncio.timeout(25):
        assert (await asking).watermark == Position(1, 2)
    assert store.looks == before


async def test_a_change_that_comes_while_the_store_is_asked_is_not_missed():
    store, clock = SlowStore(), Patient()
    sessions = _sessions(store, clock)

    async def folded():
        store.meanwhile = None
        await sessions.fold(KEY, _said(1))

    store.meanwhile = folded
    async with asyncio.timeout(25):
        view = await read_view(sessions, KEY, at_least=Position(1, 1), deadline_ms=25_000, clock=clock)
    assert view.watermark == Position(1, 1)


class Patient(SystemClock):
    """No wait ends by itself: only a change does."""

    def __init__(self):
        self.waits = 0

    def monotonic_ms(self):
        return 0

    async def wait(self, timeout_ms):
        self.waits += 1
        await asyncio.Event().wait()
