"""One stack for every section, replicas of session in front of a scripted model, and the peers beside them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from ringback_cli.settings import inherited_environment
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.provision import publish_and_activate
from ringback_cli.stack.stack import Stack, run_stack
from ringback_telemetry.sink import OtlpSink
from ringback_testkit import ServiceProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.timeout(600))
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Helpers:
    """Starts the programs of this folder and replicas of session; all end with the run."""

    def __init__(self, folder: Path, opened: ExitStack) -> None:
        self._folder = folder
        self._opened = opened
        self._started = 0

    def program(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> ServiceProcess:
        """`python -m <name> …` of this folder, ready."""
        return self._start(name, {"PYTHONPATH": str(HERE), **(env or {})}, arguments)

    def service(self, name: str, env: dict[str, str]) -> ServiceProcess:
        """A service of ours, ready."""
        return self._start(f"ringback_{name}", {"RINGBACK_LOG_LEVEL": "error", **env}, ())

    def _start(self, module: str, env: dict[str, str], arguments: tuple[str, ...]) -> ServiceProcess:
        self._started += 1
        folder = self._folder / f"{self._started}-{module}"
        started = ServiceProcess.start(module, env, folder=folder, arguments=arguments, timeout_s=60)
        return self._opened.enter_context(started)


class Bench:
    """The running stack with the pack `bench`, seen from the sections."""

    def __init__(self, stack: Stack, helpers: Helpers, sink: OtlpSink, noop: ServiceProcess) -> None:
        self.stack = stack
        self.helpers = helpers
        self.sink = sink
        self.noop = noop
        self.model = helpers.program("bench_model")
        self.model_url = f"ws://{self.model.address}/v1/realtime"
        self.api_key = stack.api_key
        self._sessions: dict[bool, ServiceProcess] = {}

    def session(self, *, traced: bool = False) -> ServiceProcess:
        """A replica of session in front of the scripted model."""
        if traced not in self._sessions:
            self._sessions[traced] = self.new_session(traced=traced)
        return self._sessions[traced]

    def new_session(self, *, traced: bool = False, calls_max: int = 1_000) -> ServiceProcess:
        at = self.stack.addresses
        env = {
            "RINGBACK_INSTANCE": f"session-bench-{'traced' if traced else 'plain'}",
            "RINGBACK_NATS_URL": at.nats_url,
            "RINGBACK_POLICY_ADDR": at.policy,
            "RINGBACK_TOOLS_ADDR": at.tools,
            "RINGBACK_MEMORY_ADDR": at.memory,
            "RINGBACK_TENANTS_FILE": str(self.stack.paths.tenants),
            "RINGBACK_UPSTREAM_URL": self.model_url,
            "RINGBACK_OTLP_ENDPOINT": self.sink.endpoint if traced else "",
            "RINGBACK_CALLS_MAX": str(calls_max),
            "RINGBACK_DRAIN_MS": "100",
        }
        return self.helpers.service("session", env)


@pytest.fixture(scope="session")
def helpers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helpers]:
    with ExitStack() as opened:
        yield Helpers(tmp_path_factory.mktemp("helpers"), opened)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(tmp_path_factory: pytest.TempPathFactory, helpers: Helpers) -> AsyncIterator[Bench]:
    noop = helpers.program("bench_noop")
    paths = StackPaths(tmp_path_factory.mktemp("stack"))
    with OtlpSink() as sink:
        async with run_stack(
            paths,
            packs=ROOT / "packs",
            environment=inherited_environment() | {"RINGBACK_LOG_LEVEL": "error"},
            on_note=lambda _: None,
            otlp_endpoint=sink.endpoint,
            overrides={"tools": {"RINGBACK_CONNECTOR_BENCH": f"http://{noop.address}"}},
        ) as stack:
            tenants = yaml.safe_load(paths.tenants.read_text())
            tenants["tenants"][0]["packs"].append("bench")
            tenants["tenants"][0]["quotas"] = {"sessions_max": 1_000}
            paths.tenants.write_text(yaml.safe_dump(tenants))
            await publish_and_activate(
                [HERE / "pack"],
                nats_url=stack.addresses.nats_url,
                policy_address=stack.addresses.policy,
                reason="benchmark",
            )
            yield Bench(stack, helpers, sink, noop)


@pytest.fixture(scope="session")
def hop_sink() -> Iterator[OtlpSink]:
    with OtlpSink() as sink:
        yield sink
