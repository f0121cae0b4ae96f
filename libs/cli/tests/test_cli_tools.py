"""`ringback tools`: switching tools off and on is a fact on the bus; wrong input is one clear error."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_cli.commands.tools import _switch
from ringback_cli.main import app
from ringback_errors import InvalidInput, NotFound
from ringback_events import ALL_CONTROL, Delivery, connect, load_topology
from ringback_packs import load_pack, publish_pack
from ringback_testkit import NatsServer
from typer.testing import CliRunner

AIRLINE = Path(__file__).parents[3] / "packs" / "airline"


@pytest.mark.stack
async def test_disable_and_enable_are_facts_with_reason_and_actor(tmp_path: Path) -> None:
    with NatsServer.start(tmp_path) as server:
        bus = await connect(server.url, name="test")
        await bus.ensure(load_topology(), "cli")
        try:
            await publish_pack(bus, load_pack(AIRLINE))
            await _switch("cancel_reservation", off=True, reason="the  desk\nasked", url=server.url)
            await _switch("cancel_reservation@1.0", off=False, reason="over", url=server.url)
            with pytest.raises(NotFound, match=r"did you mean 'cancel_reservation'\?"):
                await _switch("cancel_reservaton", off=True, reason="misspelt", url=server.url)
            await _switch("coming_soon", off=True, reason="not yet", url=server.url, anyway=True)
            seen: list[events_pb2.ToolDisabled] = []

            async def take(delivery: Delivery) -> None:
                seen.append(events_pb2.ControlFact.FromString(delivery.payload).tool_disabled)

            tail = await bus.ephemeral(ALL_CONTROL, take, start="all")
            await tail.wait_caught_up()
        finally:
            await bus.close()
    assert [(one.tool, one.disabled, one.reason) for one in seen] == [
        ("cancel_reservation", True, "the desk asked"),
        ("cancel_reservation@1.0", False, "over"),
        ("coming_soon", True, "not yet"),
    ]
    assert all(one.actor for one in seen)


@pytest.mark.parametrize(("name", "reason"), [("a b", "x"), ("tool", " "), ("tool", "x" * 201), ("", "x")])
def test_a_wrong_name_or_reason_is_refused_before_anything_is_sent(name: str, reason: str) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(_switch(name, off=True, reason=reason, url="nats://127.0.0.1:1"))


class Listing(tools_pb2_grpc.ToolsServiceServicer):
    """Offers what its agent may use with the scopes that are asked for."""

    def __init__(self) -> None:
        self.asked: list[tools_pb2.ListToolsRequest] = []

    def ListTools(  # noqa: N802 - the contract's name
        self, request: tools_pb2.ListToolsRequest, context: object
    ) -> tools_pb2.ListToolsResponse:
        self.asked.append(request)
        read = tools_pb2.Tool(
            name="stock", version="2.0", side_effect=policy_pb2.SIDE_EFFECT_READ, available=True
        )
        off = tools_pb2.Tool(name="order", version="1.0", unavailable_reason="switched off: [sold out]")
        return tools_pb2.ListToolsResponse(tools=[read, off], open_breakers=["shop"])


@pytest.mark.stack
def test_list_prints_what_the_service_offers_and_why_something_cannot_be_had() -> None:
    listing, server = Listing(), grpc.server(ThreadPoolExecutor(1))
    tools_pb2_grpc.add_ToolsServiceServicer_to_server(listing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        options = ["--scope", "a", "--scope", "b", "--tools", f"127.0.0.1:{port}"]
        done = CliRunner().invoke(app, ["tools", "list", *options])
    finally:
        server.stop(None)
    assert done.exit_code == 0, done.output
    lines = [line.split() for line in done.output.splitlines()]
    assert lines[1] == ["stock", "2.0", "read", "0", "ms", "yes"]
    assert lines[2][-5:] == ["no:", "switched", "off:", "[sold", "out]"]
    assert lines[3] == ["open", "breakers:", "shop"]
    assert (listing.asked[0].agent, list(listing.asked[0].scopes)) == ("reservations", ["a", "b"])


def test_import_prints_an_entry(tmp_path: Path) -> None:
    document = tmp_path / "api.yaml"
    document.write_text("openapi: 3.1.0\npaths: {/ping: {get: {operationId: ping, responses: {}}}}\n")
    options = ["--operation", "ping", "--base-url-ref", "shop"]
    done = CliRunner().invoke(app, ["tools", "import", str(document), *options])
    assert done.exit_code == 0
    assert "name: ping" in done.output
