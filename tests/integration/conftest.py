"""Services as processes, NATS that comes and goes, and what both need of files."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
import yaml
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ringback_identity import MacKeys, hash_key
from ringback_testkit import ServiceProcess, free_port

sys.path.insert(0, str(Path(__file__).parent))

HERE = Path(__file__).parent
STATUS = health_pb2.HealthCheckResponse.ServingStatus


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.stack)


class Services:
    """Starts services with the least settings that each needs."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self.folder = folder
        self._opened = opened
        self.nats_port = free_port()
        self.ports = {name: free_port() for name in ("policy", "tools", "memory", "session", "admin")}
        MacKeys.generate(folder / "mac.json")
        tenant = {"tenant": "local", "key_hashes": [hash_key("rb_test")], "packs": ["airline"]}
        (folder / "tenants.yaml").write_text(yaml.safe_dump({"tenants": [tenant]}))

    def settings(self, name: str) -> dict[str, str]:
        at = {peer: f"127.0.0.1:{port}" for peer, port in self.ports.items()}
        common = {
            "RINGBACK_PORT": str(self.ports.get(name, 0)),
            "RINGBACK_NATS_URL": f"nats://127.0.0.1:{self.nats_port}",
            "RINGBACK_DRAIN_MS": "2000",
        }
        keys = {"RINGBACK_MAC_KEYS_FILE": str(self.folder / "mac.json")}
        own = {
            "policy": keys,
            "tools": keys | {"RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS": "http://127.0.0.1:9"},
            "session": {
                "RINGBACK_ADMIN_PORT": str(self.ports["admin"]),
                "RINGBACK_POLICY_ADDR": at["policy"],
                "RINGBACK_TOOLS_ADDR": at["tools"],
                "RINGBACK_MEMORY_ADDR": at["memory"],
                "RINGBACK_TENANTS_FILE": str(self.folder / "tenants.yaml"),
                "RINGBACK_UPSTREAM_URL": "ws://127.0.0.1:9/v1/realtime",
            },
        }
        return common | own.get(name, {})

    def make(self, name: str, *, without: str = "", **changes: str) -> ServiceProcess:
        """The service's process, not launched."""
        env = {**self.settings(name), **changes}
        env.pop(without, None)
        made = ServiceProcess(f"ringback_{name}", env, folder=self.folder / f"{name}-{len(env)}", name=name)
        return self._opened.enter_context(made)

    def launch(self, name: str) -> ServiceProcess:
        made = self.make(name)
        made.launch()
        return made

    def address(self, name: str) -> str:
        """Where the service answers health checks."""
        return f"127.0.0.1:{self.ports['admin' if name == 'session' else name]}"

    async def health(self, name: str, wanted: str, *, timeout_s: float = 30.0) -> str:
        """Wait until the service's health is as wanted, and return what it was last."""
        seen = "no answer"
        try:
            async with asyncio.timeout(timeout_s):
                while seen != wanted:
                    seen = await self._health(name)
                    if seen != wanted:
                        await asyncio.sleep(0.1)
        except TimeoutError:
            pass
        return seen

    async def _health(self, name: str) -> str:
        async with grpc.aio.insecure_channel(self.address(name)) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.aio.AioRpcError as error:
                return error.code().name
            return str(STATUS.Name(answer.status))


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with ExitStack() as opened:
        yield Services(tmp_path, opened)


@pytest.fixture
def bound_port() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


@pytest.fixture
def can_bind() -> Callable[[int], bool]:
    """Whether a port is free."""

    def free(port: int) -> bool:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
            return True

    return free
