"""Decisions: over gRPC against an echo of the same size, with 10 and with 1,000 rules, and without the network."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import grpc
from bench_figures import Table, cpu_s, percentile
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_identity import MacKeys, canonical_json, digest
from ringback_policy import wire
from ringback_policy.adapters.spoken_values import speak_value
from ringback_policy.domain.compiling import compile_bundle
from ringback_policy.domain.evaluating import decide
from ringback_testkit import NatsServer

if TYPE_CHECKING:
    from conftest import Helpers

ROOT = Path(__file__).resolve().parents[2]
# Many short rounds: a disturbance of the machine meets the echo and the decision beside it alike.
ROUNDS = 80
CALLS = 25
AT_ONCE = 16
FLAT_CALLS = 2_000
TOOLS = {"get_reservation": pb.SIDE_EFFECT_READ, "cancel_reservation": pb.SIDE_EFFECT_IRREVERSIBLE}
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


async def test_decisions_against_an_echo_and_over_many_rules(tmp_path: Path, helpers: Helpers) -> None:
    """A cancellation with its facts; the audit is written, nothing is traced."""
    MacKeys.generate(tmp_path / "keys.json")
    with NatsServer.start(tmp_path) as nats:
        env = {"RINGBACK_NATS_URL": nats.url, "RINGBACK_MAC_KEYS_FILE": str(tmp_path / "keys.json")}
        policy = helpers.service("policy", {**env, "RINGBACK_STATE_DIR": str(tmp_path / "state")})
        bare, ours = helpers.program("bench_decide"), helpers.program("bench_echo", "ours")
        async with (
            grpc.aio.insecure_channel(policy.address) as channel,
            grpc.aio.insecure_channel(bare.address) as bare_channel,
            grpc.aio.insecure_channel(ours.address) as ours_channel,
        ):
            stub = policy_pb2_grpc.PolicyServiceStub(channel)
            echo = policy_pb2_grpc.PolicyServiceStub(bare_channel)
            questions = await _published(channel)
            answers = {name: await stub.Decide(question) for name, question in questions.items()}
            assert {answer.effect for answer in answers.values()} == {pb.EFFECT_CONFIRM, pb.EFFECT_ALLOW}
            told = answers["airline"].SerializeToString()
            await echo.ComposeInstructions(pb.ComposeInstructionsRequest(agent=told.hex()))
            size = len(told)
            payload = size.to_bytes(4, "big") + bytes(questions["airline"].ByteSize() - 4)
            ways: dict[str, Callable[[], Awaitable[Any]]] = {
                "bare echo": _call(echo.Decide, questions["airline"]),
                "bytes, served as ours": _call(
                    ours_channel.unary_unary("/ringback.bench.Echo/Echo"), payload
                ),
            } | {f"Decide, {name}": _call(stub.Decide, question) for name, question in questions.items()}
            seen = await _rounds(ways)
            pids = {"bare echo": bare.pid, "bytes, served as ours": ours.pid}
            rates = {name: await _rate(way, pids.get(name, policy.pid)) for name, way in ways.items()}
    table = Table(
        "policy_grpc",
        "Decisions over gRPC",
        unit="ms; ratio to the bare echo of the same messages; per second of the server's processor time",
        columns=["p50", "p99", "ratio p50", "per core s"],
        section="policy",
    )
    for name, rounds in seen.items():
        pairs = zip(rounds, seen["bare echo"], strict=True)
        took = [one for calls in rounds for one in calls]
        figures = {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}
        figures["ratio p50"] = median(median(own) / median(echo) for own, echo in pairs)
        table.row(name, figures | {"per core s": rates[name]})
    table.note(
        f"request {questions['airline'].ByteSize()} bytes, answer {size} bytes, {ROUNDS} rounds of {CALLS} in turn"
    )
    table.note("goal: airline ≤ 1.25 × the bare echo's p50; 1,000 rules ≤ 1.5 × 10 rules")
    table.show()


async def test_decisions_without_the_network() -> None:
    """The parts of one decision, in one process."""
    table = Table(
        "policy_inside",
        "One decision inside the service",
        unit="µs, median",
        columns=["parse", "evaluate", "answer"],
        section="policy",
    )
    bundles = _bundles()
    bundles["airline, a sentence"] = (bundles["airline"][0], _sentence())
    for name, (files, question) in bundles.items():
        bundle = compile_bundle(files, pack=name).bundle
        question.bundle_digest = bundle.digest
        asked = wire.decide_request(question)
        decision = decide(bundle, asked, renderer=speak_value)
        table.row(
            name,
            {
                "parse": _cost(partial(wire.decide_request, question)),
                "evaluate": _cost(partial(decide, bundle, asked, renderer=speak_value)),
                "answer": _cost(partial(wire.decide_response, asked, decision, None)),
            },
        )
    table.note("goal: evaluation with 1,000 rules ≤ 1.5 × that with 10 (rules are found by gate and action)")
    table.show()


def _call(method: Callable[..., Awaitable[Any]], request: Any) -> Callable[[], Awaitable[Any]]:
    return lambda: method(request, timeout=5)


async def _rounds(
    ways: Mapping[str, Callable[[], Awaitable[Any]]],
) -> dict[str, list[list[float]]]:
    """All ways in turn, so that a disturbance meets each alike."""
    seen: dict[str, list[list[float]]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            took = []
            for _ in range(CALLS):
                begun = time.perf_counter()
                await way()
                took.append((time.perf_counter() - begun) * 1000)
            seen[name].append(took)
    return seen


async def _rate(way: Callable[[], Awaitable[Any]], pid: int) -> float:
    """Answers per second of the server's processor time, several at once."""

    async def worker() -> None:
        for _ in range(FLAT_CALLS // AT_ONCE):
            await way()

    before = cpu_s(pid)
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    return FLAT_CALLS / (cpu_s(pid) - before)


def _cost(work: Callable[[], Any]) -> float:
    took = []
    for _ in range(2_000):
        begun = time.perf_counter_ns()
        work()
        took.append((time.perf_counter_ns() - begun) / 1000)
    return median(took)


async def _published(channel: grpc.aio.Channel) -> dict[str, pb.DecideRequest]:
    admin = policy_pb2_grpc.PolicyAdminServiceStub(channel)
    questions = {}
    for name, (files, question) in _bundles().items():
        pack = name.replace(" ", "-").replace(",", "")
        tools = TOOLS if name == "airline" else {}
        request = pb.PublishBundleRequest(pack=pack, files=files, tools=tools, actor="bench")
        question.bundle_digest = (await admin.PublishBundle(request, timeout=30)).bundle_digest
        questions[name] = question
    return questions


def _bundles() -> dict[str, tuple[dict[str, bytes], pb.DecideRequest]]:
    folder = ROOT / "packs" / "airline" / "bundle"
    airline = {path.name: path.read_bytes() for path in folder.glob("*.yaml")}
    return {
        "airline": (airline, _question()),
        "10 rules": (_many(10), _question()),
        "1,000 rules": (_many(1_000), _question()),
    }


def _many(count: int) -> dict[str, bytes]:
    """Ten rules for the action at hand, the rest for others."""
    plain = b'version: "1"\nowner: bench\n'
    rules = "".join(
        f"  - {{id: rule-{at}, gate: action, action: {_action(at)}, effect: deny, on_error: deny, "
        f"when: 'session.turn > {at + 1000}'}}\n"
        for at in range(count)
    )
    actions = 'version: "1"\nowner: bench\nactions:\n  cancel_reservation: {side_effect: read}\n'
    return {
        "interaction.yaml": plain,
        "domain.yaml": plain + b"rules:\n" + rules.encode(),
        "safety.yaml": plain,
        "actions.yaml": actions.encode(),
    }


def _action(at: int) -> str:
    return "cancel_reservation" if at < 10 else f"other_{at % 100}"


def _sentence() -> pb.DecideRequest:
    """What the agent says, at gate OUTPUT."""
    question = _question()
    question.gate = pb.GATE_OUTPUT
    question.speech.text = (
        "Your reservation four eight two, nine one five is cancelled. Is there anything else?"
    )
    del question.facts[:]
    return question


def _question() -> pb.DecideRequest:
    arguments = canonical_json({"reservation_id": "482915"})
    question = pb.DecideRequest(
        decision_id="dec_bench",
        gate=pb.GATE_ACTION,
        tenant="local",
        session=pb.SessionView(session_id="sess_bench", tenant="local", turn=3, elapsed_ms=42_000),
        now=Timestamp(seconds=1_795_000_000),
    )
    question.facts.add(
        name="reservation",
        tool="get_reservation",
        arguments_json=arguments,
        value_json=json.dumps(RESERVATION),
        age_ms=5,
    )
    question.action.action_id, question.action.tool = "act_bench", "cancel_reservation"
    question.action.tool_version, question.action.side_effect = "1.0", pb.SIDE_EFFECT_READ
    question.action.arguments_json, question.action.arguments_digest = arguments, digest(arguments)
    return question
