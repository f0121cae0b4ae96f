"""The real local model's connection is replaced during a call, or breaks in the middle of a reply: the call goes on."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

if TYPE_CHECKING:
    from ringback_testkit.typed_caller import TypedCaller

    from conftest import Airline

pytestmark = pytest.mark.timeout(240)

BRIDGE = "lost you"
# A connection is replaced at the first boundary after so long; the last moment, at its end, never comes.
ROTATE_AFTER_MS = 1_500
LIFE_MS = 600_000


class Line:
    """An async context: the way to the model, message by message; it breaks after one of a kind that it was told of.

    Before it breaks nothing more passes, until it is `free` to.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._server: Server | None = None
        self.breaks_after = ""
        self.free = asyncio.Event()
        self.dials = 0

    async def __aenter__(self) -> Self:
        self._server = await serve(self._carry, "127.0.0.1", 0, max_size=None, compression=None)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self.free.set()
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return f"ws://127.0.0.1:{port}/v1/realtime"

    async def _carry(self, near: ServerConnection) -> None:
        self.dials += 1
        async with connect(self._url, max_size=None, compression=None) as far:
            up = asyncio.ensure_future(self._up(near, far))
            try:
                await self._down(near, far)
            finally:
                up.cancel()
                await asyncio.gather(up, return_exceptions=True)

    async def _up(self, near: ServerConnection, far: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in near:
                await far.send(message, text=True)
        await far.close()

    async def _down(self, near: ServerConnection, far: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            async for message in far:
                await near.send(message, text=True)
                if self.breaks_after and json.loads(message)["type"] == self.breaks_after:
                    self.breaks_after = ""
                    await self.free.wait()
                    near.transport.abort()
                    return


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def line(with_keys: Airline) -> AsyncIterator[Line]:
    async with Line(with_keys.running.stack.addresses.upstream_url) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def base(
    with_keys: Airline, line: Line, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """A replica whose connections to the local model are replaced often."""
    listed = tmp_path_factory.mktemp("upstreams") / "upstreams.yaml"
    session = {"ms_max": LIFE_MS, "rotate_before_ms": LIFE_MS - ROTATE_AFTER_MS, "rotate_at_last_ms": 0}
    one = {"name": "local", "kind": "local", "url": line.url, "session": session}
    await asyncio.to_thread(listed.write_text, json.dumps({"upstreams": [one]}))
    own = {"RINGBACK_UPSTREAM_URL": "", "RINGBACK_UPSTREAMS_FILE": str(listed)}
    process = with_keys.replica("session-rotating", **own)
    process.launch()
    try:
        await asyncio.to_thread(process.wait_ready)
        yield f"ws://127.0.0.1:{process.port}"
    finally:
        process.kill9()


async def _rotated(airline: Airline, caller: TypedCaller, reason: str, *, times: int = 1) -> list[str]:
    """Wait until the connection has been replaced so often for this reason; returns why it ever was."""

    def reasons() -> list[str]:
        facts = airline.running.facts(caller.session_id, "model_rotated")
        return [fact.model_rotated.reason for fact in facts]

    seen = await airline.running.watcher.wait_for(lambda: reasons().count(reason) >= times, timeout_s=25.0)
    assert seen, f"not replaced for {reason}: {reasons()}"
    return reasons()


async def _one_view(caller: TypedCaller) -> None:
    """What the client has been told is whole: one session, every response ends, no item twice, no error."""

    def ids(kind: str, part: str) -> list[Any]:
        return [event[part]["id"] for event in caller.events if event["type"] == kind]

    await caller.until(
        lambda: sorted(ids("response.created", "response")) == sorted(ids("response.done", "response"))
    )
    assert caller.closed is None
    assert caller.errors == []
    created = ids("session.created", "session"), ids("response.created", "response")
    assert (len(created[0]), len(created[1])) == (1, len(set(created[1])))
    items = Counter(ids("conversation.item.added", "item"))
    assert max(items.values()) == 1, items


async def test_a_connection_to_the_local_model_is_replaced_unseen_and_the_next_knows_what_was_said(
    with_keys: Airline, base: str, line: Line
) -> None:
    async with _calling(with_keys, base) as caller:
        dials = line.dials
        reservation_id = await _asked_for_the_id(with_keys, caller)
        events = len(caller.events)
        assert set(await _rotated(with_keys, caller, "planned")) == {"planned"}
        assert line.dials > dials, "it is another connection"
        told = {event["type"] for event in caller.events[events:]}
        assert told <= {"rate_limits.updated"}, "the client is told nothing"
        caller.type(reservation_id)
        await _cancels(caller, after=0)
        await _rotated(with_keys, caller, "planned", times=2)
        await _one_view(caller)
        assert not [text for text in caller.said if BRIDGE in text]
    assert await with_keys.refunds(reservation_id) == 1


async def test_a_connection_to_the_local_model_that_breaks_after_the_caller_heard_words_costs_a_bridge(
    with_keys: Airline, base: str, line: Line
) -> None:
    async with _calling(with_keys, base) as caller:
        reservation_id = await _asked_for_the_id(with_keys, caller)
        before, events = len(caller.said), len(caller.events)
        line.free.clear()
        line.breaks_after = "response.output_text.done"
        caller.type("hello")
        await caller.until(
            lambda: "response.output_text.delta" in [event["type"] for event in caller.events[events:]]
        )
        line.free.set()
        await _rotated(with_keys, caller, "closed_1006")
        await caller.hears(BRIDGE, after=before)
        bridge = next(at for at, text in enumerate(caller.said) if BRIDGE in text)
        await caller.hears(".", after=bridge + 1)
        caller.type(f"Please cancel reservation {reservation_id}")
        await _cancels(caller, after=bridge + 1)
        await _one_view(caller)
    assert await with_keys.refunds(reservation_id) == 1


async def test_a_connection_to_the_local_model_that_breaks_in_a_function_call_has_it_called_once(
    with_keys: Airline, base: str, line: Line
) -> None:
    async with _calling(with_keys, base) as caller:
        reservation_id = await _asked_for_the_id(with_keys, caller)
        before = len(caller.said)
        line.free.set()
        line.breaks_after = "response.function_call_arguments.delta"
        caller.type(reservation_id)
        await _rotated(with_keys, caller, "closed_1006")
        await _cancels(caller, after=before)
        await _one_view(caller)
    await with_keys.running.fact(caller.session_id, "session_ended", timeout_s=25)
    finished = with_keys.running.facts(caller.session_id, "action_finished")
    assert [fact.action_finished.tool for fact in finished].count("cancel_reservation") == 1
    assert await with_keys.refunds(reservation_id) == 1


@asynccontextmanager
async def _calling(airline: Airline, base: str) -> AsyncIterator[TypedCaller]:
    caller = airline.caller()
    await caller.connect(base=base)
    try:
        yield caller
    finally:
        caller.hang_up()


async def _asked_for_the_id(airline: Airline, caller: TypedCaller) -> str:
    caller.type("I want to cancel my reservation")
    await caller.hears("reservation id")
    return next(airline.fresh)


async def _cancels(caller: TypedCaller, *, after: int) -> None:
    """What was asked for before is still known: an id and a yes are all that it takes."""
    await caller.hears("shall i go ahead", after=after)
    caller.type("yes")
    await caller.hears("is cancelled", after=after)
