"""One stack for all tests of this folder: every test kills something, the supervisor brings it back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from ringback_cli.caller.script import BackendFault
from ringback_cli.stack.supervisor import Backoff
from ringback_testkit.heap import Heaps, witnessed
from ringback_testkit.running_stack import RunningStack, running_stack
from ringback_testkit.service_process import ServiceProcess
from ringback_testkit.typed_caller import TypedCaller

# Short times, so that tests need not wait long for what takes minutes in production.
OVERRIDES = {
    "tools": {"RINGBACK_TEST_PAUSE_AT": "on_request", "RINGBACK_SETTLE_MS": "500"},
    "session": {
        "RINGBACK_LEASE_MS": "2000",
        "RINGBACK_RESUME_WINDOW_MS": "20000",
        "RINGBACK_JOURNAL_WAIT_MS": "3000",
    },
}
RESERVATIONS = 60
KILLS = 8
SOAK_MINUTES = 0.4
HEADER = (
    "reservation_id,status,origin,destination,departs_in_days,passenger,cabin,insurance,"
    "airline_cancelled,hours_since_booking,amount,segments_flown"
)


@dataclass
class Airline:
    """A running stack whose reservation system has a fresh, cancellable reservation for every test."""

    running: RunningStack
    fresh: Iterator[str]

    def caller(self) -> TypedCaller:
        return TypedCaller(self.running.ws_url, self.running.stack.api_key)

    async def refunds(self, reservation_id: str) -> int:
        """Lines of the ledger for one reservation: the side effects that really happened."""
        ledger = await self.running.backend.ledger()
        return sum(1 for line in ledger if line["reservation_id"] == reservation_id)

    async def faults(self, *faults: BackendFault) -> None:
        await self.running.backend.set_faults(faults)

    def hold_tools_at(self, state: str) -> Path:
        """Have the tools service stop at a state of its next write; returns the sign that it is there."""
        folder = self.running.stack.paths.state_of("tools")
        sign = folder / f"paused.{state}"
        sign.unlink(missing_ok=True)
        (folder / "hold").write_text(state)
        return sign

    def replica(self, name: str, *, nats_port: int = 0, **settings: str) -> ServiceProcess:
        """One more replica of session, not started yet; `nats_port`: where it finds NATS."""
        at = self.running.stack.addresses
        own = {
            "RINGBACK_NATS_URL": f"nats://127.0.0.1:{nats_port}" if nats_port else at.nats_url,
            "RINGBACK_INSTANCE": name,
            "RINGBACK_POLICY_ADDR": at.policy,
            "RINGBACK_TOOLS_ADDR": at.tools,
            "RINGBACK_MEMORY_ADDR": at.memory,
            "RINGBACK_UPSTREAM_URL": at.upstream_url,
            "RINGBACK_UPSTREAM_KIND": "local",
            "RINGBACK_TENANTS_FILE": str(self.running.stack.paths.tenants),
        }
        return ServiceProcess("ringback_session", own | OVERRIDES["session"] | settings, name=name)

    async def read_back(self, caller: TypedCaller) -> str:
        """Bring a call to the point where a yes is asked for; returns the reservation's id."""
        reservation_id = next(self.fresh)
        caller.type("I want to cancel my reservation")
        await caller.hears("reservation id")
        caller.type(reservation_id)
        await caller.hears("shall i go ahead")
        return reservation_id


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=KILLS, help="how many programs chaos kills")
    parser.addoption("--seed", type=int, default=1, help="which schedule of kills")
    parser.addoption("--minutes", type=float, default=SOAK_MINUTES, help="how long the soak goes on")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def with_keys(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Airline]:
    """The reservation system honours idempotency keys."""
    async for airline in _airline(tmp_path_factory.mktemp("keys"), keys="on"):
        yield airline


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def without_keys(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Airline]:
    """The reservation system ignores idempotency keys: a second cancellation would book a second refund."""
    async for airline in _airline(tmp_path_factory.mktemp("no-keys"), keys="off"):
        yield airline


@pytest_asyncio.fixture(loop_scope="session")
async def in_chaos(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Airline]:
    """A stack of its own, whose programs come back at once; enough reservations for every call."""
    kills: int = request.config.getoption("--kills")
    quick = partial(Backoff, first_ms=100, max_ms=400)
    async for airline in _airline(tmp_path, keys="on", reservations=60 + 20 * kills, backoff=quick):
        yield airline


@pytest_asyncio.fixture(loop_scope="session")
async def in_soak(tmp_path: Path, heaps: Heaps, request: pytest.FixtureRequest) -> AsyncIterator[Airline]:
    """A stack of its own, whose programs say what they hold; what a call leaves behind goes before the run is over."""
    minutes: float = request.config.getoption("--minutes")
    async for airline in _airline(
        tmp_path,
        keys="on",
        reservations=200 + int(600 * minutes),
        # Memory keeps sessions that may yet be asked for; so few are kept within a minute.
        overrides=OVERRIDES | {"memory": {"RINGBACK_SESSIONS_HELD_MAX": "64"}},
        environment=heaps.environment,
    ):
        yield airline


@pytest.fixture
def heaps(tmp_path: Path) -> Heaps:
    return witnessed(tmp_path / "heaps")


@pytest_asyncio.fixture(loop_scope="session")
async def of_two_workers(tmp_path: Path) -> AsyncIterator[Airline]:
    """A stack of its own with two session workers, who let their calls go soon; no idempotency keys."""
    overrides = OVERRIDES | {"session": OVERRIDES["session"] | {"RINGBACK_DRAIN_MS": "300"}}
    async for airline in _airline(tmp_path, keys="off", overrides=overrides, workers=2):
        yield airline


async def _airline(
    folder: Path,
    *,
    keys: str,
    reservations: int = RESERVATIONS,
    backoff: Callable[[], Backoff] = Backoff,
    overrides: Mapping[str, Mapping[str, str]] = OVERRIDES,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Airline]:
    data = folder / "reservations.csv"
    # Digits that no two ids share a start with, business class: cancellable whenever they were booked.
    ids = [f"{(170_003 + 13_577 * number) % 900_000 + 100_000}" for number in range(reservations)]
    rows = [f"{id_},confirmed,Boston,Denver,30,Test Caller,business,no,no,100,250,0" for id_ in ids]
    data.write_text("\n".join([HEADER, *rows]) + "\n")
    arguments = ("--idempotency-keys", keys, "--reservations", str(data))
    async with running_stack(
        folder,
        overrides=overrides,
        backend_arguments=arguments,
        workers=workers,
        backoff=backoff,
        environment=environment,
    ) as running:
        yield Airline(running, iter(ids))
