"""Owns what the demo prints: the live lines of every call, and the tables at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from ringback.events.v1 import events_pb2 as pb
from ringback.memory.v1 import memory_pb2

from ringback_cli.caller import CallLine
from ringback_cli.console import console, print_fact
from ringback_cli.demo.checks import Verdict
from ringback_cli.demo.latency import TurnFigures
from ringback_cli.demo.trace_tree import Span, pick_trace, trace_tree
from ringback_cli.watch.facts import FactLine, control_line, event_line

__all__ = ["View"]

_PENDING_MAX = 500
_CALL_STYLES = ("bright_cyan", "bright_magenta", "bright_yellow")
_CALLER_CHARS = 44


class View:
    """Prints facts as they arrive, each under the name of its call."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._names: dict[str, str] = {}
        self._styles: dict[str, str] = {}
        self._pending: dict[str, list[FactLine]] = {}

    def heading(self, text: str) -> None:
        console.print(f"\n[bold]{escape(text)}[/]")

    def name_session(self, session_id: str, call: str) -> None:
        """From now on the session's facts carry the call's name; what waited for it is printed."""
        self._names[session_id] = call
        for line in self._pending.pop(session_id, []):
            print_fact(line, prefix=self._prefix(call))

    def event(self, event: pb.SessionEvent) -> None:
        """Print one fact of a session; before the call has told its id, keep it for a moment."""
        line = event_line(event)
        call = self._names.get(event.session_id)
        if call is None:
            waiting = self._pending.setdefault(event.session_id, [])
            if len(waiting) < _PENDING_MAX:
                waiting.append(line)
            return
        print_fact(line, prefix=self._prefix(call))

    def control(self, fact: pb.ControlFact) -> None:
        print_fact(control_line(fact), prefix=self._prefix("all"))

    def caller_line(self, call: str, line: CallLine) -> None:
        """What the caller says, as scripted, and errors; the agent's words come as facts."""
        if line.speaker == "caller":
            print_fact(FactLine("caller", "caller", f"“{line.text}”"), prefix=self._prefix(call))
        elif line.speaker == "system":
            print_fact(FactLine("person", "client", line.text), prefix=self._prefix(call))

    def latencies(self, call: str, turns: Sequence[TurnFigures], *, longest_silence_ms: int) -> None:
        title = f"{call}: per turn, ms (longest silence that the caller met: {longest_silence_ms} ms)"
        table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        table.add_column("caller", no_wrap=True, overflow="ellipsis", max_width=_CALLER_CHARS)
        table.add_column("end of speech → first audio", justify="right")
        table.add_column("policy", justify="right")
        table.add_column("tool", justify="right")
        for turn in turns:
            table.add_row(
                escape(turn.caller[:_CALLER_CHARS] or "(no caller's turn)"),
                str(turn.first_audio_ms or "-"),
                " + ".join(f"{ms:.1f}" for ms in turn.policy_ms) or "-",
                " + ".join(f"{ms:.0f}" for ms in turn.tool_ms) or "-",
            )
        console.print(table)

    def memory(self, call: str, context: memory_pb2.GetContextResponse) -> None:
        """What memory keeps of a call."""
        console.print(
            f"[bold]{call}: what memory keeps[/] [dim]as of ({context.as_of_epoch}, {context.as_of_seq}), "
            f"{context.tokens} tokens[/]"
        )
        slots: dict[str, list[str]] = {}
        for slot in context.slots:
            kind = f"{slot.source}, stale" if slot.stale else slot.source
            slots.setdefault(kind, []).append(f"{slot.name} = {slot.value_json}")
        for kind, values in slots.items():
            console.print(f"  slots   [dim]({kind})[/] {escape(', '.join(values))}")
        for task in context.tasks:
            console.print(
                f"  task    {escape(task.title)} [dim]({task.kind}, {task.status}, owed by {task.owed_by})[/]"
            )
        for action in context.pending_actions:
            console.print(f"  pending {escape(action.tool)} [dim]({action.status})[/]")
        if context.summary:
            console.print(f"  summary {escape(context.summary)}")

    def trace(self, spans: Sequence[Span]) -> None:
        chosen = pick_trace(spans)
        if chosen:
            console.print(trace_tree(chosen))
        else:
            console.print("[red]no spans arrived[/]")

    def verdicts(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            mark = "[green]ok    [/]" if verdict.ok else "[bold red]FAILED[/]"
            found = "" if verdict.ok else f"  [red]{escape(verdict.found)}[/]"
            console.print(f"  {mark} {verdict.call:<8} {escape(verdict.that)}{found}")

    def files(self, files: Sequence[tuple[str, Path]]) -> None:
        for what, path in files:
            console.print(f"  {what:<12} {path}")

    def _prefix(self, call: str) -> str:
        style = self._styles.setdefault(call, _CALL_STYLES[len(self._styles) % len(_CALL_STYLES)])
        return f"[dim]{time.monotonic() - self._began:6.1f}[/] [{style}]{call:<8}[/] "
