"""A bus over TLS: the short way of requests stands on the encrypted stream, also after a break."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from ringback_errors import ConfigError, Conflict, Unavailable
from ringback_events import NatsBus, connect, event_subject, load_topology
from ringback_testkit import NatsServer

pytestmark = pytest.mark.stack
# Several of TLS's records, and of the reader's buffers.
LARGE = bytes(range(256)) * 1_500


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA of its own (`ca.pem`) and what it signed for 127.0.0.1 (`cert.pem`, `key.pem`)."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test", "-days", "2")
    openssl("req", *key, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=bus")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
    openssl("x509", "-req", "-in", "csr.pem", "-out", "cert.pem", *signing)
    return folder


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_requests_and_messages_go_over_tls_before_and_after_a_break(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    authority: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))
    pair = (authority / "cert.pem", authority / "key.pem")
    with (
        NatsServer.start(tmp_path, tls=pair) as server,
        asyncio.Runner(loop_factory=loop_factory) as runner,
    ):
        runner.run(_talks(server))


async def _talks(server: NatsServer) -> None:
    heard: list[bytes] = []

    async def hear(delivery: Any) -> None:
        heard.append(delivery.payload)

    bus = await connect(server.url, name="test", wait_ms=20_000)
    for service in ("session", "tools"):
        await bus.ensure(load_topology(), service)
    lane = bus._link._replies._lane
    assert lane is not None
    assert lane.attached
    assert bus._link.nc._transport._io_writer.get_extra_info("cipher"), "the stream is encrypted"
    await bus.ephemeral("ringback.events.>", hear)
    bucket = bus.bucket("outcomes")
    writes = [bucket.create(f"k.{n}", b"%d" % n, timeout_ms=25_000) for n in range(40)]
    for n in range(40):
        bus.publish(event_subject("local", "sess_a", "x"), b"%d" % n, msg_id=f"m{n}")
    assert len(set(await asyncio.gather(*writes))) == 40
    with pytest.raises(Conflict):
        await bucket.create("k.7", b"again", timeout_ms=25_000)
    await _large(bus)
    await _until(lambda: len(heard) == 40)
    server.stop()
    await _until(lambda: not bus.connected)
    await asyncio.to_thread(server.restart)
    async with asyncio.timeout(25):
        while not (lane.attached and await _stands(bus)):
            await asyncio.sleep(0.01)
    await _large(bus)
    await bus.close()


async def _large(bus: NatsBus) -> None:
    bucket = bus.bucket("outcomes")
    revision = await bucket.put("large", LARGE, timeout_ms=25_000)
    entry = await bucket.get("large", timeout_ms=25_000)
    assert entry is not None
    assert (entry.value, entry.revision) == (LARGE, revision)


async def _stands(bus: NatsBus) -> bool:
    # The server is there before its streams are.
    try:
        await bus.bucket("outcomes").get("large", timeout_ms=5_000)
    except Unavailable:
        return False
    return True


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(25):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_server_that_an_unknown_authority_vouches_for_is_not_spoken_to(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    pair = (authority / "cert.pem", authority / "key.pem")
    with NatsServer.start(tmp_path, tls=pair) as server, pytest.raises(ConfigError, match="at tls://"):
        await connect(server.url, name="test", wait_ms=700)
