"""Client secrets: made with an API key, good for starting sessions until they expire, and for nothing else."""

import asyncio
import json

import pytest
from ringback_errors import Unauthenticated
from ringback_identity import hash_key
from ringback_realtime import ProtocolError
from ringback_session.adapters.secrets_kv import SecretsInBucket
from ringback_session.adapters.tenants_file import TenantsInFile
from ringback_session.server.gateway import Gateway
from ringback_session.usecases.client_secrets import ClientSecrets, tenant_of_secret
from ringback_sockets import RealtimeLink, dial
from ringback_testkit.scripted_model import ScriptedModel
from session_call_kit import CALLER, World, models_at

KEY = "rb_test_key_for_secrets"
SESSION = {"type": "realtime", "instructions": "Be brief.", "output_modalities": ["text"]}
TOOL = {"type": "function", "name": "refund", "description": "d", "parameters": {"type": "object"}}


def tenants_file(folder, **more):
    path = folder / "tenants.yaml"
    entry = {"tenant": "local", "key_hashes": [hash_key(KEY)], "packs": ["airline", "passthrough"]}
    path.write_text(json.dumps({"tenants": [entry | {"default_pack": "airline"} | more]}))
    return path


class House:
    """A gateway with its secrets, over the bus's twin and a scripted model."""

    def __init__(self, world, secrets, port):
        self.world, self.secrets, self.port = world, secrets, port

    async def post(self, body, *, path="/v1/realtime/client_secrets", key=KEY, method="POST"):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(head.encode() + data)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        top, _, rest = answer.partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(rest)

    async def first(self, key, path="/v1/realtime"):
        """The first event that a connection with this key gets."""
        link = await dial(
            f"ws://127.0.0.1:{self.port}{path}",
            link=RealtimeLink(),
            headers={"Authorization": f"Bearer {key}"},
        )
        async with asyncio.timeout(5):
            async for message in link.messages():
                link.close()
                return json.loads(message)
        raise AssertionError("the connection ended without a word")


@pytest.fixture
async def house(tmp_path):
    async with ScriptedModel() as model:
        world = World()
        world.calls = world.replica("session-0", upstream=models_at(world, model.url))
        tenants = TenantsInFile(tenants_file(tmp_path))
        secrets = ClientSecrets(
            secrets=SecretsInBucket(world.bus, world.clock), tenants=tenants, clock=world.clock, model="m"
        )
        gateway = Gateway(world.calls, tenants, secrets)
        port = await gateway.open(host="127.0.0.1", port=0)
        yield House(world, secrets, port)
        await gateway.close(drain_ms=0)
        await world.close()


async def test_a_secret_starts_sessions_with_its_configuration_more_than_once(house):
    status, made = await house.post({"session": SESSION})
    assert status == 200
    assert made["value"].startswith("ek_")
    assert made["expires_at"] == house.world.clock.now_ms() // 1000 + 600
    assert made["session"]["instructions"] == "Be brief."
    for _ in range(2):
        created = await house.first(made["value"])
        assert created["type"] == "session.created"
        assert created["session"]["instructions"] == "Be brief."
        assert created["session"]["output_modalities"] == ["text"]


async def test_an_expired_secret_starts_nothing(house):
    _, made = await house.post({"expires_after": {"anchor": "created_at", "seconds": 10}})
    house.world.clock.advance(10_000)
    refused = await house.first(made["value"])
    assert refused["error"]["code"] == "invalid_api_key"
    assert made["value"] not in json.dumps(refused)


async def test_expired_secrets_are_swept_away(house):
    for _ in range(3):
        await house.post({"expires_after": {"seconds": 10}})
    house.world.clock.advance(11_000)
    await house.post({})
    bucket = house.world.bus.bucket("sessions")
    assert len(await bucket.keys("secret.")) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "expires_after.seconds"),
        ({"expires_after": {"anchor": "created_at", "seconds": 7_201}}, "expires_after.seconds"),
        ({"session": {"type": "realtime", "colour": "red"}}, "session.colour"),
        ({"session": {"instructions": "no type"}}, "session.type"),
        ({"session": {"colour": "red", "type": "transcription"}}, "session.type"),
        ({"nonsense": 1}, "nonsense"),
        (b"{", "body"),
        (b"[]", "event"),
    ],
)
async def test_what_cannot_be_a_secret_is_refused_by_its_field(house, body, param):
    status, answer = await house.post(body)
    assert status == 400
    assert answer["error"]["param"] == param


async def test_only_an_api_key_makes_secrets(house):
    _, made = await house.post({})
    for key in ("rb_wrong", "", made["value"]):
        status, answer = await house.post({}, key=key)
        assert (status, answer["error"]["code"]) == (401, "invalid_api_key")


async def test_a_secret_belongs_to_a_pack_that_its_key_may_use(house):
    path = "/p/passthrough/v1/realtime/client_secrets"
    _, made = await house.post({}, path=path)
    assert (await house.first(made["value"], "/p/passthrough/v1/realtime"))["type"] == "session.created"
    other = await house.first(made["value"], "/p/airline/v1/realtime")
    assert other["error"]["code"] == "pack_not_allowed"
    status, answer = await house.post({}, path="/p/telco/v1/realtime/client_secrets")
    assert (status, answer["error"]["code"]) == (404, "pack_not_allowed")


async def test_other_paths_and_methods_are_told_what_is_here(house):
    assert (await house.post({}, path="/v1/elsewhere"))[0] == 404
    assert (await house.post({}, method="PUT"))[0] == 405


async def test_a_secret_may_not_bring_a_tool_with_the_name_of_the_agents_own(house):
    _, made = await house.post({"session": {"type": "realtime", "tools": [TOOL]}})
    refused = await house.first(made["value"])
    assert refused["error"]["param"] == "session.tools[0].name"


async def test_a_tenant_that_is_gone_or_lost_the_pack_has_no_secrets_any_more(house, tmp_path):
    made = await house.secrets.make(b"{}", caller=CALLER, pack="airline")
    other = tmp_path / "other"
    other.mkdir()
    for more in ({"tenant": "somebody"}, {"packs": ["passthrough"], "default_pack": "passthrough"}):
        tenants = TenantsInFile(tenants_file(other, **more))
        secrets = ClientSecrets(
            secrets=SecretsInBucket(house.world.bus, house.world.clock),
            tenants=tenants,
            clock=house.world.clock,
            model="m",
        )
        with pytest.raises(Unauthenticated):
            await secrets.find(made["value"], pack="")


async def test_a_secret_of_one_tenant_does_not_work_under_another_name(house):
    made = await house.secrets.make(b"{}", caller=CALLER, pack="airline")
    forged = made["value"].replace("ek_local.", "ek_other.")
    assert tenant_of_secret(forged) == "other"
    with pytest.raises(Unauthenticated):
        await house.secrets.find(forged, pack="")
    with pytest.raises(ProtocolError):
        await house.secrets.find(made["value"], pack="passthrough")
