"""gRPC hops: a decision against a bare echo of equal size, and a traced hop against an untraced one."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import grpc
from bench_figures import Table, percentile
from ringback.policy.v1 import policy_pb2, policy_pb2_grpc
from ringback_calling import Channel
from ringback_identity import canonical_json, digest
from ringback_telemetry import setup, tracing

if TYPE_CHECKING:
    from ringback_telemetry.sink import OtlpSink

    from conftest import Bench, Helpers

ROUNDS = 30
CALLS = 50
METHOD = "/ringback.bench.Echo/Echo"
RESERVATION = {
    "reservation_id": "482915",
    "status": "confirmed",
    "origin": "Boston",
    "destination": "Denver",
    "departure_date": "2026-12-04",
    "passenger": "Maria Lopez",
    "cabin": "economy",
    "insurance": False,
    "airline_cancelled": False,
    "hours_since_booking": 5,
    "amount": 240,
    "currency": "USD",
    "payment_method": "Visa ending in 4417",
    "segments_flown": 0,
}


async def test_decide_against_an_echo(bench: Bench) -> None:
    """A cancellation with its facts, decided by the airline's bundle; policy untraced, as the echo is."""
    at = bench.stack.addresses
    policy = bench.helpers.service(
        "policy",
        {"RINGBACK_NATS_URL": at.nats_url, "RINGBACK_MAC_KEYS_FILE": str(bench.stack.paths.mac_keys)},
    )
    echo = bench.helpers.program("bench_echo", "bare")
    request = _decide(next(pack.bundle_digest for pack in bench.stack.packs if pack.pack == "airline"))
    async with (
        grpc.aio.insecure_channel(policy.address) as ours,
        grpc.aio.insecure_channel(echo.address) as bare,
    ):
        stub = policy_pb2_grpc.PolicyServiceStub(ours)
        answer = await stub.Decide(request, timeout=10, wait_for_ready=True)
        assert answer.effect == policy_pb2.EFFECT_CONFIRM
        size = answer.ByteSize().to_bytes(4, "big")
        payload = size + bytes(request.ByteSize() - 4)
        call = bare.unary_unary(METHOD)
        took = await _side_by_side(
            {
                "bare gRPC echo": lambda: call(payload, timeout=2),
                "policy Decide": lambda: stub.Decide(request, timeout=2),
            }
        )
    table = _table(took, "decide", "Decision over gRPC, airline bundle", base="bare gRPC echo")
    table.note(
        f"request {request.ByteSize()} bytes, answer {answer.ByteSize()} bytes; goal: ≤ 1.25 × the echo's p50"
    )
    table.show()


async def test_a_traced_hop_against_an_untraced_one(helpers: Helpers, hop_sink: OtlpSink) -> None:
    """The same server and channel with and without spans on both sides, beside grpc.aio alone."""
    bare = helpers.program("bench_echo", "bare")
    plain = helpers.program("bench_echo", "ours")
    traced = helpers.program("bench_echo", "ours", env={"RINGBACK_OTLP_ENDPOINT": hop_sink.endpoint})
    payload = (640).to_bytes(4, "big") + bytes(636)
    telemetry = setup("bench", endpoint=hop_sink.endpoint)
    tracer = tracing._Current.tracer
    channels = {
        name: Channel(process.address, name="bench")
        for name, process in (("plain", plain), ("traced", traced))
    }
    calls = {name: channel.grpc.unary_unary(METHOD) for name, channel in channels.items()}

    async def through(name: str) -> None:
        tracing.use_tracer(tracer if name == "traced" else None)
        await channels[name].unary(calls[name], payload, deadline_ms=2_000, idempotent=True)

    async with grpc.aio.insecure_channel(bare.address) as channel:
        call = channel.unary_unary(METHOD)
        took = await _side_by_side(
            {
                "grpc.aio alone": lambda: call(payload, timeout=2),
                "untraced": lambda: through("plain"),
                "traced": lambda: through("traced"),
            }
        )
    table = _table(took, "hop", "One gRPC hop with serving and calling, 640 bytes", base="untraced")
    table.note("goal: traced ≤ 1.3 × untraced")
    table.show()
    for opened in channels.values():
        await opened.close()
    await telemetry.close()


def _table(took: dict[str, list[list[float]]], name: str, title: str, *, base: str) -> Table:
    table = Table(
        name, title, unit="µs; ratio: median of paired rounds", columns=["p50", "p99", "mean", "ratio"]
    )
    medians = {way: [statistics.median(one) for one in rounds] for way, rounds in took.items()}
    for way, rounds in took.items():
        every = [one for group in rounds for one in group]
        ratio = statistics.median(a / b for a, b in zip(medians[way], medians[base], strict=True))
        figures = {
            "p50": percentile(every, 0.5),
            "p99": percentile(every, 0.99),
            "mean": statistics.fmean(every),
        }
        table.row(way, figures | {"ratio": ratio})
    return table


async def _side_by_side(ways: dict[str, Callable[[], Awaitable[object]]]) -> dict[str, list[list[float]]]:
    """Rounds of calls in turn, so that a disturbance meets all ways alike; µs by way and round."""
    took: dict[str, list[list[float]]] = {name: [] for name in ways}
    for number in range(ROUNDS + 3):
        for name, way in ways.items():
            one = []
            for _ in range(CALLS):
                began = time.perf_counter()
                await way()
                one.append((time.perf_counter() - began) * 1e6)
            if number >= 3:
                took[name].append(one)
    return took


def _decide(bundle: str) -> policy_pb2.DecideRequest:
    arguments = canonical_json({"reservation_id": "482915"})
    request = policy_pb2.DecideRequest(
        decision_id="dec_1",
        gate=policy_pb2.GATE_ACTION,
        tenant="local",
        bundle_digest=bundle,
        session=policy_pb2.SessionView(session_id="sess_1", tenant="local", turn=3),
        action=policy_pb2.ActionSubject(
            action_id="act_1",
            tool="cancel_reservation",
            tool_version="1.0",
            arguments_json=arguments,
            arguments_digest=digest(arguments),
            side_effect=policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
        ),
    )
    request.now.GetCurrentTime()
    request.facts.add(
        name="reservation",
        tool="get_reservation",
        arguments_json=arguments,
        value_json=json.dumps(RESERVATION),
        age_ms=5,
    )
    return request
