"""Owns how the command writes: one console, colours only on a terminal, notes of the supervisor as lines."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from ringback_cli.stack.supervisor import Note
from ringback_cli.watch.facts import FactLine

__all__ = ["console", "error_console", "print_fact", "print_note"]

# Lines of facts are long; a pipe or file has no width of its own to fit them to.
_WIDTH_WITHOUT_TERMINAL = 160


def _console(*, stderr: bool = False) -> Console:
    made = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = _WIDTH_WITHOUT_TERMINAL
    return made


console = _console()
error_console = _console(stderr=True)

TOPIC_STYLES = {
    "caller": "cyan",
    "agent": "green",
    "decision": "magenta",
    "action": "yellow",
    "consent": "bold blue",
    "memory": "blue",
    "person": "bold magenta",
    "session": "dim",
}
_NOTE_STYLES = {
    "ready": "green",
    "restarted": "green",
    "crashed": "bold red",
    "restart_failed": "bold red",
    "killed": "red",
}
_QUIET_NOTES = {"starting", "stopping"}


def print_note(note: Note) -> None:
    """One line per thing that happened to a program; what is only under way is not worth one."""
    if note.kind in _QUIET_NOTES:
        return
    style = _NOTE_STYLES.get(note.kind, "dim")
    console.print(
        f"  {note.name:<13}[{style}]{note.kind.replace('_', ' '):<10}[/] {escape(note.detail)}".rstrip()
    )


def print_fact(line: FactLine, *, prefix: str = "") -> None:
    """One fact as `prefix who text · detail`."""
    style = TOPIC_STYLES.get(line.topic, "")
    detail = f"  [dim]· {escape(line.detail)}[/]" if line.detail else ""
    console.print(f"{prefix}[{style}]{line.who:<8}[/] {escape(line.text)}{detail}")
