"""Who is on the line: named beside an API key or by a client secret, recalled at the start, never by a browser."""

import asyncio
import json

import pytest
from ringback_identity import hash_key
from ringback_session.adapters.secrets_kv import SecretsInBucket
from ringback_session.adapters.tenants_file import TenantsInFile
from ringback_session.server.gateway import Gateway
from ringback_session.usecases.client_secrets import ClientSecrets
from ringback_sockets import RealtimeLink, dial
from ringback_testkit.scripted_model import ScriptedModel
from session_call_kit import World, models_at

KEY = "rb_test_key_for_callers"


class House:
    """A gateway with client secrets; memory knows one caller."""

    def __init__(self, world, port):
        self.world, self.port = world, port

    async def visit(self, *, key=KEY, caller=None):
        headers = {"Authorization": f"Bearer {key}"} | ({"Ringback-Caller-Id": caller} if caller else {})
        link = await dial(f"ws://127.0.0.1:{self.port}/v1/realtime", link=RealtimeLink(), headers=headers)
        async with asyncio.timeout(5):
            async for message in link.messages():
                return json.loads(message)
        raise AssertionError("closed without a word")

    async def secret(self, caller):
        head = (
            "POST /v1/realtime/client_secrets HTTP/1.1\r\n"
            f"Authorization: Bearer {KEY}\r\nRingback-Caller-Id: {caller}\r\nContent-Length: 0\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.encode())
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return json.loads(answer.partition(b"\r\n\r\n")[2])["value"]

    def state(self):
        (call,) = self.world.calls.running.values()
        return call.state


@pytest.fixture
async def house(tmp_path):
    path = tmp_path / "tenants.yaml"
    entry = {"tenant": "local", "key_hashes": [hash_key(KEY)], "packs": ["airline"]}
    path.write_text(json.dumps({"tenants": [entry | {"default_pack": "airline"}]}))
    async with ScriptedModel() as model:
        world = World()
        world.calls = world.replica("session-0", upstream=models_at(world, model.url))
        tenants = TenantsInFile(path)
        secrets = ClientSecrets(
            secrets=SecretsInBucket(world.bus, world.clock), tenants=tenants, clock=world.clock, model="m"
        )
        gateway = Gateway(world.calls, tenants, secrets)
        port = await gateway.open(host="127.0.0.1", port=0)
        house = House(world, port)
        house.model = model
        yield house
        await gateway.close(drain_ms=0)
        await world.close()


async def test_a_caller_named_beside_an_api_key_is_the_calls(house):
    await house.visit(caller="customer-7")
    assert house.state().caller_id == "customer-7"
    assert house.world.facts("session_started")[0].session_started.caller_id == "customer-7"


async def test_a_client_secret_carries_the_caller_that_it_was_made_for(house):
    value = await house.secret("customer-7")
    await house.visit(key=value, caller="customer-8")
    assert house.state().caller_id == "customer-7"


async def test_nobody_is_on_the_line_that_nobody_named(house):
    await house.visit()
    assert house.state().caller_id == ""


@pytest.mark.parametrize("caller", ["two words", "x" * 129, "-dash", "a/b"])
async def test_a_name_that_is_none_is_refused(house, caller):
    error = await house.visit(caller=caller)
    assert error["error"]["code"] == "invalid_caller_id"


async def test_what_memory_recalls_is_before_the_model_ahead_of_the_first_turn(house):
    async def recall(pinned, *, min_epoch, min_seq, budget_tokens):
        assert (min_epoch, min_seq) == (1, 1)
        return 'From earlier calls of this caller:\n- seat: "aisle"'

    house.world.memory.recall = recall
    await house.visit(caller="customer-7")
    connection = await house.model.connection()
    (created,) = await connection.wait_for("conversation.item.create")
    assert created["previous_item_id"] == "root"
    assert "aisle" in created["item"]["content"][0]["text"]
