"""From the model's function call to its output: policy, journal and tools, against the least that does the same."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import orjson
from bench_callers import close_all
from bench_figures import Table, percentile
from ringback_sockets import RealtimeLink, dial

if TYPE_CHECKING:
    from conftest import Bench

CALLS = 120
WARM = 20
PAUSE_S = 0.02
_TOOK = re.compile(r"took (\d+)")
KINDS = {"read": "noop_read", "write": "noop_write"}


async def test_function_call_to_output(bench: Bench) -> None:
    """The model times it: from sending the call to getting its output, one call after another, 20 ms between."""
    table = Table(
        "actions",
        "Function call done → output, as the model sees it",
        unit="ms; ratio to the lean reference",
        columns=["p50", "p99", "ratio"],
    )
    ours = f"ws://{bench.session(traced=True).address}/p/bench/v1/realtime"
    plain = f"ws://{bench.session().address}/p/bench/v1/realtime"
    for label, tool in KINDS.items():
        base = await _took_ms(_lean(bench), "", tool)
        found = {"lean reference": base, "Ringback": await _took_ms(plain, bench.api_key, tool)}
        began = len(bench.sink.spans)
        found["Ringback, session traced"] = await _took_ms(ours, bench.api_key, tool)
        for name, took in found.items():
            p50 = percentile(took, 0.5)
            figures = {"p50": p50, "p99": percentile(took, 0.99), "ratio": p50 / percentile(base, 0.5)}
            table.row(f"{label:6} {name}", figures)
        for name, took in (await _spans(bench, began)).items():
            table.row(
                f"{label:6}   span {name}", {"p50": percentile(took, 0.5), "p99": percentile(took, 0.99)}
            )
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
    """Durations by span, of the traced run; exporters are given the time of one batch."""

    def exported(spans: list[dict[str, Any]]) -> bool:
        return sum(span["name"] == "tools.execute" for span in spans[began:]) >= CALLS

    await asyncio.to_thread(bench.sink.wait_for, exported, 15.0)
    took: dict[str, list[float]] = {}
    for span in bench.sink.spans[began:]:
        if span["name"] != "turn" and not span["name"].startswith("nats.process"):
            name = f"{span['service']}: {span['name'].removeprefix('grpc ringback.')}"
            took.setdefault(name, []).append((span["end_ns"] - span["start_ns"]) / 1e6)
    return {name: values for name, values in sorted(took.items()) if len(values) >= CALLS // 2}
