"""Owns the messages about callers: what is kept of them, and what became of it."""

from __future__ import annotations

from ringback.memory.v1 import memory_pb2 as pb

from ringback_memory.domain import callers
from ringback_memory.domain.callers import Caller, Outcome, OwedTask, Preference, Recall
from ringback_memory.usecases.forgetting import Erasure

_CONSENTS = {
    callers.GIVEN: pb.CALLER_CONSENT_GIVEN,
    callers.REFUSED: pb.CALLER_CONSENT_REFUSED,
}
_CONSENTS_IN = {wire: name for name, wire in _CONSENTS.items()}


def consent_from_wire(value: int) -> str:
    """The domain's word for a consent; empty for none."""
    return _CONSENTS_IN.get(value, callers.UNKNOWN)  # type: ignore[call-overload, no-any-return]


def caller_to_wire(caller: Caller, *, retention_ms: int) -> pb.CallerRecord:
    """All that is kept of a caller."""
    known = callers.recall(caller)
    newest_ms = max((one.at_ms for one in caller.calls), default=0)
    return pb.CallerRecord(
        tenant=caller.tenant,
        caller_id=caller.caller_id,
        consent=_CONSENTS.get(caller.consent, pb.CALLER_CONSENT_UNSPECIFIED),
        consent_at_ms=caller.consent_at_ms,
        consent_source=caller.consent_source,
        calls=len(caller.calls),
        preferences=map(_preference, known.preferences),
        unresolved_tasks=map(_task, known.tasks),
        last_outcomes=map(_outcome, known.outcomes),
        session_ids=(one.session_id for one in caller.calls),
        updated_ms=max(newest_ms, caller.consent_at_ms),
        expires_ms=newest_ms + retention_ms if newest_ms else 0,
    )


def recall_to_wire(known: Recall) -> pb.CallerRecall:
    """What earlier calls left."""
    return pb.CallerRecall(
        calls=known.calls,
        preferences=map(_preference, known.preferences),
        unresolved_tasks=map(_task, known.tasks),
        last_outcomes=map(_outcome, known.outcomes),
    )


def erasure_to_wire(erasure: Erasure) -> pb.ForgetCallerResponse:
    """What became of a caller's traces."""
    return pb.ForgetCallerResponse(
        places=(
            pb.ErasedPlace(place=one.place, found=one.found, removed=one.removed, left=one.left)
            for one in erasure.places
        ),
        session_ids=erasure.session_ids,
        live_session_ids=erasure.live_session_ids,
        complete=erasure.complete,
    )


def _preference(one: Preference) -> pb.Preference:
    return pb.Preference(name=one.name, value_json=one.value_json, at_ms=one.at_ms, session_id=one.session_id)


def _task(one: OwedTask) -> pb.CallerTask:
    return pb.CallerTask(
        task_id=one.task_id,
        session_id=one.session_id,
        title=one.title,
        kind=one.kind,
        status=one.status,
        owed_by=one.owed_by,
        at_ms=one.at_ms,
    )


def _outcome(one: Outcome) -> pb.CallerOutcome:
    return pb.CallerOutcome(
        action_id=one.action_id,
        session_id=one.session_id,
        tool=one.tool,
        arguments_json=one.arguments_json,
        status=one.status,
        message=one.message,
        at_ms=one.at_ms,
    )
