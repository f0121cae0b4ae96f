"""What an operator has not set is said before any call: by each connector, and by ListTools."""

import asyncio
import sys
from pathlib import Path
from types import ModuleType

import pytest
from ringback_events import MemoryBus, load_topology
from ringback_packs import PackStore, load_pack, publish_pack
from ringback_tools.adapters import mcp_server, packs
from ringback_tools.adapters.connectors import ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.grpc_method import GrpcConnector
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.adapters.packs import PackCatalogue
from ringback_tools.adapters.worker import WorkerConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.ports import Call

PACKS = Path(__file__).parents[3] / "packs"
THERE = {"shop": "http://127.0.0.1:1", "stdio": "stdio://shop"}
ADDRESS = "no address is set for connector other (RINGBACK_CONNECTOR_OTHER)"
SECRET = "no secret is set for credential token"


@pytest.fixture
def connectors(monkeypatch):
    module = ModuleType("lacking_tools")
    exec("def stock(item, context): return 1\ndef bare(item): return 1", module.__dict__)
    monkeypatch.setitem(sys.modules, "lacking_tools", module)
    secrets = Credentials(None, given={"known": "s"})
    return ConnectorsByKind(
        {
            "http": HttpConnector(addresses=THERE, credentials=secrets),
            "grpc": GrpcConnector(addresses=THERE, credentials=secrets),
            "mcp": McpConnector(addresses=THERE, credentials=secrets),
            "nats": WorkerConnector("nats://127.0.0.1:1"),
            "function": FunctionConnector(["lacking_tools"], credentials=secrets),
        }
    )


HTTP, GRPC, MCP = {"method": "GET", "url": "/x"}, {"method": "a.B/C"}, {"tool": "stock"}
CASES = [
    ("http", {**HTTP, "base_url_ref": "shop"}, ""),
    ("http", {**HTTP, "base_url_ref": "shop", "credential": "known"}, ""),
    ("http", {**HTTP, "base_url_ref": "other"}, ADDRESS),
    ("http", {**HTTP, "base_url_ref": "shop", "credential": "token"}, SECRET),
    ("grpc", {**GRPC, "target_ref": "shop"}, ""),
    ("grpc", {**GRPC, "target_ref": "other"}, ADDRESS),
    ("grpc", {**GRPC, "target_ref": "shop", "credential": "token"}, SECRET),
    ("mcp", {**MCP, "server_ref": "shop"}, ""),
    ("mcp", {**MCP, "server_ref": "other"}, ADDRESS),
    ("mcp", {**MCP, "server_ref": "shop", "credential": "token"}, SECRET),
    (
        "mcp",
        {**MCP, "server_ref": "stdio", "credential": "known"},
        "credential_env: expected the variable in which a server over stdio gets its credential",
    ),
    ("nats", {"subject": "shop.stock"}, ""),
    ("nats", {"subject": "ringback.events"}, "subject: expected a worker's own"),
    ("function", {"entry_point": "lacking_tools:stock", "credential": "known"}, ""),
    ("function", {"entry_point": "lacking_tools:stock", "credential": "token"}, SECRET),
    (
        "function",
        {"entry_point": "lacking_tools:bare", "credential": "known"},
        "entry_point: expected a parameter 'context', which brings the tool's credential",
    ),
    (
        "function",
        {"entry_point": "elsewhere:stock"},
        "entry_point: expected a function of a module in RINGBACK_TOOL_MODULES",
    ),
    ("fax", {}, "no connector of kind fax here"),
]


@pytest.mark.parametrize(("kind", "options", "lacking"), CASES)
def test_what_is_not_set_is_named_before_a_call_and_by_the_call_itself(connectors, kind, options, lacking):
    spec = ConnectorSpec(kind, options)
    call = Call(spec, {}, 500, 10_000, "local", "sess_1", "act_1", SideEffect.READ)

    async def scene():
        try:
            return connectors.lacking(spec), await connectors.call(call) if lacking else None
        finally:
            await connectors.close()

    before, answer = asyncio.run(scene())
    assert before == lacking
    if lacking:
        assert (answer.detail, answer.blames, answer.retryable) == (lacking, False, False)


def test_list_tools_says_why_a_tool_without_an_address_cannot_be_had(world, kit):
    bare = HttpConnector(addresses={}, credentials=Credentials(None))

    async def listed():
        service = world.replica(connectors=ConnectorsByKind({"http": bare}))
        pack = world.catalogue.pack.digest
        offers = await service.listing.list(pack_digest=pack, agent="reservations", scopes=())
        service.switches.turn("get_reservation", off=True, reason="drill")
        after = await service.listing.list(pack_digest=pack, agent="reservations", scopes=())
        await bare.close()
        return offers, {offer.tool.name: offer.unavailable_reason for offer in after}

    offers, after = kit.run(listed())
    setting = "RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS"
    why = f"no address is set for connector airline_reservations ({setting})"
    assert {offer.unavailable_reason for offer in offers} == {why}
    assert after == {"get_reservation": "switched off: drill", "cancel_reservation": why}


class Preparing:
    """A connector that keeps what it was told to get ready for."""

    def __init__(self):
        self.specs = []

    async def prepare(self, specs):
        self.specs.append([spec.options["url"] for spec in specs])

    def lacking(self, spec):
        return ""


async def test_connectors_get_ready_when_a_pack_that_names_them_is_loaded():
    http, mcp = Preparing(), Preparing()
    bus = MemoryBus()
    try:
        await bus.ensure(load_topology(), "cli")
        await publish_pack(bus, load_pack(PACKS / "airline"))
        catalogue = PackCatalogue(
            PackStore(bus), prepare=ConnectorsByKind({"http": http, "mcp": mcp}).prepare
        )
        await catalogue.warm()
        await catalogue.warm()
    finally:
        await bus.close()
    assert len(http.specs) == 1
    assert "/reservations/{arguments.reservation_id}" in http.specs[0]
    assert mcp.specs == []


async def test_a_pack_that_is_published_later_is_loaded_before_anybody_asks_for_it(monkeypatch):
    monkeypatch.setattr(packs, "LOOK_AGAIN_S", 0.01)
    bus, prepared = MemoryBus(), asyncio.Event()

    async def prepare(tools):
        prepared.set()

    catalogue = PackCatalogue(PackStore(bus), prepare=prepare)
    keeping = asyncio.create_task(catalogue.keep_warm())
    try:
        # Not there yet for whoever looks, and then with nothing in it.
        await asyncio.sleep(0)
        await bus.ensure(load_topology(), "cli")
        await publish_pack(bus, load_pack(PACKS / "airline"))
        await asyncio.wait_for(prepared.wait(), 25)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await bus.close()


async def test_getting_ready_for_mcp_imports_its_package_beforehand(monkeypatch, tmp_path):
    (tmp_path / "slowly_imported.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(mcp_server, "_PACKAGE", "slowly_imported")
    connector = McpConnector(addresses={}, credentials=Credentials(None))
    await connector.prepare([])
    assert sys.modules.pop("slowly_imported", None)
    monkeypatch.setattr(mcp_server, "_PACKAGE", "not_installed")
    await connector.prepare([])
