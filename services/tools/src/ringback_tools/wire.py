"""The one place where wire types and domain types are turned into each other."""

from __future__ import annotations

import re
from typing import Final

import orjson
from google.protobuf import timestamp_pb2
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2
from ringback_errors import InvalidInput
from ringback_identity import Proof

from ringback_tools.domain.catalogue import SideEffect
from ringback_tools.domain.outcomes import ActionState, OutcomeRecord
from ringback_tools.domain.results import ErrorCode, FallbackGiven, FallbackKind, Result, Status
from ringback_tools.usecases.execution import (
    ActionRequest,
    Attempting,
    Event,
    Finished,
    Priority,
    Progress,
    Slow,
    Started,
)
from ringback_tools.usecases.listing import Offer

__all__ = [
    "action_key",
    "answer_to_wire",
    "event_to_wire",
    "late_fact",
    "offer_to_wire",
    "outcome_to_wire",
    "record_from_bytes",
    "record_to_bytes",
    "request_from_wire",
    "request_to_wire",
    "session_key",
]

SCHEMA_VERSION: Final = 1
ARGUMENTS_CHARS_MAX: Final = 64 * 1024
SCOPES_MAX: Final = 64

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
# A session by this name would share its keys with the epochs.
_RESERVED: Final = "epoch"

_STATUS: Final = {
    Status.OK: tools_pb2.STATUS_OK,
    Status.ERROR: tools_pb2.STATUS_ERROR,
    Status.UNKNOWN_OUTCOME: tools_pb2.STATUS_UNKNOWN_OUTCOME,
}
_STATE: Final = {
    ActionState.ADMITTED: tools_pb2.ACTION_STATE_ADMITTED,
    ActionState.ATTEMPTING: tools_pb2.ACTION_STATE_ATTEMPTING,
    ActionState.FINISHED: tools_pb2.ACTION_STATE_FINISHED,
}
_CODE: Final = {code: tools_pb2.ErrorCode.Value(f"ERROR_CODE_{code.name}") for code in ErrorCode}
_SIDE_EFFECT: Final = {
    SideEffect.READ: policy_pb2.SIDE_EFFECT_READ,
    SideEffect.WRITE: policy_pb2.SIDE_EFFECT_WRITE,
    SideEffect.IRREVERSIBLE: policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
}
_EVENT_SIDE_EFFECT: Final = {
    SideEffect.READ: events_pb2.SIDE_EFFECT_READ,
    SideEffect.WRITE: events_pb2.SIDE_EFFECT_WRITE,
    SideEffect.IRREVERSIBLE: events_pb2.SIDE_EFFECT_IRREVERSIBLE,
}
_EVENT_STATUS: Final = {
    Status.OK: events_pb2.ACTION_STATUS_OK,
    Status.ERROR: events_pb2.ACTION_STATUS_FAILED,
    Status.UNKNOWN_OUTCOME: events_pb2.ACTION_STATUS_UNKNOWN,
}
_STATUS_BACK: Final = {wire: status for status, wire in _STATUS.items()}
_STATE_BACK: Final = {wire: state for state, wire in _STATE.items()}
_CODE_BACK: Final = {wire: code for code, wire in _CODE.items()}


def request_from_wire(message: tools_pb2.ExecuteRequest) -> ActionRequest:
    """A request whose ids may be used as keys; raises InvalidInput naming the field."""
    tenant, session_id, action_id = action_key(message.tenant, message.session_id, message.action_id)
    if len(message.arguments_json) > ARGUMENTS_CHARS_MAX:
        raise InvalidInput(f"expected at most {ARGUMENTS_CHARS_MAX} characters", field="arguments_json")
    if len(message.scopes) > SCOPES_MAX:
        raise InvalidInput(f"expected at most {SCOPES_MAX}", field="scopes")
    background = message.priority == tools_pb2.PRIORITY_BACKGROUND
    return ActionRequest(
        tenant=tenant,
        session_id=session_id,
        epoch=message.epoch,
        action_id=action_id,
        pack_digest=message.pack_digest,
        tool=message.tool,
        tool_version=message.tool_version,
        arguments_json=message.arguments_json,
        proof=_proof(message.proof) if message.HasField("proof") else None,
        scopes=frozenset(message.scopes),
        priority=Priority.BACKGROUND if background else Priority.LIVE_CALL,
        attach_only=message.attach_only,
    )


def request_to_wire(request: ActionRequest) -> tools_pb2.ExecuteRequest:
    """A request for the queue."""
    proof = None
    if request.proof is not None:
        signed = request.proof
        proof = policy_pb2.DecisionProof(
            key_id=signed.key_id,
            mac=signed.mac,
            decision_id=signed.decision_id,
            consent_id=signed.consent_id,
            expires_at_ms=signed.expires_at_ms,
        )
    return tools_pb2.ExecuteRequest(
        tenant=request.tenant,
        session_id=request.session_id,
        epoch=request.epoch,
        action_id=request.action_id,
        pack_digest=request.pack_digest,
        tool=request.tool,
        tool_version=request.tool_version,
        arguments_json=request.arguments_json,
        proof=proof,
        scopes=sorted(request.scopes),
    )


def action_key(tenant: str, session_id: str, action_id: str) -> tuple[str, str, str]:
    """The three ids that name an action; raises InvalidInput for one that is no id."""
    _check_ids(tenant=tenant, session_id=session_id, action_id=action_id)
    return tenant, session_id, action_id


def session_key(tenant: str, session_id: str) -> tuple[str, str]:
    """The two ids that name a session; raises InvalidInput for one that is no id."""
    _check_ids(tenant=tenant, session_id=session_id)
    return tenant, session_id


def event_to_wire(event: Event) -> tools_pb2.ExecuteResponse:
    """One message of the stream."""
    match event:
        case Started(attached=attached):
            return tools_pb2.ExecuteResponse(started=tools_pb2.Started(attached=attached))
        case Attempting(attempt=attempt, delay_ms=delay_ms, after_error=after_error):
            attempting = tools_pb2.Attempting(attempt=attempt, delay_ms=delay_ms, after_error=after_error)
            return tools_pb2.ExecuteResponse(attempting=attempting)
        case Slow(elapsed_ms=elapsed_ms):
            return tools_pb2.ExecuteResponse(slow=tools_pb2.Slow(elapsed_ms=elapsed_ms))
        case Progress(message=text, elapsed_ms=elapsed_ms):
            progress = tools_pb2.Progress(message=text, elapsed_ms=elapsed_ms)
            return tools_pb2.ExecuteResponse(progress=progress)
        case Finished(result=result):
            return tools_pb2.ExecuteResponse(result=_result_to_wire(result))


def answer_to_wire(answer: Finished | Slow) -> tools_pb2.RunResponse:
    """The one answer of Run."""
    match answer:
        case Finished(result=result):
            return tools_pb2.RunResponse(result=_result_to_wire(result))
        case Slow(elapsed_ms=elapsed_ms):
            return tools_pb2.RunResponse(running=tools_pb2.Running(elapsed_ms=elapsed_ms))


def offer_to_wire(offer: Offer) -> tools_pb2.Tool:
    """A tool as ListTools shows it."""
    tool = offer.tool
    return tools_pb2.Tool(
        name=tool.name,
        version=tool.version,
        description=tool.description,
        parameters_json=orjson.dumps(tool.parameters).decode(),
        side_effect=_SIDE_EFFECT[tool.side_effect],
        deadline_ms=tool.deadline_ms,
        slow_after_ms=tool.slow_after_ms,
        dependency=tool.dependency,
        available=not offer.unavailable_reason,
        unavailable_reason=offer.unavailable_reason,
        caution=offer.caution,
        internal=tool.internal,
    )


def outcome_to_wire(record: OutcomeRecord | None) -> tools_pb2.GetOutcomeResponse:
    """What is known of an action."""
    if record is None:
        return tools_pb2.GetOutcomeResponse(state=tools_pb2.ACTION_STATE_UNKNOWN_ACTION)
    return tools_pb2.GetOutcomeResponse(
        state=_STATE[record.state],
        attempt=record.attempt,
        result=_result_to_wire(record.result) if record.result else None,
    )


def record_to_bytes(record: OutcomeRecord) -> bytes:
    """The stored form."""
    return tools_pb2.OutcomeRecord(
        schema_version=SCHEMA_VERSION,
        tenant=record.tenant,
        session_id=record.session_id,
        action_id=record.action_id,
        epoch=record.epoch,
        tool=record.tool,
        tool_version=record.tool_version,
        arguments_json=record.arguments_json,
        arguments_digest=record.arguments_digest,
        state=_STATE[record.state],
        attempt=record.attempt,
        owner=record.owner,
        attempt_deadline_ms=record.attempt_deadline_ms,
        result=_result_to_wire(record.result) if record.result else None,
        decision_id=record.decision_id,
        pack_digest=record.pack_digest,
        updated_at_ms=record.updated_at_ms,
        late_fact_due=record.late_fact_due,
    ).SerializeToString()


def record_from_bytes(data: bytes) -> OutcomeRecord:
    """A stored record. A state that this version does not know counts as an attempt in doubt: only a check may run."""
    message = tools_pb2.OutcomeRecord.FromString(data)
    return OutcomeRecord(
        tenant=message.tenant,
        session_id=message.session_id,
        action_id=message.action_id,
        epoch=message.epoch,
        tool=message.tool,
        tool_version=message.tool_version,
        arguments_json=message.arguments_json,
        arguments_digest=message.arguments_digest,
        pack_digest=message.pack_digest,
        state=_STATE_BACK.get(message.state, ActionState.ATTEMPTING),
        attempt=message.attempt,
        owner=message.owner,
        attempt_deadline_ms=message.attempt_deadline_ms,
        result=_result_from_wire(message.result) if message.HasField("result") else None,
        decision_id=message.decision_id,
        updated_at_ms=message.updated_at_ms,
        late_fact_due=message.late_fact_due,
    )


def late_fact(
    record: OutcomeRecord, *, side_effect: SideEffect, producer_seq: int, background: bool = False
) -> events_pb2.LateFact:
    """The fact that tells the session how an action in doubt, or background work, ended."""
    assert record.result is not None
    result = record.result
    finished = events_pb2.ActionFinished(
        action_id=record.action_id,
        tool=record.tool,
        status=_EVENT_STATUS[result.status],
        result_json=result.data_json,
        error_code=result.error_code.value if result.error_code else "",
        message=result.message,
        retryable=result.retryable,
        attempts=result.attempts,
        duration_ms=result.duration_ms,
        arguments_json=record.arguments_json,
        side_effect=_EVENT_SIDE_EFFECT[side_effect],
    )
    return events_pb2.LateFact(
        schema_version=SCHEMA_VERSION,
        producer="tools",
        producer_seq=producer_seq,
        tenant=record.tenant,
        session_id=record.session_id,
        occurred_at=timestamp(record.updated_at_ms),
        job_finished=finished if background else None,
        action_reconciled=None if background else finished,
    )


def timestamp(unix_ms: int) -> timestamp_pb2.Timestamp:
    """Unix ms as the wire has it."""
    return timestamp_pb2.Timestamp(seconds=unix_ms // 1000, nanos=unix_ms % 1000 * 1_000_000)


def _proof(message: policy_pb2.DecisionProof) -> Proof:
    return Proof(
        key_id=message.key_id,
        mac=message.mac,
        decision_id=message.decision_id,
        consent_id=message.consent_id,
        expires_at_ms=message.expires_at_ms,
    )


def _result_to_wire(result: Result) -> tools_pb2.Result:
    fallback = None
    if result.fallback:
        given = result.fallback
        fallback = tools_pb2.Fallback(kind=given.kind.value, message=given.message, age_ms=given.age_ms)
    return tools_pb2.Result(
        status=_STATUS[result.status],
        data_json=result.data_json,
        truncated=result.truncated,
        confidence=result.confidence,
        error_code=_CODE[result.error_code] if result.error_code else tools_pb2.ERROR_CODE_UNSPECIFIED,
        message=result.message,
        retryable=result.retryable,
        trace_id=result.trace_id,
        attempts=result.attempts,
        already_done=result.already_done,
        fallback=fallback,
        duration_ms=result.duration_ms,
        open_breakers=result.open_breakers,
        detail=result.detail,
    )


def _result_from_wire(message: tools_pb2.Result) -> Result:
    fallback = None
    if message.HasField("fallback"):
        given = message.fallback
        known = given.kind in {kind.value for kind in FallbackKind}
        kind = FallbackKind(given.kind) if known else FallbackKind.NONE
        fallback = FallbackGiven(kind, given.message, given.age_ms)
    return Result(
        # A status that this version does not know: nothing is claimed about the effect.
        status=_STATUS_BACK.get(message.status, Status.UNKNOWN_OUTCOME),
        data_json=message.data_json,
        truncated=message.truncated,
        confidence=message.confidence,
        error_code=_CODE_BACK.get(message.error_code),
        message=message.message,
        retryable=message.retryable,
        trace_id=message.trace_id,
        attempts=message.attempts,
        fallback=fallback,
        duration_ms=message.duration_ms,
        detail=message.detail,
    )


def _check_ids(**ids: str) -> None:
    for field, value in ids.items():
        if not _ID.fullmatch(value) or value == _RESERVED:
            raise InvalidInput("expected 1 to 128 letters, digits, '_' or '-'", field=field)
