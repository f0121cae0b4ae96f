"""What the pipeline of tools costs, and what a brown-out of one dependency does to it.

    .venv/bin/python tests/bench/bench_tools.py overhead
    .venv/bin/python tests/bench/bench_tools.py brownout --seconds 60

Own processes for NATS, the service and its backends; the callers are here. `overhead` compares a no-op write
through tools (proof, journal, breaker, bulkhead, spans off) with calling its gRPC backend bare, in turns, and with the
least in Python that makes the same two hops and three writes (`bench_lean_tools.py`).
`brownout` gives one dependency 30 % errors and ten times its latency while another stays well; what it is told of its
writes is held against that dependency's own ledger. Figures go to
var/bench/tools_*.json, the curve to var/bench/tools_brownout.svg and .png (drawn here: no plotting library).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import grpc.aio
import uvloop
from bench_figures import Table, cpu_s, percentile
from bench_tools_pack import PACK, TOOLS
from bench_tools_report import Calls, Look, Write, report, report_writes
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_events import connect, load_topology
from ringback_identity import MacKeys, action_id, canonical_json, digest, new_id
from ringback_packs import load_files, publish_pack
from ringback_testkit import NatsServer, ServiceProcess

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class World:
    """Addresses and keys of what runs."""

    tools: ServiceProcess
    lean: ServiceProcess
    good: str
    bad_control: Path
    counts: Path
    keys: MacKeys
    digest: str


class Caller:
    """Asks tools as a session does, over one warm channel."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._channel = grpc.aio.insecure_channel(world.tools.address)
        self._stub = tools_pb2_grpc.ToolsServiceStub(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    async def execute(self, tool: str, *, session_id: str, ordinal: int = 1) -> tools_pb2.Result:
        """The result of one action."""
        request = self.request(tool, session_id=session_id, ordinal=ordinal)
        answer = await self._stub.Run(tools_pb2.RunRequest(action=request), timeout=20)
        return answer.result if answer.HasField("result") else await self.observe(request)

    async def stream(self, tool: str, *, session_id: str, ordinal: int) -> tools_pb2.Result:
        """The result of one action, by the stream that tells of its progress."""
        return await self.observe(self.request(tool, session_id=session_id, ordinal=ordinal))

    async def observe(self, request: tools_pb2.ExecuteRequest) -> tools_pb2.Result:
        """The last message of an action's stream."""
        last = None
        async for event in self._stub.Execute(request, timeout=20):
            last = event
        assert last is not None
        return last.result

    async def outcome(self, write: Write) -> int:
        """The status that is stored of a write by now; 0 if nothing is."""
        asked = tools_pb2.GetOutcomeRequest(
            tenant="local", session_id=write.session_id, action_id=write.action_id
        )
        return int((await self._stub.GetOutcome(asked, timeout=5)).result.status)

    def action_id(self, tool: str, *, session_id: str, ordinal: int = 1) -> str:
        """What the action is called."""
        arguments_digest = digest(canonical_json({}))
        return action_id(
            session_id=session_id,
            tool=tool,
            major_version=1,
            arguments_digest=arguments_digest,
            ordinal=ordinal,
        )

    async def open_breakers(self) -> list[str]:
        asked = tools_pb2.ListToolsRequest(tenant="local", pack_digest=self._world.digest, agent="desk")
        return list((await self._stub.ListTools(asked, timeout=5)).open_breakers)

    def request(self, tool: str, *, session_id: str, ordinal: int) -> tools_pb2.ExecuteRequest:
        """An action with its proof."""
        arguments = canonical_json({})
        named = {
            "tenant": "local",
            "session_id": session_id,
            "tool": tool,
            "tool_version": "1.0",
        }
        effect = self.action_id(tool, session_id=session_id, ordinal=ordinal)
        signed = self._world.keys.sign(
            **named,
            action_id=effect,
            arguments_digest=digest(arguments),
            decision_id="dec_1",
            consent_id="",
            expires_at_ms=time.time_ns() // 1_000_000 + 600_000,
        )
        return tools_pb2.ExecuteRequest(
            **named,
            action_id=effect,
            epoch=1,
            pack_digest=self._world.digest,
            arguments_json=arguments,
            proof=policy_pb2.DecisionProof(
                key_id=signed.key_id,
                mac=signed.mac,
                decision_id=signed.decision_id,
                expires_at_ms=signed.expires_at_ms,
            ),
        )


class Ways:
    """The calls that are compared, each with its own session and ordinals."""

    def __init__(self, world: World) -> None:
        self._caller = Caller(world)
        self._bare = grpc.aio.insecure_channel(world.good)
        self._health = health_pb2_grpc.HealthStub(self._bare)
        self._lean = grpc.aio.insecure_channel(world.lean.address)
        self._lean_tools = tools_pb2_grpc.ToolsServiceStub(self._lean)
        self._session_id = new_id("sess")
        self._ordinal = 0
        # As the service counts: from the checked request to the known answer, the backend's hop included.
        self.inside: dict[str, list[float]] = {"well": [], "noop": []}

    def all(self) -> dict[str, Callable[[], Awaitable[None]]]:
        return {
            "bare gRPC hop": self.bare,
            "ListTools (one hop)": self.listed,
            "read through tools": lambda: self.through("well"),
            "no-op write, journal": lambda: self.through("noop"),
            "the write, as a stream": self.streamed,
            "lean: same hops, writes": self.lean,
        }

    async def bare(self) -> None:
        await self._health.Check(health_pb2.HealthCheckRequest(), timeout=5)

    async def listed(self) -> None:
        await self._caller.open_breakers()

    async def through(self, tool: str) -> None:
        self._ordinal += 1
        result = await self._caller.execute(tool, session_id=self._session_id, ordinal=self._ordinal)
        assert result.status == tools_pb2.STATUS_OK, result
        self.inside[tool].append(result.duration_ms)

    async def streamed(self) -> None:
        self._ordinal += 1
        result = await self._caller.stream("noop", session_id=self._session_id, ordinal=self._ordinal)
        assert result.status == tools_pb2.STATUS_OK, result

    async def lean(self) -> None:
        self._ordinal += 1
        asked = self._caller.request("noop", session_id=self._session_id, ordinal=self._ordinal)
        await self._lean_tools.Run(tools_pb2.RunRequest(action=asked), timeout=5)

    async def close(self) -> None:
        await self._lean.close()
        await self._bare.close()
        await self._caller.close()


async def overhead(world: World, *, calls: int) -> None:
    """Latency one at a time, then throughput, both beside the bare hop."""
    compared = Ways(world)
    ways = compared.all()
    for way in ways.values():
        for _ in range(50):
            await way()
    took = await _in_turns(ways, calls=calls)
    inside = {name: median(values) for name, values in compared.inside.items()}
    table = Table(
        "tools_overhead",
        "The pipeline against calling its backend bare, one call at a time, in turns",
        section="tools",
        unit="ms",
        columns=["p50", "p99", "over bare", "ratio", "calls/s", "cpu ms"],
    )
    base = median(took["bare gRPC hop"])
    for name, way in ways.items():
        server = world.lean if name.startswith("lean") else world.tools
        rate, cpu_ms = await _throughput(way, server.pid)
        p50, p99 = median(took[name]), percentile(took[name], 0.99)
        figures = {"p50": p50, "p99": p99, "over bare": p50 - base, "ratio": p50 / base}
        table.row(name, figures | {"calls/s": rate, "cpu ms": cpu_ms})
    table.note(
        f"inside the service, the backend's hop included: read {inside['well']:.2f}, write {inside['noop']:.2f}"
        " (without the compare-and-set of its outcome)"
    )
    table.note(
        "calls/s: 32 callers at once, all on the same cores; cpu: of the process that runs the action, per call"
    )
    table.note("goal for the write: at most 1.5 ms over the bare call, at most 3 x the bare hop")
    table.show()
    await compared.close()


async def _in_turns(ways: dict[str, Callable[[], Awaitable[None]]], *, calls: int) -> dict[str, list[float]]:
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(calls // 20):
        for name, way in ways.items():
            for _ in range(20):
                began = time.perf_counter()
                await way()
                took[name].append((time.perf_counter() - began) * 1000)
    return took


async def _throughput(
    way: Callable[[], Awaitable[None]], pid: int, *, seconds: float = 3.0
) -> tuple[float, float]:
    done = 0
    until = time.perf_counter() + seconds
    cpu = cpu_s(pid)

    async def ask() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await way()
            done += 1

    await asyncio.gather(*(ask() for _ in range(32)))
    return done / seconds, (cpu_s(pid) - cpu) * 1000 / done


async def brownout(world: World, *, seconds: float) -> None:
    """A third well, then ill, then well again; the same load of all tools all the time."""
    caller = Caller(world)
    ways, calls = Ways(world), Calls()
    writes: list[Write] = []
    state: list[Look] = []
    # As many calls as a 99th percentile needs.
    base_s = min(30.0, seconds)
    marks = {"ill": base_s, "healed": base_s + seconds, "end": base_s * 2 + seconds}
    began = time.perf_counter()

    def at() -> float:
        return time.perf_counter() - began

    async def one(tool: str, n: int) -> None:
        sent = at()
        result = await caller.execute(tool, session_id=f"sess_{tool}", ordinal=n)
        took = (at() - sent) * 1000
        if tool == "well":
            calls.well.append((sent, took))
        else:
            calls.ill.append((sent, took, result.attempts if result.status != tools_pb2.STATUS_OK else 0))

    async def hop(_tool: str, _n: int) -> None:
        sent = at()
        await ways.bare()
        calls.bare.append((sent, (at() - sent) * 1000))

    async def write(tool: str, n: int) -> None:
        session_id, sent = f"sess_{tool}{n}", at()
        result = await caller.execute(tool, session_id=session_id)
        action = caller.action_id(tool, session_id=session_id)
        writes.append(Write(tool, session_id, action, sent, result.status))

    async def load(
        tool: str, per_s: float, one: Callable[[str, int], Coroutine[Any, Any, None]] = one
    ) -> None:
        n, due = 0, 0.0
        async with asyncio.TaskGroup() as group:
            while at() < marks["end"]:
                due += random.expovariate(per_s)
                await asyncio.sleep(max(0.0, due - at()))
                n += 1
                group.create_task(one(tool, n))

    async with asyncio.TaskGroup() as group:
        for work in (
            load("well", 40),
            load("bare", 40, hop),
            load("ill", 40),
            load("pay", 10, write),
            load("book", 5, write),
            _watch(caller, world.tools.pid, state, at, marks),
            _drive(world, marks),
        ):
            group.create_task(work)
    for write in writes:
        write.settled = await _settled(caller, write)
    # The backend tells what it did every 200 ms.
    await asyncio.sleep(0.5)
    await caller.close()
    counts = json.loads(world.counts.read_text())
    await ways.close()
    report(calls, state, marks, counts["arrived"], began)
    report_writes(writes, counts, marks)


async def _watch(
    caller: Caller, pid: int, state: list[Look], at: Callable[[], float], marks: dict[str, float]
) -> None:
    while at() < marks["end"]:
        state.append(Look(at(), "bad" in await caller.open_breakers(), cpu_s(pid)))
        await asyncio.sleep(0.1)


async def _drive(world: World, marks: dict[str, float]) -> None:
    world.bad_control.write_text("ok")
    await asyncio.sleep(marks["ill"])
    world.bad_control.write_text("ill")
    await asyncio.sleep(marks["healed"] - marks["ill"])
    world.bad_control.write_text("ok")


async def _settled(caller: Caller, write: Write) -> int:
    """The write's status once the reconciler has been at it, or as it is after 20 s."""
    until = time.perf_counter() + 20
    status = write.told
    while status == tools_pb2.STATUS_UNKNOWN_OUTCOME and time.perf_counter() < until:
        status = await caller.outcome(write)
        await asyncio.sleep(0.1)
    return status


async def run(part: str, *, calls: int = 1_000, seconds: float = 60.0) -> None:
    """One part, over programs of its own."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        nats = opened.enter_context(NatsServer.start(folder / "nats"))
        MacKeys.generate(folder / "mac.json")
        control, counts = folder / "control", folder / "counts.json"
        control.write_text("ok")
        backend_env = {"PYTHONPATH": str(HERE), "BENCH_CONTROL": str(control), "BENCH_COUNTS": str(counts)}
        good = ServiceProcess.start("bench_health", {"PYTHONPATH": str(HERE)}, folder=folder / "good")
        opened.callback(good.terminate)
        bad = ServiceProcess.start("bench_health", backend_env, folder=folder / "bad")
        opened.callback(bad.terminate)
        bus = await connect(nats.url, name="bench")
        await bus.ensure(load_topology(), "cli")
        pack = load_files({"pack.yaml": PACK.encode(), "tools.yaml": TOOLS.encode()})
        published = await publish_pack(bus, pack)
        env = {
            "RINGBACK_NATS_URL": nats.url,
            "RINGBACK_MAC_KEYS_FILE": str(folder / "mac.json"),
            "RINGBACK_CONNECTOR_GOOD": f"grpc://{good.address}",
            "RINGBACK_CONNECTOR_BAD": f"grpc://{bad.address}",
            "RINGBACK_LOG_LEVEL": "error",
        }
        tools = ServiceProcess.start("ringback_tools", env, folder=folder / "tools", timeout_s=60)
        opened.callback(tools.terminate)
        lean_env = {"PYTHONPATH": str(HERE), "NATS_URL": nats.url, "BACKEND": good.address}
        lean = ServiceProcess.start("bench_lean_tools", lean_env, folder=folder / "lean")
        opened.callback(lean.terminate)
        world = World(
            tools, lean, good.address, control, counts, MacKeys.load(folder / "mac.json"), published
        )
        try:
            await (overhead(world, calls=calls) if part == "overhead" else brownout(world, seconds=seconds))
        finally:
            await bus.close()


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("overhead", "brownout"))
    parser.add_argument("--calls", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the brown-out lasts")
    given = parser.parse_args()
    uvloop.run(run(given.part, calls=given.calls, seconds=given.seconds))


if __name__ == "__main__":
    main()
