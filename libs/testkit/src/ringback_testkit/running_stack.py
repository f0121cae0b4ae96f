"""The whole stack as processes, with an OTLP sink, a watcher on the bus and the reservation system's own ledger."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ringback.events.v1 import events_pb2
from ringback_cli.demo.backend import Backend
from ringback_cli.demo.run import Demo
from ringback_cli.demo.view import View
from ringback_cli.settings import inherited_environment
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.stack import Stack, run_stack
from ringback_cli.stack.supervisor import Backoff, Note
from ringback_cli.watch.watcher import Watcher
from ringback_events import Entry, connect
from ringback_telemetry.sink import OtlpSink

__all__ = ["FAILING_WORDS", "ROOT", "RunningStack", "running_stack"]

ROOT = Path(__file__).resolve().parents[4]
# The local model of a test stack fails at these words of the user.
FAILING_WORDS = "the cat has eaten the answer"


@dataclass
class RunningStack:
    """A stack that is up, and everything that looks at it."""

    stack: Stack
    sink: OtlpSink
    watcher: Watcher
    backend: Backend
    demo: Demo
    notes: list[Note] = field(default_factory=list)

    def facts(self, session_id: str, kind: str) -> list[events_pb2.SessionEvent]:
        """The facts of a kind that a session has published so far."""
        return [event for event in self.watcher.of(session_id) if event.WhichOneof("body") == kind]

    async def fact(
        self, session_id: str, kind: str, *, at_least: int = 1, timeout_s: float = 20.0
    ) -> events_pb2.SessionEvent:
        """The last of at least so many facts of a kind; fails with what was there instead."""
        seen = await self.watcher.wait_for(
            lambda: len(self.facts(session_id, kind)) >= at_least, timeout_s=timeout_s
        )
        kinds = [event.WhichOneof("body") for event in self.watcher.of(session_id)]
        assert seen, f"no {at_least} × {kind} within {timeout_s} s; seen: {kinds}"
        return self.facts(session_id, kind)[-1]

    async def journalled(self, session_id: str, mark: str, *, timeout_s: float = 20.0) -> None:
        """Wait until a session's record holds this id: whoever owns the session next knows of it."""
        bus = await connect(self.stack.addresses.nats_url, name="ringback-testkit")
        written = asyncio.Event()

        async def seen(key: str, entry: Entry | None) -> None:
            if entry is not None and mark.encode() in entry.value:
                written.set()

        try:
            await bus.bucket("sessions").watch(f"record.{session_id}", seen)
            async with asyncio.timeout(timeout_s):
                await written.wait()
        finally:
            await bus.close()

    @property
    def ws_url(self) -> str:
        """Where Realtime clients connect, without a path."""
        return f"ws://127.0.0.1:{self.stack.addresses.realtime_port}"

    def kill9(self, name: str) -> int:
        """kill -9 one program; the supervisor starts it again. Returns the pid that was killed."""
        pid = self.stack.supervisor.programs[name].pid
        os.killpg(pid, signal.SIGKILL)
        return pid

    @property
    def crashes(self) -> list[Note]:
        return [note for note in self.notes if note.kind == "crashed"]


@asynccontextmanager
async def running_stack(
    folder: Path,
    *,
    speed: float = 6.0,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    backend_arguments: tuple[str, ...] = (),
    workers: int = 1,
    backoff: Callable[[], Backoff] = Backoff,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[RunningStack]:
    """Start everything on free ports under `folder`; everything is stopped at the end.

    `speed`: how many times faster than spoken the calls of `demo` run. `overrides`: settings by service. `workers`:
    processes of session behind the one port. `environment`: of every program, beside what this one has.
    """
    notes: list[Note] = []
    settings = {name: dict(values) for name, values in (overrides or {}).items()}
    settings.setdefault("localmodel", {}).setdefault("RINGBACK_LOCALMODEL_FAIL_ON", FAILING_WORDS)
    with OtlpSink() as sink:
        async with (
            run_stack(
                StackPaths(folder),
                packs=ROOT / "packs",
                environment=inherited_environment() | dict(environment or {}),
                on_note=notes.append,
                otlp_endpoint=sink.endpoint,
                overrides=settings,
                backend_arguments=backend_arguments,
                workers=workers,
                backoff=backoff,
            ) as stack,
            Watcher(stack.addresses.nats_url) as watcher,
        ):
            backend = Backend(stack.addresses.backend_url)
            demo = Demo(stack, View(), watcher, backend, folder, speed)
            yield RunningStack(stack, sink, watcher, backend, demo, notes)
