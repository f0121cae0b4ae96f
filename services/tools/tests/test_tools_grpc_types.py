"""A gRPC tool with a descriptor file, against a real server that has no reflection."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from google.protobuf import message_factory
from grpc_tools import protoc
from ringback_events import MemoryBus
from ringback_packs import PackStore, described, load_files, publish_pack, unary_method
from ringback_tools.adapters import grpc_method
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.grpc_method import GrpcConnector
from ringback_tools.adapters.packs import PackCatalogue
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import ErrorCode
from ringback_tools.ports import Call

pytestmark = pytest.mark.stack

PROTO = """
syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
message LeftRequest { string item = 1; google.protobuf.Timestamp as_of = 2; }
message LeftResponse { int32 left = 1; google.protobuf.Timestamp counted_at = 2; }
service Stock {
  rpc Left(LeftRequest) returns (LeftResponse);
  rpc Reserve(LeftRequest) returns (LeftResponse);
}
"""
PACK = b"""name: shop
version: 1.0.0
agents: [{name: desk, role: I help., tools: [stock]}]
"""
TOOLS = b"""tools:
  - name: stock
    version: 1.0
    description: How many are left.
    side_effect: read
    parameters: {type: object, additionalProperties: false, properties: {item: {type: string}}}
    credential: shop
    connector:
      kind: grpc
      target_ref: shop
      method: shop.v1.Stock/Left
      descriptor: descriptors/shop.binpb
      request: {item: "{arguments.item}", as_of: "2026-12-04T10:00:00Z"}
      result: {left: "{body.left}", at: "{body.counted_at}"}
  - name: reserve
    version: 1.0
    description: Sets one aside.
    side_effect: write
    parameters: {type: object, additionalProperties: false, properties: {item: {type: string}}}
    connector: {kind: grpc, target_ref: shop, method: shop.v1.Stock/Reserve, descriptor: descriptors/shop.binpb}
    check:
      connector: {kind: grpc, target_ref: shop, method: shop.v1.Stock/Left, descriptor: descriptors/shop.binpb}
      done_when: {path: left, equals: 1}
"""


@pytest.fixture
def compiled(tmp_path):
    """What the protocol compiler itself writes."""
    (tmp_path / "shop.proto").write_text(PROTO)
    out = tmp_path / "shop.binpb"
    well_known = protoc.__file__.rpartition("/")[0] + "/_proto"
    arguments = [f"-I{tmp_path}", f"-I{well_known}", "--include_imports", f"-o{out}", "shop.proto"]
    assert protoc.main(["protoc", *arguments]) == 0
    return out.read_bytes()


class Stock(grpc.GenericRpcHandler):
    """Serves Left and nothing else: no reflection, no Reserve."""

    def __init__(self, descriptor):
        method = unary_method(described(descriptor), "shop.v1.Stock/Left")
        self.asked_type = message_factory.GetMessageClass(method.input_type)
        self.left_type = message_factory.GetMessageClass(method.output_type)
        self.seen = []

    def service(self, handler_call_details):
        if handler_call_details.method != "/shop.v1.Stock/Left":
            return None
        return grpc.unary_unary_rpc_method_handler(
            self.left, self.asked_type.FromString, self.left_type.SerializeToString
        )

    async def left(self, request, context):
        self.seen.append((request.item, request.as_of.seconds, dict(context.invocation_metadata())))
        if request.item == "never":
            await asyncio.Event().wait()
        return self.left_type(left=3, counted_at=request.as_of)


@asynccontextmanager
async def serving(stock):
    server = grpc.aio.server()
    server.add_generic_rpc_handlers([stock])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        await server.stop(0)


def call(spec, *, timeout_ms=2_000, side_effect=SideEffect.READ, **arguments):
    return Call(
        spec=spec,
        arguments=arguments,
        timeout_ms=timeout_ms,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=side_effect,
    )


@pytest.fixture
async def published(compiled):
    bus = MemoryBus()
    files = {"pack.yaml": PACK, "tools.yaml": TOOLS, "descriptors/shop.binpb": compiled}
    digest = await publish_pack(bus, load_files(files))
    tools = await PackCatalogue(PackStore(bus)).tools(digest)
    yield {tool.name: tool for tool in tools}
    await bus.close()


async def test_a_published_tool_works_against_a_server_without_reflection(compiled, published):
    stock = Stock(compiled)
    async with serving(stock) as address:
        connector = GrpcConnector(
            addresses={"shop": address}, credentials=Credentials(None, given={"shop": "s3cret"})
        )
        try:
            answer = await connector.call(call(published["stock"].connector, item="pen"))
            assert answer.data == {"left": 3, "at": "2026-12-04T10:00:00Z"}
            item, as_of, metadata = stock.seen[0]
            assert (item, as_of, metadata["authorization"]) == ("pen", 1_796_378_400, "Bearer s3cret")
            late = await connector.call(call(published["stock"].connector, timeout_ms=300, item="never"))
            assert (late.code, late.in_doubt) == (ErrorCode.TIMEOUT, True)
            checked = await connector.call(call(published["reserve"].check.connector, item="pen"))
            assert checked.data["left"] == 3
        finally:
            await connector.close()


async def test_a_method_that_the_server_does_not_serve_is_no_doubt(compiled, published):
    async with serving(Stock(compiled)) as address:
        connector = GrpcConnector(addresses={"shop": address}, credentials=Credentials(None))
        try:
            reserve = published["reserve"].connector
            answer = await connector.call(call(reserve, side_effect=SideEffect.WRITE, item="pen"))
            assert (answer.code, answer.in_doubt, answer.retryable, answer.detail) == (
                ErrorCode.TOOL_UNAVAILABLE,
                False,
                False,
                "UNIMPLEMENTED",
            )
        finally:
            await connector.close()


async def test_without_its_secret_nothing_is_sent_and_without_descriptor_it_is_asked_for(compiled, published):
    stock = Stock(compiled)
    async with serving(stock) as address:
        connector = GrpcConnector(addresses={"shop": address}, credentials=Credentials(None))
        try:
            bare = await connector.call(call(published["stock"].connector, item="pen"))
            assert (bare.code, bare.detail) == (ErrorCode.AUTH, "no secret is set for credential shop")
            spec = published["reserve"].connector
            unnamed = type(spec)(spec.kind, {key: spec.options[key] for key in ("target_ref", "method")})
            answer = await connector.call(call(unnamed, item="pen"))
            assert (answer.code, answer.in_doubt, answer.retryable) == (
                ErrorCode.TOOL_UNAVAILABLE,
                False,
                False,
            )
            assert "no reflection" in answer.detail
            assert not stock.seen
        finally:
            await connector.close()


class Garbage(Stock):
    """Answers with bytes that are no message."""

    def service(self, handler_call_details):
        return grpc.unary_unary_rpc_method_handler(self.left)

    async def left(self, request, context):
        return b"\xff\xff\xff"


async def test_bytes_that_are_no_message_are_an_invalid_result_in_doubt(compiled, published):
    async with serving(Garbage(compiled)) as address:
        connector = GrpcConnector(addresses={"shop": address}, credentials=Credentials(None))
        try:
            reserve = published["reserve"].connector
            answer = await connector.call(call(reserve, side_effect=SideEffect.WRITE, item="pen"))
        finally:
            await connector.close()
    assert (answer.code, answer.in_doubt, answer.detail) == (
        ErrorCode.INVALID_RESULT,
        True,
        "no message of the method's type",
    )


async def test_asking_for_types_leaves_time_to_say_that_nothing_was_sent(monkeypatch):
    asked = []

    async def method_types(channel, method, *, descriptor, timeout_s):
        asked.append(timeout_s)
        raise grpc.aio.AioRpcError(
            grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata()
        )

    monkeypatch.setattr(grpc_method, "method_types", method_types)
    connector = GrpcConnector(addresses={"shop": "grpc://127.0.0.1:1"}, credentials=Credentials(None))
    spec = ConnectorSpec("grpc", {"target_ref": "shop", "method": "shop.v1.Stock/Left"})
    try:
        answer = await connector.call(call(spec, timeout_ms=1_000, side_effect=SideEffect.WRITE))
    finally:
        await connector.close()
    assert (answer.code, answer.in_doubt, answer.retryable) == (ErrorCode.TOOL_UNAVAILABLE, False, True)
    assert asked == [0.8]
