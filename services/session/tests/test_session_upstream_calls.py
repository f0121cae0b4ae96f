"""Calls from socket to socket over two upstreams: rotation, failover in the middle, what clients are told."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from ringback_identity import hash_key
from ringback_session.adapters.tenants_file import TenantsInFile
from ringback_session.server.gateway import Gateway
from ringback_sockets import RealtimeLink, dial
from ringback_testkit.scripted_model import Answer, ScriptedModel
from session_call_kit import World
from session_upstream_kit import Listener, models_of, refused, spec

KEY = "rb_secret"
PATIENCE_S = 5


class Caller:
    """A client on a real socket, reading one event after the other."""

    def __init__(self, link):
        self.link = link
        self.frames = []

    async def read(self, kind):
        async with asyncio.timeout(PATIENCE_S):
            async for message in self.link.messages():
                self.frames.append(json.loads(message))
                if self.frames[-1]["type"] == kind:
                    return self.frames[-1]
        raise AssertionError(f"closed with {self.link.closed} before {kind}")

    async def is_answered(self):
        """Asks for a reply; what was said."""
        self.link.send(b'{"type":"response.create"}')
        done = (await self.read("response.done"))["response"]
        assert done["status"] == "completed"
        return done["output"][0]["content"][0]["transcript"]


@pytest.fixture
async def upstreams():
    async with (
        ScriptedModel(default=Answer("From main.")) as main,
        ScriptedModel(default=Answer("From backup.")) as backup,
    ):
        yield main, backup


@asynccontextmanager
async def serving(upstreams, tmp_path):
    tenants = tmp_path / "tenants.yaml"
    entry = {"tenant": "local", "key_hashes": [hash_key(KEY)], "packs": ["passthrough"]}
    tenants.write_text(json.dumps({"tenants": [entry]}))
    world = World()
    main, backup = upstreams
    world.models = models_of(spec("main", main.url), spec("backup", backup.url), clock=world.clock)
    gateway = Gateway(world.replica("session-0", upstream=world.models), TenantsInFile(tenants))
    port = await gateway.open(host="127.0.0.1", port=0)

    async def call():
        link = RealtimeLink()
        await dial(
            f"ws://127.0.0.1:{port}/v1/realtime", link=link, headers={"Authorization": f"Bearer {KEY}"}
        )
        return Caller(link)

    world.call = call
    yield world
    await gateway.close(drain_ms=0)
    await world.close()


@pytest.fixture
async def world(upstreams, tmp_path):
    async with serving(upstreams, tmp_path) as world:
        yield world


async def test_a_call_goes_on_over_the_end_of_the_models_session_without_a_trace_for_the_client(
    world, upstreams
):
    main, _ = upstreams
    main.expires_at = world.clock.now_ms() // 1000 + 1_800
    caller = await world.call()
    assert await caller.is_answered() == "From main."
    heard = len(caller.frames)
    world.clock.advance(1_190_000)
    assert len(main.connections) == 1
    world.clock.advance(20_000)
    second = await main.connection(2)
    await second.wait_for("conversation.item.create")
    assert main.connections[0].got("session.update")
    await world.until(lambda: main.connections[0].closed is not None)
    assert await caller.is_answered() == "From main."
    kinds = [frame["type"] for frame in caller.frames[heard:]]
    assert kinds[:2] == ["response.created", "response.output_item.added"], "nothing but the next reply"
    assert [fact.model_rotated.reason for fact in world.facts("model_rotated")] == ["planned"]


async def test_another_upstream_takes_over_in_the_middle_of_a_reply(world, upstreams):
    main, _ = upstreams
    main.script.append(Answer("Half of", ends=False))
    caller = await world.call()
    caller.link.send(b'{"type":"response.create"}')
    await caller.read("response.output_audio.delta")
    main.refusal = refused(503)
    main.connections[0].lose()
    cut = (await caller.read("response.done"))["response"]
    assert (cut["status"], cut["status_details"]) == ("completed", None), "no failure: the call goes on"
    bridge = (await caller.read("response.done"))["response"]
    assert "lost you" in bridge["output"][0]["content"][0]["transcript"]
    again = (await caller.read("response.done"))["response"]
    assert again["output"][0]["content"][0]["transcript"] == "From backup."
    assert not [frame for frame in caller.frames if frame["type"] == "error"]


async def test_a_client_is_told_what_is_wrong_with_each_when_none_takes_its_call(world, upstreams):
    main, backup = upstreams
    main.refusal, backup.refusal = refused(401), refused(429, retry_after_s=9)
    caller = await world.call()
    error = (await caller.read("error"))["error"]
    assert (error["type"], error["code"]) == ("server_error", "upstream_auth_refused")
    assert "'main' refused the credentials" in error["message"]
    assert "'backup' limits our rate (HTTP 429), try again in 9 s" in error["message"]
    assert "Traceback" not in error["message"]
    async with asyncio.timeout(PATIENCE_S):
        closed = await caller.link.wait_closed()
    assert closed == (1013, "upstream_auth_refused: try again later.")


async def test_short_calls_that_were_hung_up_here_say_nothing_of_the_upstream(upstreams):
    main, backup = upstreams
    models = models_of(spec("main", main.url), spec("backup", backup.url))
    for number in range(1, 6):
        listener = Listener()
        (await listener.connect(models)).close()
        await listener.until(lambda listener=listener: listener.lost)
        assert len(main.connections) == number
    assert not backup.connections
