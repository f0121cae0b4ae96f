"""Credentials: rotated while calls are in flight, against a real HTTP server that refuses the old one."""

import asyncio

import pytest
from ringback_tools.adapters import http
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import Answered, ErrorCode
from ringback_tools.ports import Call


class Vault:
    """An HTTP server that takes a set of tokens and holds a request as long as it is told to."""

    def __init__(self):
        self.accepted = {"old"}
        self.go = asyncio.Event()
        self.go.set()
        self.arrived = asyncio.Semaphore(0)
        self.seen = []

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                token = head.partition(b"Authorization: Bearer ")[2].partition(b"\r\n")[0].decode()
                ok = token in self.accepted
                self.seen.append((token, "traceparent" in head.decode().lower()))
                self.arrived.release()
                await self.go.wait()
                body = b'{"ok":true}' if ok else b'{"error":"token ' + token.encode() + b' is wrong"}'
                status = b"200 OK" if ok else b"401 Unauthorized"
                writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


def call():
    return Call(
        spec=ConnectorSpec("http", {"base_url_ref": "vault", "url": "/x", "credential": "vault_key"}),
        arguments={},
        timeout_ms=25_000,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=SideEffect.READ,
    )


@pytest.mark.stack
async def test_calls_in_flight_survive_a_rotation_and_new_ones_carry_the_new_secret(tmp_path, monkeypatch):
    # Twenty connections at once on a machine that stands still for a moment: none of them is what is looked at here.
    monkeypatch.setattr(http, "CONNECT_MS_MAX", 25_000)
    vault = Vault()
    server = await asyncio.start_server(vault.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    secret = tmp_path / "vault_key"
    secret.write_text("old\n")
    credentials = Credentials(tmp_path)
    connector = HttpConnector(addresses={"vault": f"http://127.0.0.1:{port}"}, credentials=credentials)
    try:
        vault.go.clear()
        in_flight = [asyncio.create_task(connector.call(call())) for _ in range(20)]
        for _ in in_flight:
            await asyncio.wait_for(vault.arrived.acquire(), 25)
        # The new secret comes by replacement, as a mounted Kubernetes secret does; both are valid for a while.
        vault.accepted = {"old", "new-and-longer"}
        (tmp_path / "next").write_text("new-and-longer\n")
        (tmp_path / "next").replace(secret)
        vault.go.set()
        assert all(isinstance(answer, Answered) for answer in await asyncio.gather(*in_flight))
        vault.accepted = {"new-and-longer"}
        assert isinstance(await connector.call(call()), Answered)
        assert vault.seen[-1][0] == "new-and-longer"
        # Half-written: the last good one goes on.
        secret.write_text("")
        assert isinstance(await connector.call(call()), Answered)
        vault.accepted = set()
        refused = await connector.call(call())
        assert (refused.code, refused.retryable, refused.text) == (ErrorCode.AUTH, False, "")
        assert "new-and-longer" not in repr(refused)
        assert "new-and-longer" not in repr(credentials)
    finally:
        await connector.close()
        server.close()


def test_a_secret_may_come_from_the_environment_and_a_file_goes_first(tmp_path):
    assert Credentials(None, given={"shop_key": "env"}).get("shop_key") == "env"
    (tmp_path / "shop_key").write_text("file")
    assert Credentials(tmp_path, given={"shop_key": "env", "other": "x"}).get("shop_key") == "file"
    assert Credentials(tmp_path, given={"other": "x"}).get("other") == "x"
    assert Credentials(tmp_path).get("../shop_key") is None
