"""From the model's function call to its output: policy, journal and tools, against the least that does the same."""

from __future__ import annotations

import asyncio
import os
import re
from statistics import median
from typing import TYPE_CHECKING, Any

import orjson
from bench_callers import close_all
from bench_figures import Table, cpu_s, percentile
from ringback_sockets import RealtimeLink, dial

if TYPE_CHECKING:
    from ringback_testkit.service_process import ServiceProcess

    from conftest import Bench

# Ringback and the reference take turns: what else the machine does then meets both.
ROUNDS = 3
CALLS = 50
WARM = 10
PAUSE_S = 0.02
_TOOK = re.compile(r"took (\d+)")
LEAN = "lean reference"
KINDS = {"read": "noop_read", "write": "noop_write"}


async def test_function_call_to_output(bench: Bench) -> None:
    """The model times it: from sending the call to getting its output, one call after another, 20 ms between."""
    table = Table(
        "actions",
        "Function call done → output, as the model sees it",
        unit="ms; ratio to the lean reference, median of the rounds",
        columns=["p50", "p99", "ratio"],
    )
    used = Table(
        "actions_cpu",
        "Processor time of one action, by process, with what goes on behind it",
        unit="ms",
        columns=[*KINDS],
        section="actions",
    )
    spent: dict[str, dict[str, list[float]]] = {}
    for label, tool in KINDS.items():
        took, spans = await _rounds(bench, tool, spent.setdefault(label, {}))
        for name, rounds in took.items():
            every = [value for values in rounds for value in values]
            pairs = zip(rounds, took[LEAN], strict=True)
            ratio = median(percentile(ours, 0.5) / percentile(lean, 0.5) for ours, lean in pairs)
            figures = {"p50": percentile(every, 0.5), "p99": percentile(every, 0.99), "ratio": ratio}
            table.row(f"{label:6} {name}", figures)
        for name, values in spans.items():
            figures = {"p50": percentile(values, 0.5), "p99": percentile(values, 0.99)}
            table.row(f"{label:6}   span {name}", figures)
    for process in spent["read"]:
        used.row(process, {label: median(by[process]) for label, by in spent.items()})
    used.row("together", {label: sum(median(each) for each in by.values()) for label, by in spent.items()})
    used.note(f"load at the end: {os.getloadavg()[0]:.1f}; session: the plain replica, its peer idle")
    table.note(f"{ROUNDS} rounds of {CALLS} calls each, by turns; load at the end: {os.getloadavg()[0]:.1f}")
    table.note(
        "lean: picows gateway, two bare gRPC echoes of equal size, a key-value put for the write, one HTTP call"
    )
    table.note(
        "without: validation, rules, proof, epoch, outcome states, retries, breaker, spans, audit, facts"
    )
    table.note(
        "goal: ≤ 1.1 × the lean reference; Ringback's write makes 4 key-value writes (record, epoch, 2 states)"
    )
    table.show()
    used.show()


async def _rounds(
    bench: Bench, tool: str, spent: dict[str, list[float]]
) -> tuple[dict[str, list[list[float]]], dict[str, list[float]]]:
    """Each way's times by round, and the traced run's spans; adds to `spent` what each process used an action."""
    plain, traced = bench.session(), bench.session(traced=True)
    processes = {name: program.pid for name, program in bench.stack.supervisor.programs.items()}
    processes = {name: processes[name] for name in ("nats", "policy", "tools", "memory")}
    processes["session"] = plain.pid
    took: dict[str, list[list[float]]] = {LEAN: [], "Ringback": [], "Ringback, session traced": []}
    began = len(bench.sink.spans)
    for _ in range(ROUNDS):
        took[LEAN].append(await _took_ms(_lean(bench), "", tool))
        before = {name: cpu_s(pid) for name, pid in processes.items()}
        took["Ringback"].append(await _took_ms(_path(plain), bench.api_key, tool))
        for name, pid in processes.items():
            spent.setdefault(name, []).append((cpu_s(pid) - before[name]) * 1000 / (WARM + CALLS))
        took["Ringback, session traced"].append(await _took_ms(_path(traced), bench.api_key, tool))
    return took, await _spans(bench, began)


def _path(session: ServiceProcess) -> str:
    return f"ws://{session.address}/p/bench/v1/realtime"


def _lean(bench: Bench) -> str:
    if not hasattr(bench, "lean_url"):
        policy = bench.helpers.program("bench_echo", "bare")
        tools = bench.helpers.program("bench_echo", "bare", env={"BENCH_NOOP": bench.noop.address})
        arguments = (bench.model_url, policy.address, tools.address, bench.stack.addresses.nats_url)
        lean = bench.helpers.program("bench_lean", *arguments)
        bench.lean_url = f"ws://{lean.address}/v1/realtime"  # type: ignore[attr-defined]
    return str(bench.lean_url)  # type: ignore[attr-defined]


async def _took_ms(url: str, key: str, tool: str) -> list[float]:
    """One caller that has the model call the tool over and over."""
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    link = await dial(url, link=RealtimeLink(), headers=headers)
    link.take(lambda frame: events.put_nowait(orjson.loads(frame)), lambda _: None)
    took = []
    for number in range(WARM + CALLS):
        text = f'call {tool} {{"n":{number}}}'
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        link.send(orjson.dumps({"type": "conversation.item.create", "item": item}))
        link.send(b'{"type":"response.create"}')
        spent_ms = await asyncio.wait_for(_told(events), 15)
        if number >= WARM:
            took.append(spent_ms)
        await _pause()
    await close_all([link])
    return took


async def _pause() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(PAUSE_S, done.set)
    await done.wait()


async def _told(events: asyncio.Queue[dict[str, Any]]) -> float:
    took_ms = 0.0
    while True:
        event = await events.get()
        assert event["type"] != "error", event
        if event["type"] == "response.output_audio_transcript.delta":
            found = _TOOK.search(event["delta"])
            assert found, event
            took_ms = int(found[1]) / 1e6
        if event["type"] == "response.done" and took_ms:
            return took_ms


async def _spans(bench: Bench, began: int) -> dict[str, list[float]]:
    """Durations by span, of all rounds (session: of the traced ones); exporters are given the time of one batch."""

    def exported(spans: list[dict[str, Any]]) -> bool:
        return sum(span["name"] == "tools.execute" for span in spans[began:]) >= 2 * ROUNDS * CALLS

    await asyncio.to_thread(bench.sink.wait_for, exported, 15.0)
    took: dict[str, list[float]] = {}
    for span in bench.sink.spans[began:]:
        if span["name"] != "turn" and not span["name"].startswith("nats.process"):
            name = f"{span['service']}: {span['name'].removeprefix('grpc ringback.')}"
            took.setdefault(name, []).append((span["end_ns"] - span["start_ns"]) / 1e6)
    return {name: values for name, values in sorted(took.items()) if len(values) >= ROUNDS * CALLS // 2}
