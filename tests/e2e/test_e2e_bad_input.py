"""Bad input at the edges of the running stack: what, where and what to do; nothing else is hurt."""

from __future__ import annotations

import asyncio
import json

import pytest
from ringback_errors import Unavailable
from ringback_sockets import Closed, RealtimeLink, dial
from ringback_testkit.running_stack import RunningStack


class Peer:
    """A raw client: sends bytes, keeps what comes back."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self.closed: asyncio.Future[Closed] = asyncio.get_running_loop().create_future()
        self.link = RealtimeLink()

    async def connect(
        self, running: RunningStack, path: str = "/v1/realtime", key: str | None = None
    ) -> Peer:
        port = running.stack.addresses.realtime_port
        token = running.stack.api_key if key is None else key
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        await dial(f"ws://127.0.0.1:{port}{path}", link=self.link, headers=headers)
        self.link.take(lambda frame: self.events.put_nowait(json.loads(frame)), self._on_closed)
        return self

    async def next(self) -> dict[str, object]:
        async with asyncio.timeout(10):
            return await self.events.get()

    def _on_closed(self, closed: Closed) -> None:
        if not self.closed.done():
            self.closed.set_result(closed)


async def _peer(running: RunningStack, path: str = "/v1/realtime", key: str | None = None) -> Peer:
    return await Peer().connect(running, path, key)


@pytest.mark.parametrize(
    ("frame", "code", "words"),
    [
        (b"{not json", None, "JSON"),
        (b"[1,2]", None, "JSON object"),
        (b'{"event_id":"e1"}', None, "type"),
        (b'{"type":"no.such.event","event_id":"e2"}', None, "no.such.event"),
        (
            b'{"type":"session.update","session":{"type":"realtime","colour":"red"}}',
            "unknown_parameter",
            "colour",
        ),
        (b'{"type":"conversation.item.delete","item_id":"item_nope"}', None, "item_nope"),
        (b"\xff\xfe", None, "JSON object"),
    ],
)
async def test_a_bad_frame_gets_a_clear_error_and_the_call_goes_on(
    running: RunningStack, frame: bytes, code: str | None, words: str
) -> None:
    peer = await _peer(running)
    assert (await peer.next())["type"] == "session.created"
    peer.link.send(frame)
    answer = await peer.next()
    assert answer["type"] == "error"
    error = answer["error"]
    assert isinstance(error, dict)
    assert words in str(error["message"])
    if code is not None:
        assert error["code"] == code
    peer.link.send(b'{"type":"session.update","session":{"type":"realtime"}}')
    assert (await peer.next())["type"] == "session.updated", "the session is unharmed"
    peer.link.close()


async def test_an_error_names_the_event_that_caused_it(running: RunningStack) -> None:
    peer = await _peer(running)
    await peer.next()
    peer.link.send(b'{"type":"response.cancel","event_id":"mine"}')
    error = (await peer.next())["error"]
    assert isinstance(error, dict)
    assert error["event_id"] == "mine"
    assert error["code"] == "response_cancel_not_active"
    peer.link.close()


@pytest.mark.parametrize("key", ["rb_wrong", ""])
async def test_a_wrong_key_gets_an_error_and_the_close_that_clients_know(
    running: RunningStack, key: str
) -> None:
    peer = await _peer(running, key=key)
    answer = await peer.next()
    assert answer["type"] == "error", "session.created is never sent"
    closed = await asyncio.wait_for(peer.closed, 10)
    assert closed.code == 3000
    assert "invalid_api_key" in closed.reason


async def test_a_pack_that_the_key_may_not_use_is_refused_by_name(running: RunningStack) -> None:
    peer = await _peer(running, "/p/telco/v1/realtime")
    error = (await peer.next())["error"]
    assert isinstance(error, dict)
    assert "telco" in str(error["message"])
    assert "airline" in str(error["message"]), "it says what the key may use"


async def test_a_spent_resume_token_is_refused(running: RunningStack) -> None:
    peer = await _peer(running, "/r/rt_local.aaaaaaaaaaaaaaaaaaaaaaaaaa/v1/realtime", key="")
    error = (await peer.next())["error"]
    assert isinstance(error, dict)
    assert error["code"] == "invalid_resume_token"


async def test_an_unknown_path_is_refused_before_the_upgrade(running: RunningStack) -> None:
    with pytest.raises(Unavailable):
        await _peer(running, "/v2/nothing")
