"""Looks after the programs of a stack: starts them in order, restarts one that crashed, stops them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

from ringback_cli.stack.process import Program, ProgramSpec, StartFailed, describe_exit

__all__ = ["Backoff", "Note", "Supervisor"]

NoteKind = Literal[
    "starting", "ready", "crashed", "restarted", "restart_failed", "stopping", "stopped", "killed"
]


@dataclass(frozen=True)
class Note:
    """Something that happened to one program; `detail` is for people."""

    kind: NoteKind
    name: str
    detail: str = ""


@dataclass
class Backoff:
    """How long to wait before the next restart, ms: doubles up to `max_ms`, starts over after `reset_after_ms` up."""

    first_ms: int = 500
    max_ms: int = 15_000
    reset_after_ms: int = 60_000
    _next_ms: int = 0

    def after(self, up_ms: float) -> int:
        """The wait after a run that was up for `up_ms`."""
        if up_ms >= self.reset_after_ms or not self._next_ms:
            self._next_ms = self.first_ms
        wait_ms = self._next_ms
        self._next_ms = min(self._next_ms * 2, self.max_ms)
        return wait_ms


class Supervisor:
    """An async context: leaving it stops everything that it started, last started first."""

    def __init__(self, *, on_note: Callable[[Note], None], backoff: Callable[[], Backoff] = Backoff) -> None:
        self._on_note = on_note
        self._backoff = backoff
        self._programs: dict[str, Program] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_all()

    @property
    def programs(self) -> dict[str, Program]:
        """The current run of each program, by name, in the order of starting."""
        return dict(self._programs)

    async def start(self, spec: ProgramSpec) -> None:
        """Start a program, wait until it is ready, and look after it from then on."""
        self._on_note(Note("starting", spec.name))
        began = time.monotonic()
        program = await Program.start(spec)
        self._programs[spec.name] = program
        await program.wait_ready()
        self._on_note(Note("ready", spec.name, f"{time.monotonic() - began:.1f} s  {spec.address}".rstrip()))
        self._watchers[spec.name] = asyncio.create_task(self._watch(program), name=f"watch {spec.name}")

    async def start_together(self, specs: list[ProgramSpec]) -> None:
        """Start programs that do not need each other side by side."""
        try:
            async with asyncio.TaskGroup() as group:
                for spec in specs:
                    group.create_task(self.start(spec))
        except* StartFailed as failures:
            # One clear reason is enough; the others were cancelled because of it.
            raise failures.exceptions[0] from None

    async def stop_all(self) -> None:
        """Stop in reverse order of starting; each gets its grace time."""
        for task in self._watchers.values():
            task.cancel()
        for task in self._watchers.values():
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._watchers.clear()
        for name, program in reversed(self._programs.items()):
            if program.returncode is None:
                self._on_note(Note("stopping", name))
                by_itself = await program.stop()
                self._on_note(Note("stopped" if by_itself else "killed", name))
        self._programs.clear()

    async def _watch(self, program: Program) -> None:
        spec, backoff = program.spec, self._backoff()
        while True:
            began = time.monotonic()
            code = await program.wait()
            wait_ms = backoff.after((time.monotonic() - began) * 1000)
            self._on_note(
                Note("crashed", spec.name, f"ended {describe_exit(code)}; restart in {wait_ms / 1000:.1f} s")
            )
            await asyncio.sleep(wait_ms / 1000)
            program = await Program.start(spec)
            self._programs[spec.name] = program
            try:
                await program.wait_ready()
                self._on_note(Note("restarted", spec.name, spec.address))
            except StartFailed as failure:
                self._on_note(Note("restart_failed", spec.name, str(failure)))
                await program.stop()
