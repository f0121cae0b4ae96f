"""Owns the reading of recorded runs and tasks: each write with what was said before it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ringback_errors import InvalidInput

__all__ = ["PastCall", "Story", "Utterance", "Write", "read_stories"]

FILE_BYTES_MAX = 256 * 1024 * 1024


@dataclass(frozen=True)
class Utterance:
    """What was said, by the caller or by the agent."""

    speaker: Literal["caller", "agent"]
    text: str


@dataclass(frozen=True)
class PastCall:
    """A tool call as it was recorded; `said` is how much had been said before it."""

    tool: str
    arguments: Mapping[str, Any]
    succeeded: bool
    said: int = 0


@dataclass(frozen=True)
class Write:
    """One write call, with the conversation and the calls before it; `unreadable` says why it has no arguments."""

    tool: str
    arguments: Mapping[str, Any]
    call_id: str | None
    said: tuple[Utterance, ...] = ()
    before: tuple[PastCall, ...] = ()
    succeeded: bool = True
    unreadable: str = ""

    @property
    def read_back(self) -> str:
        """The agent's last words before the caller's last words."""
        last = max((at for at, one in enumerate(self.said) if one.speaker == "caller"), default=-1)
        return next((one.text for one in reversed(self.said[: max(last, 0)]) if one.speaker == "agent"), "")

    @property
    def answer(self) -> str:
        """The caller's last words."""
        return next((one.text for one in reversed(self.said) if one.speaker == "caller"), "")


@dataclass(frozen=True)
class Story:
    """A run or a task: `index` is its place in its file."""

    source: Literal["run", "task"]
    index: int
    task_id: str
    writes: tuple[Write, ...] = field(default=())


def read_stories(folder: Path, writes: frozenset[str]) -> list[Story]:
    """All runs and tasks of a folder, in their order; raises InvalidInput naming file and place."""
    runs, tasks = sorted(folder.glob("runs_*.json")), sorted(folder.glob("tasks_*.json"))
    if not runs and not tasks:
        raise InvalidInput("expected runs_*.json or tasks_*.json", field=str(folder))
    found = [_run(path, at, run, writes) for path in runs for at, run in enumerate(_list(path))]
    return found + [_task(path, at, task, writes) for path in tasks for at, task in enumerate(_list(path))]


def _list(path: Path) -> Sequence[Mapping[str, Any]]:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise InvalidInput(f"expected at most {FILE_BYTES_MAX} bytes", field=str(path))
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"expected JSON: {error}", field=str(path)) from None
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise InvalidInput("expected a list of objects", field=str(path))
    return content


def _run(path: Path, index: int, run: Mapping[str, Any], writes: frozenset[str]) -> Story:
    try:
        found = tuple(_writes_of(run["traj"], writes))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(
            f"expected a run with messages (traj): {error!r}", field=f"{path}[{index}]"
        ) from None
    return Story("run", index, str(run.get("task_id", "")), found)


def _writes_of(messages: Sequence[Mapping[str, Any]], writes: frozenset[str]) -> Iterator[Write]:
    said: list[Utterance] = []
    before: list[PastCall] = []
    for at, message in enumerate(messages):
        text, calls = _text(message.get("content")), message.get("tool_calls") or ()
        if text and message["role"] in ("user", "assistant"):
            said.append(Utterance("caller" if message["role"] == "user" else "agent", text))
        for call, result in zip(calls, _results(messages[at + 1 :], len(calls)), strict=True):
            name = str(call["function"]["name"])
            arguments, unreadable = _arguments(call["function"].get("arguments"))
            succeeded = not unreadable and not result.lower().startswith("error")
            if name in writes:
                own_id = call.get("id")
                yield Write(name, arguments, own_id, tuple(said), tuple(before), succeeded, unreadable)
            before.append(PastCall(name, arguments, succeeded, len(said)))


def _text(content: Any) -> str:
    """Words are written plainly, or as a list of parts."""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict)).strip()
    return str(content or "")


def _arguments(given: Any) -> tuple[Mapping[str, Any], str]:
    """What a model wrote for arguments, or why it cannot be read: a mistake of the recording, not of the file."""
    try:
        found = json.loads(given or "{}") if isinstance(given, str | None) else given
    except (ValueError, RecursionError) as error:
        return {}, f"expected arguments in JSON: {error}"
    return (found, "") if isinstance(found, dict) else ({}, "expected arguments in an object")


def _results(later: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """The results of the calls of one message follow it in the order of the calls; ids may repeat in a recording."""
    found = [_text(message.get("content")) for message in later[:count] if message.get("role") == "tool"]
    return found + ["error: no result recorded"] * (count - len(found))


def _task(path: Path, index: int, task: Mapping[str, Any], writes: frozenset[str]) -> Story:
    found: list[Write] = []
    before: list[PastCall] = []
    try:
        for action in task["actions"]:
            name, given = str(action["name"]), action.get("arguments", action.get("kwargs", {}))
            arguments, unreadable = _arguments(given or {})
            if name in writes:
                found.append(Write(name, arguments, None, (), tuple(before), unreadable=unreadable))
            before.append(PastCall(name, arguments, succeeded=True))
    except (KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"expected a task with actions: {error!r}", field=f"{path}[{index}]") from None
    return Story("task", index, str(task.get("id", index)), tuple(found))
