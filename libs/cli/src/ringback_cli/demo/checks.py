"""Owns the verdict on a call: each check of its script against the facts and the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from ringback.events.v1 import events_pb2 as pb

from ringback_cli.caller.script import Check

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True)
class Verdict:
    """One check and how it went; `found` says what was there instead."""

    call: str
    that: str
    ok: bool
    found: str


def judge(
    call: str,
    checks: Sequence[Check],
    *,
    events: Sequence[pb.SessionEvent],
    control: Sequence[pb.ControlFact],
    ledger: Sequence[dict[str, Any]],
) -> list[Verdict]:
    """Every check of one call. `control` are the facts of no session since the call began."""
    return [_judge(call, check, events, control, ledger) for check in checks]


def _judge(
    call: str,
    check: Check,
    events: Sequence[pb.SessionEvent],
    control: Sequence[pb.ControlFact],
    ledger: Sequence[dict[str, Any]],
) -> Verdict:
    if check.ledger is not None:
        wanted = check.ledger
        found = sum(all(entry.get(key) == value for key, value in wanted.items()) for entry in ledger)
        place = "in the ledger"
    else:
        name = check.event or check.control
        facts: Sequence[Message] = control if check.control else events
        bodies = [getattr(fact, name) for fact in facts if fact.WhichOneof("body") == name]
        found = sum(all(_matches(body, key, value) for key, value in check.where.items()) for body in bodies)
        place = f"of {len(bodies)} {name}"
    ok = found == check.count if check.count is not None else found >= check.at_least
    expected = f"{check.count}" if check.count is not None else f"at least {check.at_least}"
    return Verdict(call, check.that, ok, f"{found} {place}, {expected} expected")


def _matches(body: Message, field: str, wanted: object) -> bool:
    """A text matches whole or, with a leading and trailing `*`, as a part; an enum matches by the end of its name."""
    descriptor = body.DESCRIPTOR.fields_by_name.get(field)
    if descriptor is None:
        return False
    value = getattr(body, field)
    if descriptor.enum_type is not None and isinstance(wanted, str):
        known = descriptor.enum_type.values_by_number.get(value)
        return known is not None and known.name.endswith("_" + wanted.upper())
    if isinstance(wanted, str) and wanted.startswith("*"):
        return wanted.strip("*").lower() in str(value).lower()
    return bool(value == wanted)
