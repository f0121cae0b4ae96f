"""The gateway on a real socket, with a scripted model on another: who gets in, and what the others are told."""

import asyncio
import json

import pytest
from ringback_identity import hash_key
from ringback_session.adapters.tenants_file import TenantsInFile
from ringback_session.server.gateway import Gateway
from ringback_sockets import RealtimeLink, UpgradeRefused, dial
from ringback_testkit.scripted_model import Answer, ScriptedModel
from session_call_kit import World, models_at

KEY = "rb_secret"
READ = ("get_reservation", {"reservation": "482915"})


class Visitor:
    """A client on a real socket."""

    def __init__(self):
        self.link = RealtimeLink()
        self.frames = []

    async def read(self, type):
        """Frames up to the next one of a type."""
        async with asyncio.timeout(5):
            async for message in self.link.messages():
                self.frames.append(json.loads(message))
                if self.frames[-1]["type"] == type:
                    return self.frames[-1]
        raise AssertionError(f"closed with {self.link.closed} before {type}: {self.frames}")

    def send(self, type, **fields):
        self.link.send(json.dumps({"type": type, **fields}).encode())

    async def closed(self):
        async with asyncio.timeout(5):
            return await self.link.wait_closed()


class House:
    """The gateway, its calls, and how to visit them."""

    def __init__(self, world, model, gateway, port):
        self.world, self.model, self.gateway, self.port = world, model, gateway, port

    async def visit(self, path="/v1/realtime", *, key=KEY, **headers):
        visitor = Visitor()
        shown = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"ws://127.0.0.1:{self.port}{path}"
        await dial(url, link=visitor.link, headers=shown | headers)
        return visitor

    async def get(self, path, *headers):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        lines = [f"GET {path} HTTP/1.1", "Host: x", "Connection: close", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(5):
            answer = (await reader.read(4096)).decode()
        writer.close()
        return answer


@pytest.fixture
async def house(tmp_path):
    tenants = tmp_path / "tenants.yaml"
    entry = {"tenant": "local", "key_hashes": [hash_key(KEY)], "packs": ["airline", "passthrough"]}
    tenants.write_text(json.dumps({"tenants": [entry | {"default_pack": "airline"}]}))
    async with ScriptedModel() as model:
        world = World()
        calls = world.replica("session-0", upstream=models_at(world, model.url), calls_max=3)
        world.calls = calls
        gateway = Gateway(calls, TenantsInFile(tenants))
        port = await gateway.open(host="127.0.0.1", port=0)
        yield House(world, model, gateway, port)
        await gateway.close(drain_ms=0)
        await world.close()


async def test_a_good_key_is_greeted_and_answered(house):
    visitor = await house.visit()
    created = await visitor.read("session.created")
    assert visitor.link.response_headers["Ringback-Session-Id"] == created["session"]["id"]
    house.model.script.append(Answer("Hello."))
    visitor.send("response.create")
    done = await visitor.read("response.done")
    assert done["response"]["output"][0]["content"][0]["transcript"] == "Hello."


async def test_a_call_of_the_model_is_run_and_spoken_of(house):
    house.model.script += [Answer("One moment.", [READ]), Answer("It is done.")]
    visitor = await house.visit()
    visitor.send("response.create")
    await visitor.read("response.done")
    done = await visitor.read("response.done")
    assert done["response"]["output"][0]["content"][0]["transcript"] == "It is done."
    connection = await house.model.connection()
    (output,) = [e for e in connection.got("conversation.item.create") if "output" in e["item"]]
    assert json.loads(output["item"]["output"])["status"] == "ok"


@pytest.mark.parametrize("key", ["rb_wrong", ""])
async def test_a_wrong_key_gets_an_error_event_and_close_3000(house, key):
    visitor = await house.visit(key=key)
    error = (await visitor.read("error"))["error"]
    assert error["code"] == "invalid_api_key"
    assert "rb_wrong" not in error["message"]
    assert await visitor.closed() == (3000, "invalid_request_error.invalid_api_key")
    assert [frame["type"] for frame in visitor.frames] == ["error"]


async def test_a_browser_gets_exactly_its_subprotocol(house):
    visitor = await house.visit(
        key="", **{"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{KEY}"}
    )
    assert visitor.link.response_headers["Sec-WebSocket-Protocol"] == "realtime"
    await visitor.read("session.created")


async def test_an_unknown_path_is_refused_with_what_was_expected(house):
    with pytest.raises(UpgradeRefused) as caught:
        await house.visit("/v2/realtime")
    assert caught.value.status == 404
    assert "/p/<pack>/v1/realtime" in caught.value.said


async def test_a_path_may_choose_the_pack(house):
    visitor = await house.visit("/p/passthrough/v1/realtime?model=m1")
    created = await visitor.read("session.created")
    assert created["session"]["model"] == "m1"
    (call,) = house.world.calls.running.values()
    assert call.state.pack == "passthrough"


async def test_a_pack_that_the_key_may_not_use_is_refused_by_name(house):
    visitor = await house.visit("/p/hotel/v1/realtime")
    error = (await visitor.read("error"))["error"]
    assert (error["code"], error["param"]) == ("pack_not_allowed", "path")
    assert "airline, passthrough" in error["message"]
    assert (await visitor.closed()).code == 4000


@pytest.mark.parametrize("model", ["", "&model=m1"])
async def test_a_session_that_only_transcribes_is_refused_with_what_to_ask_for(house, model):
    visitor = await house.visit(f"/v1/realtime?intent=transcription{model}")
    error = (await visitor.read("error"))["error"]
    assert (error["code"], error["param"]) == ("invalid_value", "intent")
    assert "audio.input.transcription" in error["message"]
    assert await visitor.closed() == (4000, "invalid_request_error.invalid_value")
    assert not house.world.calls.running
    wrong = await house.visit("/v1/realtime?intent=transcription", key="rb_wrong")
    assert (await wrong.read("error"))["error"]["code"] == "invalid_api_key"


async def test_a_lost_call_is_resumed_by_its_token_and_the_old_token_dies(house):
    visitor = await house.visit()
    session_id = (await visitor.read("session.created"))["session"]["id"]
    token = visitor.link.response_headers["Ringback-Resume-Token"]
    visitor.link.abort()
    again = await house.visit(f"/r/{token}/v1/realtime", key="")
    assert (await again.read("session.created"))["session"]["id"] == session_id
    newer = again.link.response_headers["Ringback-Resume-Token"]
    assert newer != token
    again.send("response.create")
    await again.read("response.done")
    (call,) = house.world.calls.running.values()
    await call.keeper.write()
    spent = await house.visit(f"/r/{token}/v1/realtime", key="")
    assert (await spent.read("error"))["error"]["code"] == "invalid_resume_token"
    by_key = await house.visit(key=newer)
    assert (await by_key.read("session.created"))["session"]["id"] == session_id


@pytest.mark.parametrize("token", ["nonsense", "rt_local.aaaaaaaaaaaaaaaaaaaaaaaaaa", "rt_%00"])
async def test_a_token_that_is_none_is_refused(house, token):
    visitor = await house.visit(f"/r/{token}/v1/realtime", key="")
    assert (await visitor.read("error"))["error"]["code"] == "invalid_resume_token"
    assert (await visitor.closed()).code == 4000


async def test_two_connections_with_one_token_leave_one_of_them(house):
    visitor = await house.visit()
    await visitor.read("session.created")
    token = visitor.link.response_headers["Ringback-Resume-Token"]
    again = await house.visit(f"/r/{token}/v1/realtime", key="")
    await again.read("session.created")
    assert (await visitor.closed()).code == 4409
    assert len(house.world.calls.running) == 1


async def test_a_full_house_says_when_to_come_back(house):
    for _ in range(3):
        await (await house.visit()).read("session.created")
    answer = await house.get(
        "/v1/realtime",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    assert answer.startswith("HTTP/1.1 503")
    assert "Retry-After: 5" in answer
    assert '"overloaded"' in answer


async def test_health_is_answered_over_plain_http_and_tells_of_draining(house):
    assert (await house.get("/healthz")).startswith("HTTP/1.1 200")
    await house.world.calls.drain(0)
    answer = await house.get("/healthz")
    assert answer.startswith("HTTP/1.1 503")
    assert "draining" in answer


async def test_a_request_that_is_no_websocket_is_told_to_be_one(house):
    assert "426" in (await house.get("/v1/realtime")).partition("\r\n")[0]


async def test_a_model_that_is_not_there_is_said_before_the_close(house):
    house.model.refuses = True
    visitor = await house.visit()
    error = (await visitor.read("error"))["error"]
    assert (error["type"], error["code"]) == ("server_error", "upstream_model_unknown")
    assert await visitor.closed() == (1013, "upstream_model_unknown: try again later.")
    await house.world.until(lambda: not house.world.calls.running)


async def test_a_model_that_is_lost_is_called_again_and_the_client_sees_no_failure(house):
    house.model.script.append(Answer("Your flight", ends=False))
    visitor = await house.visit()
    visitor.send("response.create")
    await visitor.read("response.output_audio.delta")
    (await house.model.connection()).lose()
    cut = (await visitor.read("response.done"))["response"]
    assert cut["status"] == "completed"
    bridge = (await visitor.read("response.done"))["response"]
    assert "lost you" in bridge["output"][0]["content"][0]["transcript"]
    again = (await visitor.read("response.done"))["response"]
    assert again["status"] == "completed"
    assert len(house.model.connections) == 2


async def test_the_end_of_a_client_is_the_end_of_its_model(house):
    visitor = await house.visit()
    await visitor.read("session.created")
    connection = await house.model.connection()
    visitor.link.close()
    await house.world.until(lambda: connection.closed is not None)
    await house.world.until(lambda: not house.world.calls.running)
    assert house.world.facts("session_ended")[0].session_ended.reason == "client_closed"


async def test_malformed_frames_are_answered_and_the_call_goes_on(house):
    visitor = await house.visit()
    await visitor.read("session.created")
    for frame in (b"{", b'{"type":"no.such.event"}', b'{"type":"response.cancel","event_id":"e1"}'):
        visitor.link.send(frame)
        assert (await visitor.read("error"))["error"]["message"]
    visitor.send("response.create")
    await visitor.read("response.done")
