"""Owns the life of a write: admitted → attempting(n) → finished, and what to do with a record that is found.

Each transition is a pure function from one record to the next; the journal stores it by compare-and-set.
The record is the only truth about execution. A reader that finds one decides by `plan`: attach, return,
start, wait or settle.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from ringback_tools.domain.results import ErrorCode, Result, Status

__all__ = [
    "ActionState",
    "OutcomeRecord",
    "Permit",
    "Plan",
    "admitted",
    "attempting",
    "finished",
    "plan",
    "reconciled",
    "told",
    "withdrawn",
]


class ActionState(StrEnum):
    """Where an action is."""

    ADMITTED = "admitted"
    ATTEMPTING = "attempting"
    FINISHED = "finished"


class OutcomeRecord(Struct, frozen=True):
    """What is stored of one action."""

    tenant: str
    session_id: str
    action_id: str
    epoch: int
    tool: str
    tool_version: str
    arguments_json: str
    arguments_digest: str
    pack_digest: str
    state: ActionState = ActionState.ADMITTED
    attempt: int = 0
    # The process that runs it, and until when (unix ms) its connector may still act.
    owner: str = ""
    attempt_deadline_ms: int = 0
    result: Result | None = None
    decision_id: str = ""
    updated_at_ms: int = 0
    # Reconciled, and not yet told to the session as a fact.
    late_fact_due: bool = False


def admitted(record: OutcomeRecord, *, owner: str, lease_ms: int, now_ms: int) -> OutcomeRecord:
    """The record when its owner has taken the action on; nothing was sent yet."""
    return replace(
        record,
        state=ActionState.ADMITTED,
        owner=owner,
        attempt_deadline_ms=now_ms + lease_ms,
        updated_at_ms=now_ms,
    )


def attempting(record: OutcomeRecord, *, owner: str, timeout_ms: int, now_ms: int) -> OutcomeRecord:
    """The record before attempt n + 1 is sent."""
    assert record.state is not ActionState.FINISHED, "a finished action is not attempted again"
    return replace(
        record,
        state=ActionState.ATTEMPTING,
        attempt=record.attempt + 1,
        owner=owner,
        attempt_deadline_ms=now_ms + timeout_ms,
        updated_at_ms=now_ms,
    )


def withdrawn(record: OutcomeRecord, *, now_ms: int) -> OutcomeRecord:
    """The record after attempt n was written down and not sent: free for whoever comes."""
    assert record.state is ActionState.ATTEMPTING, "only an attempt can be withdrawn"
    return replace(
        record,
        state=ActionState.ADMITTED,
        attempt=record.attempt - 1,
        attempt_deadline_ms=now_ms,
        updated_at_ms=now_ms,
    )


def finished(record: OutcomeRecord, result: Result, *, now_ms: int) -> OutcomeRecord:
    """The record with its outcome; a known outcome is never replaced."""
    assert not _known(record), "a known outcome is final"
    return replace(record, state=ActionState.FINISHED, result=result, updated_at_ms=now_ms)


def reconciled(record: OutcomeRecord, result: Result, *, now_ms: int) -> OutcomeRecord:
    """The record when an outcome that was told as unknown became known; the session is yet to be told."""
    assert result.known, "only a known outcome reconciles"
    return replace(finished(record, result, now_ms=now_ms), late_fact_due=True)


def told(record: OutcomeRecord, *, now_ms: int) -> OutcomeRecord:
    """The record after the late fact was stored in the stream."""
    return replace(record, late_fact_due=False, updated_at_ms=now_ms)


class Permit(StrEnum):
    """What the caller's proof allows: to start, or (expired, or attach_only) only to learn."""

    START = "start"
    LEARN = "learn"


class Plan(StrEnum):
    """What to do about an action."""

    # Nothing is known: admit it.
    START = "start"
    # Nothing is known, or nothing was sent, and this caller may not start it.
    NOT_STARTED = "not_started"
    # It has its outcome.
    RETURN = "return"
    # Its owner may still be at work: look again later.
    WAIT = "wait"
    # Its owner died before anything was sent: take over and go on.
    RESUME = "resume"
    # Its owner died (or gave up) with an attempt in doubt: only a check may run first.
    SETTLE = "settle"


def plan(record: OutcomeRecord | None, *, permit: Permit, owner: str, now_ms: int) -> Plan:
    """What a process that does not itself run the action does about it; `owner` is that process."""
    if record is None:
        return Plan.START if permit is Permit.START else Plan.NOT_STARTED
    if record.state is ActionState.FINISHED:
        return Plan.RETURN if _known(record) else Plan.SETTLE
    if record.state is ActionState.ADMITTED:
        if not _dead(record, owner, now_ms):
            return Plan.WAIT
        return Plan.RESUME if permit is Permit.START else Plan.NOT_STARTED
    # However dead its owner is: its request may still be on its way until the connector's deadline.
    return Plan.SETTLE if now_ms >= record.attempt_deadline_ms else Plan.WAIT


def not_done(*, message: str, attempts: int) -> Result:
    """The outcome of an action in doubt that turned out to have had no effect."""
    return Result(
        status=Status.ERROR,
        error_code=ErrorCode.TOOL_UNAVAILABLE,
        message=message,
        retryable=True,
        attempts=attempts,
    )


def in_doubt(*, message: str, attempts: int) -> Result:
    """The outcome of an action whose effect is not known."""
    return Result(
        status=Status.UNKNOWN_OUTCOME,
        error_code=ErrorCode.UNKNOWN_OUTCOME,
        message=message,
        confidence=0.0,
        attempts=attempts,
    )


def _known(record: OutcomeRecord) -> bool:
    return record.state is ActionState.FINISHED and record.result is not None and record.result.known


def _dead(record: OutcomeRecord, owner: str, now_ms: int) -> bool:
    """Owners are `replica#start`: a later start of the same replica means that the one before is gone."""
    if now_ms >= record.attempt_deadline_ms:
        return True
    replica, _, start = record.owner.partition("#")
    my_replica, _, my_start = owner.partition("#")
    # The caller does not run it, so a record of its own name is left over, too.
    return replica == my_replica and (start != my_start or record.owner == owner)
