"""The demo from start to verdict."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from ringback.memory.v1 import memory_pb2, memory_pb2_grpc
from ringback_errors import RingbackError
from ringback_telemetry.sink import OtlpSink

from ringback_cli.caller import (
    Call,
    CallerVoice,
    Script,
    StereoRecording,
    load_script,
    play_script,
    realtime_url,
)
from ringback_cli.caller.transcript import write_transcript
from ringback_cli.console import print_note
from ringback_cli.demo.backend import Backend
from ringback_cli.demo.checks import Verdict, judge
from ringback_cli.demo.latency import turn_figures
from ringback_cli.demo.view import View
from ringback_cli.settings import CliSettings, inherited_environment
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.stack import Stack, run_stack
from ringback_cli.stack.tenancy import LOCAL_TENANT
from ringback_cli.watch.watcher import Watcher

__all__ = ["ROUNDS", "run_demo"]

# Calls of one round run side by side. The outage opens the breaker of the one reservation system, so it runs alone.
ROUNDS = (("refund", "refused"), ("outage",))

_SETTLE_S = 10.0
_CONTEXT_TOKENS = 2_000
_MEMORY_TIMEOUT_S = 5.0


@dataclass
class CallRun:
    """One call of the demo and what became of it."""

    script: Script
    voice: CallerVoice
    session_id: str = ""
    failure: str = ""
    longest_silence_ms: int = 0
    control_from: int = 0
    context: memory_pb2.GetContextResponse | None = None


@dataclass
class Demo:
    """Everything that the calls of one demo share."""

    stack: Stack
    view: View
    watcher: Watcher
    backend: Backend
    folder: Path
    speed: float
    runs: list[CallRun] = field(default_factory=list)

    async def round(self, scripts: Sequence[Script]) -> None:
        """Run calls side by side, with the faults that their scripts ask for, and wait until their facts are in."""
        runs = [CallRun(script, CallerVoice(seed=script.voice)) for script in scripts]
        for run in runs:
            await asyncio.to_thread(run.voice.prepare, run.script.lines())
        await self.backend.set_faults([fault for script in scripts for fault in script.faults])
        self.runs.extend(runs)
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(self._call(run))
        await self.backend.set_faults([])
        for run in runs:
            await self._settle(run)

    async def judge(self) -> list[Verdict]:
        """Every call's script and checks."""
        ledger = await self.backend.ledger()
        verdicts = []
        for run in self.runs:
            name = run.script.name
            verdicts.append(Verdict(name, "the call went as scripted", not run.failure, run.failure))
            if run.script.silence_ms_max:
                verdicts.append(_judge_silence(run))
            verdicts += judge(
                name,
                run.script.checks,
                events=self.watcher.of(run.session_id),
                control=self.watcher.control[run.control_from :],
                ledger=ledger,
            )
        return verdicts

    async def _call(self, run: CallRun) -> None:
        name = run.script.name
        run.control_from = len(self.watcher.control)
        call = Call(
            realtime_url(self.stack.addresses.realtime_url, pack=run.script.pack),
            self.stack.api_key,
            speed=self.speed,
            recording=StereoRecording(self.folder / "recordings" / f"{name}.wav"),
            on_line=lambda line: self.view.caller_line(name, line),
        )
        try:
            async with call:
                run.session_id = call.session_id
                self.view.name_session(call.session_id, name)
                await play_script(run.script, call, speak=run.voice.speak, probes=self._probes())
        except RingbackError as error:
            run.failure = str(error)
        run.longest_silence_ms = call.longest_silence_ms
        write_transcript(self.folder / "transcripts" / f"{name}.txt", call.lines)

    def _probes(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        async def refunds() -> int:
            return len(await self.backend.ledger())

        return {"refunds": refunds}

    async def _settle(self, run: CallRun) -> None:
        """Wait for the call's last fact, then ask memory what it keeps."""
        if not run.session_id:
            return
        ended = await self.watcher.wait_for(
            lambda: any(event.HasField("session_ended") for event in self.watcher.of(run.session_id)),
            timeout_s=_SETTLE_S,
        )
        if not ended and not run.failure:
            run.failure = f"no SessionEnded within {_SETTLE_S:.0f} s of the hang-up"
        events = self.watcher.of(run.session_id)
        last = max(((event.epoch, event.seq) for event in events), default=(0, 0))
        async with grpc.aio.insecure_channel(self.stack.addresses.memory) as channel:
            stub = memory_pb2_grpc.MemoryServiceStub(channel)
            request = memory_pb2.GetContextRequest(
                tenant=LOCAL_TENANT,
                session_id=run.session_id,
                budget_tokens=_CONTEXT_TOKENS,
                min_epoch=last[0],
                min_seq=last[1],
            )
            try:
                run.context = await stub.GetContext(request, timeout=_MEMORY_TIMEOUT_S)
            except grpc.aio.AioRpcError as error:
                run.failure = run.failure or f"memory did not answer: {error.code().name} {error.details()}"


async def run_demo(settings: CliSettings, *, speed: float, only: Sequence[str]) -> bool:
    """Run the calls, print everything, and return whether every check held."""
    paths = StackPaths(settings.var / "demo")
    view = View()
    scripts = _scripts(settings.packs, only)
    _clear(paths)
    view.heading("Starting the stack: NATS, the reservation system, five services, each a process of its own")
    with OtlpSink(file=paths.root / "traces.jsonl") as sink:
        async with (
            run_stack(
                paths,
                packs=settings.packs,
                environment=inherited_environment(),
                on_note=print_note,
                otlp_endpoint=sink.endpoint,
            ) as stack,
            Watcher(
                stack.addresses.nats_url,
                file=paths.root / "events.jsonl",
                on_event=view.event,
                on_control=view.control,
            ) as watcher,
        ):
            demo = Demo(stack, view, watcher, Backend(stack.addresses.backend_url), paths.root, speed)
            for group in scripts:
                view.heading(" · ".join(script.title for script in group))
                await demo.round(group)
            verdicts = await demo.judge()
        # The services have stopped and flushed their spans.
        return _report(demo, view, verdicts, sink, paths.root)


def _judge_silence(run: CallRun) -> Verdict:
    limit_ms = run.script.silence_ms_max
    return Verdict(
        run.script.name,
        f"the caller was never left in silence for more than {limit_ms / 1000:g} s",
        run.longest_silence_ms <= limit_ms,
        f"{run.longest_silence_ms / 1000:.1f} s",
    )


def _report(demo: Demo, view: View, verdicts: list[Verdict], sink: OtlpSink, folder: Path) -> bool:
    view.heading("Latencies")
    for run in demo.runs:
        figures = turn_figures(demo.watcher.of(run.session_id))
        view.latencies(run.script.name, figures, longest_silence_ms=run.longest_silence_ms)
    view.heading("Memory")
    for run in demo.runs:
        if run.context is not None:
            view.memory(run.script.name, run.context)
    view.heading("One turn across the services")
    view.trace(sink.spans)
    view.heading("Checks")
    view.verdicts(verdicts)
    view.heading("Left behind")
    view.files(
        [
            ("recordings", folder / "recordings"),
            ("transcripts", folder / "transcripts"),
            ("events", folder / "events.jsonl"),
            ("traces", folder / "traces.jsonl"),
            ("logs", folder / "log"),
        ]
    )
    return all(verdict.ok for verdict in verdicts)


def _scripts(packs: Path, only: Sequence[str]) -> list[list[Script]]:
    folder = packs / "airline" / "calls"
    rounds = [
        [load_script(folder / f"{name}.yaml") for name in names if not only or name in only]
        for names in ROUNDS
    ]
    return [scripts for scripts in rounds if scripts]


def _clear(paths: StackPaths) -> None:
    """A demo begins with nothing: no reservation cancelled, no call remembered."""
    for folder in (
        paths.state,
        paths.ready,
        paths.logs,
        paths.root / "recordings",
        paths.root / "transcripts",
    ):
        shutil.rmtree(folder, ignore_errors=True)
    paths.make()
    (paths.root / "traces.jsonl").unlink(missing_ok=True)
