"""Owns the form of a call script: what the caller says and when, and what must be true afterwards."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from ringback_errors import InvalidInput

__all__ = ["BackendFault", "Check", "Expect", "Script", "Step", "WaitFor", "load_script"]

_STEP_KINDS = ("say", "wait_for", "expect", "pause_ms", "interrupt_after_ms")


class WaitFor(msgspec.Struct, forbid_unknown_fields=True):
    """Wait until the caller has heard a pattern since the last line, a client event came, or the agent has finished."""

    heard: str = ""
    event: str = ""
    agent: Literal["", "finished"] = ""
    # By the call's clock.
    within_s: float = 30.0


class Expect(msgspec.Struct, forbid_unknown_fields=True):
    """Must hold now, or the script fails. `probe` is a question that the player was given an answer for."""

    heard: str = ""
    not_heard: str = ""
    probe: str = ""
    equals: Any = None


class Step(msgspec.Struct, forbid_unknown_fields=True):
    """One step. `interrupt_after_ms` beside `say`: speak into the agent's words once they last that long."""

    say: str = ""
    interrupt_after_ms: int = 0
    wait_for: WaitFor | None = None
    expect: Expect | None = None
    pause_ms: int = 0
    note: str = ""


class BackendFault(msgspec.Struct, forbid_unknown_fields=True):
    """A fault that the reservation system has during the call; the fields of its `POST /faults`."""

    scope: str = "*"
    method: str = ""
    latency_ms: int = 0
    fail_status: int = 0
    fail_count: int = 0
    retry_after_s: int = 0
    hang: bool = False
    apply_latency_ms: int = 0
    apply_then_hang: bool = False
    apply_then_drop: bool = False
    answer_then_drop: bool = False
    garbage: bool = False


class Check(msgspec.Struct, forbid_unknown_fields=True):
    """What must be true when the call is over, in words and as a count of facts or of lines in the ledger."""

    that: str
    # Name of a session event's body (events.proto), or of a control fact's.
    event: str = ""
    control: str = ""
    where: dict[str, str | int | float | bool] = {}
    ledger: dict[str, str | int | float] | None = None
    count: int | None = None
    at_least: int = 1


class Script(msgspec.Struct, forbid_unknown_fields=True):
    """A call: who calls which pack, what they say, and what must have happened."""

    name: str
    title: str
    pack: str
    steps: list[Step]
    voice: int = 3
    # How long the caller may be left in silence, by the call's clock; 0: any time.
    silence_ms_max: int = 0
    faults: list[BackendFault] = []
    checks: list[Check] = []

    def lines(self) -> list[str]:
        """Everything that the caller will say."""
        return [step.say for step in self.steps if step.say]


def load_script(path: Path) -> Script:
    """Read and check a script; InvalidInput names the file, the field and what was expected."""
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        raise InvalidInput(f"{path}: a readable call script expected ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise InvalidInput(f"{path}: YAML expected ({error})") from None
    try:
        script = msgspec.convert(content, type=Script)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"{path}: {error}") from None
    for number, step in enumerate(script.steps, start=1):
        problem = _problem(step)
        if problem:
            raise InvalidInput(f"{path}: step {number}: {problem}")
    return script


def _problem(step: Step) -> str:
    kinds = [kind for kind in _STEP_KINDS if getattr(step, kind)]
    if kinds not in (["say"], ["say", "interrupt_after_ms"], ["wait_for"], ["expect"], ["pause_ms"]):
        return f"one of say, wait_for, expect, pause_ms expected (interrupt_after_ms only beside say), got {kinds}"
    if step.wait_for and sum(map(bool, (step.wait_for.heard, step.wait_for.event, step.wait_for.agent))) != 1:
        return "wait_for: exactly one of heard, event, agent expected"
    if step.expect and sum(map(bool, (step.expect.heard, step.expect.not_heard, step.expect.probe))) != 1:
        return "expect: exactly one of heard, not_heard, probe expected"
    patterns = [step.wait_for.heard] if step.wait_for else []
    patterns += [step.expect.heard, step.expect.not_heard] if step.expect else []
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            return f"a regular expression expected, got {pattern!r} ({error})"
    return ""
