"""Plain data of the core ↔ protobuf of the contracts. The one place where both are known."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2

from ringback_session.domain.effects import Execute, Publish
from ringback_session.domain.inputs import (
    ActionProgressed,
    ActionReconciled,
    ActionResult,
)
from ringback_session.domain.rules import SideEffect, Tool
from ringback_session.ports import Pinned

__all__ = [
    "SIDE_EFFECTS_IN",
    "SIDE_EFFECTS_OUT",
    "event",
    "execute_request",
    "progress_or_result",
    "publish_of",
    "reconciled",
    "timestamp",
    "tool",
    "word",
]

SCHEMA_VERSION = 1
SIDE_EFFECTS_OUT = {
    SideEffect.READ: policy_pb2.SIDE_EFFECT_READ,
    SideEffect.WRITE: policy_pb2.SIDE_EFFECT_WRITE,
    SideEffect.IRREVERSIBLE: policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
}
SIDE_EFFECTS_IN = {value: key for key, value in SIDE_EFFECTS_OUT.items()}
_STATUS = {
    tools_pb2.STATUS_OK: "ok",
    tools_pb2.STATUS_ERROR: "failed",
    tools_pb2.STATUS_UNKNOWN_OUTCOME: "unknown",
}
# Fields of facts that are enums on the wire and words in the core.
_ENUMS = {
    ("agent_turn_ended", "kind"): ("SPEECH_KIND_", events_pb2.SpeechKind),
    ("action_requested", "side_effect"): ("SIDE_EFFECT_", events_pb2.SideEffect),
    ("action_finished", "side_effect"): ("SIDE_EFFECT_", events_pb2.SideEffect),
    ("action_finished", "status"): ("ACTION_STATUS_", events_pb2.ActionStatus),
    ("action_decided", "source"): ("DECISION_SOURCE_", events_pb2.DecisionSource),
    ("consent_answered", "reading"): ("CONSENT_READING_", events_pb2.ConsentReading),
}


def timestamp(unix_ms: int) -> Timestamp:
    return Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


@lru_cache(maxsize=256)
def word(enum: Any, number: int) -> str:
    """The core's word for a value of an enum, without the enum's prefix; empty for none, or one of a later release."""
    value = enum.DESCRIPTOR.values_by_number.get(number)
    if value is None or not number:
        return ""
    prefix = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", enum.DESCRIPTOR.name).upper()
    return str(value.name).removeprefix(f"{prefix}_").lower()


def event(fact: Publish, tenant: str, session_id: str) -> events_pb2.SessionEvent:
    """A fact as it goes on the EVENTS stream."""
    message = events_pb2.SessionEvent(
        schema_version=SCHEMA_VERSION,
        tenant=tenant,
        session_id=session_id,
        epoch=fact.epoch,
        seq=fact.seq,
        occurred_at=timestamp(fact.at_ms),
        turn_id=fact.turn_id,
        agent=fact.agent,
    )
    body = getattr(message, fact.kind)
    body.SetInParent()
    for name, value in fact.body.items():
        _set(body, fact.kind, name, value)
    return message


def publish_of(message: events_pb2.SessionEvent) -> Publish:
    """A fact of an outbox, so that a new owner can publish it again."""
    kind = message.WhichOneof("body") or ""
    body: dict[str, Any] = {"_raw": getattr(message, kind).SerializeToString()} if kind else {}
    return Publish(
        kind=kind,
        seq=message.seq,
        epoch=message.epoch,
        turn_id=message.turn_id,
        agent=message.agent,
        at_ms=message.occurred_at.ToMilliseconds(),
        body=body,
    )


def tool(message: tools_pb2.Tool) -> Tool:
    return Tool(
        name=message.name,
        version=message.version,
        description=message.description,
        parameters_json=message.parameters_json,
        # What does not say what it does is treated as the worst.
        side_effect=SIDE_EFFECTS_IN.get(message.side_effect, SideEffect.IRREVERSIBLE),
        deadline_ms=message.deadline_ms or 10_000,
        slow_after_ms=message.slow_after_ms,
        dependency=message.dependency,
        internal=message.internal,
    )


def execute_request(action: Execute, pinned: Pinned) -> tools_pb2.ExecuteRequest:
    request = tools_pb2.ExecuteRequest(
        tenant=pinned.tenant,
        session_id=pinned.session_id,
        epoch=pinned.epoch,
        action_id=action.action_id,
        pack_digest=pinned.pack_digest,
        tool=action.tool,
        tool_version=action.version,
        arguments_json=action.arguments_json,
        scopes=pinned.scopes,
        priority=tools_pb2.PRIORITY_LIVE_CALL,
        attach_only=action.attach_only,
    )
    if action.proof is not None:
        request.proof.key_id = str(action.proof["key_id"])
        request.proof.mac = bytes.fromhex(str(action.proof["mac"]))
        request.proof.decision_id = str(action.proof["decision_id"])
        request.proof.consent_id = str(action.proof["consent_id"])
        request.proof.expires_at_ms = int(action.proof["expires_at_ms"])
    return request


def progress_or_result(
    action_id: str, message: tools_pb2.ExecuteResponse
) -> ActionProgressed | ActionResult | None:
    """None for a kind of progress that this version does not know."""
    kind = message.WhichOneof("event")
    match kind:
        case "started" | "slow":
            return ActionProgressed(action_id=action_id, stage=kind)
        case "attempting":
            return ActionProgressed(
                action_id=action_id,
                stage="attempt",
                attempt=message.attempting.attempt,
                message=message.attempting.after_error,
            )
        case "progress":
            return ActionProgressed(action_id=action_id, stage="progress", message=message.progress.message)
        case "result":
            return _result(action_id, message.result)
        case _:
            return None


def quick_result(action_id: str, message: tools_pb2.RunResponse) -> ActionResult | None:
    """None for an action that runs on, or an answer that this version does not know: then its stream tells."""
    return _result(action_id, message.result) if message.HasField("result") else None


def reconciled(message: events_pb2.LateFact) -> ActionReconciled | None:
    """None for a kind of late fact that is not the session's to fold, or that this version does not know."""
    if (kind := message.WhichOneof("body")) not in ("action_reconciled", "job_finished"):
        return None
    fact = getattr(message, kind)
    status = events_pb2.ActionStatus.Name(fact.status).removeprefix("ACTION_STATUS_").lower()
    return ActionReconciled(
        action_id=fact.action_id,
        status=status,
        data_json=fact.result_json,
        error_code=fact.error_code,
        message=fact.message,
    )


def _result(action_id: str, result: tools_pb2.Result) -> ActionResult:
    return ActionResult(
        action_id=action_id,
        status=_STATUS.get(result.status, "unknown"),
        data_json=result.data_json,
        error_code=word(tools_pb2.ErrorCode, result.error_code),
        message=result.message,
        retryable=result.retryable,
        attempts=result.attempts,
        already_done=result.already_done,
        fallback=result.fallback.kind or "none",
        fallback_message=result.fallback.message,
        open_breakers=tuple(result.open_breakers),
    )


def _set(body: Any, kind: str, name: str, value: Any) -> None:
    if name == "_raw":
        body.ParseFromString(value)
    elif value is None:
        pass
    elif name == "expires_at_ms":
        body.expires_at.CopyFrom(timestamp(value))
    elif (kind, name) in _ENUMS:
        prefix, enum = _ENUMS[kind, name]
        setattr(body, name, enum.Value(f"{prefix}{str(value).upper()}"))
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict):
                getattr(body, name).add(**entry)
            else:
                getattr(body, name).append(entry)
    else:
        setattr(body, name, value)
