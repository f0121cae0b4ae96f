"""Owns the conversion between the contracts' messages and the domain's types; everything is clipped on the
way in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.events.v1 import events_pb2 as ev_pb
from ringback_errors import InvalidInput

from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.events import Event, LateFact, Position
from ringback_memory.domain.limits import clip, clip_middle

LATE_MS_MAX = 2**53
_SLOTS_MAX = 64
_ITEMS_MAX = 1_024

_SIDE_EFFECTS = {1: "read", 2: "write", 3: "irreversible"}
_STATUSES = {1: "ok", 2: "failed", 3: "unknown", 4: "not_started"}
_READINGS = {1: "yes", 2: "no", 3: "correction", 4: "unclear", 5: "void"}
# The rest of a reply that went on is the model's own words again.
_SPEECH = {1: "reply", 2: "read_back", 3: "filler", 4: "notice", 5: "reply"}


def event_from_bytes(payload: bytes, *, tenant: str, session_id: str) -> Event:
    """The event of a message on a session's subject.

    Raises InvalidInput for bytes that are no event, an event of another session, or one without (epoch, seq).
    """
    message = ev_pb.SessionEvent()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise InvalidInput("payload: a SessionEvent expected") from error
    if (message.tenant, message.session_id) != (tenant, session_id):
        raise InvalidInput("session_id: the session that the subject names expected", field="session_id")
    if not (message.epoch and message.seq):
        raise InvalidInput("seq: epoch and seq from 1 expected", field="seq")
    return event_from_wire(message)


def event_from_wire(message: ev_pb.SessionEvent) -> Event:
    """The domain's form of one session event; a body that is not known becomes `Other`."""
    kind = message.WhichOneof("body")
    convert = _BODIES.get(kind) if kind else None
    body = convert(getattr(message, cast(str, kind))) if convert else ev.Other()
    return Event(
        position=Position(message.epoch, message.seq),
        at_ms=_ms(message.occurred_at),
        body=body,
        agent=_id(message.agent),
        schema_version=message.schema_version,
        size_bytes=min(message.ByteSize(), 2 * limits.RESULT_EVENT_BYTES_MAX),
    )


def late_fact_from_bytes(payload: bytes, *, service: str, tenant: str, session_id: str) -> LateFact:
    """The late fact of a message on a service's subject; raises InvalidInput as `event_from_bytes` does."""
    message = ev_pb.LateFact()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise InvalidInput("payload: a LateFact expected") from error
    if (message.producer, message.tenant, message.session_id) != (service, tenant, session_id):
        raise InvalidInput(
            "producer: the service and session that the subject names expected", field="producer"
        )
    if not message.producer_seq:
        raise InvalidInput("producer_seq: a number from 1 expected", field="producer_seq")
    kind = message.WhichOneof("body")
    outcome = _finished(getattr(message, kind)) if kind else None
    return LateFact(_id(message.producer), message.producer_seq, _ms(message.occurred_at), outcome)


def _started(b: ev_pb.SessionStarted) -> ev.Started:
    return ev.Started(_id(b.pack), _id(b.pack_digest), _id(b.bundle_digest), _id(b.caller_id))


def _caller(b: ev_pb.UserTurnEnded) -> ev.CallerSpoke:
    return ev.CallerSpoke(
        item_id=_id(b.item_id),
        text=clip_middle(b.text, limits.TURN_BYTES_MAX),
        confidence=_share(b.confidence) if b.HasField("confidence") else None,
        audio_ms=max(0, b.audio_end_ms - b.audio_start_ms),
        failed=b.transcription_failed,
        typed=b.typed,
    )


def _agent(b: ev_pb.AgentTurnEnded) -> ev.AgentSpoke:
    heard = clip_middle(b.heard, limits.TURN_BYTES_MAX)
    return ev.AgentSpoke(
        item_id=_id(b.item_id),
        said=heard if b.said == b.heard else clip_middle(b.said, limits.TURN_BYTES_MAX),
        heard=heard,
        audio_ms=b.audio_ms,
        heard_ms=b.heard_ms,
        kind=_SPEECH.get(b.kind, "reply"),
    )


def _interrupted(b: ev_pb.Interrupted) -> ev.Interrupted:
    return ev.Interrupted(_id(b.item_id), b.heard_ms)


def _requested(b: ev_pb.ActionRequested) -> ev.ActionRequested:
    return ev.ActionRequested(
        action_id=_id(b.action_id),
        call_id=_id(b.call_id),
        tool=_name(b.tool),
        arguments_json=_json(b.arguments_json, limits.ARGUMENTS_BYTES_MAX),
        side_effect=_SIDE_EFFECTS.get(b.side_effect, ""),
        attached=b.attached,
    )


def _decided(b: ev_pb.ActionDecided) -> ev.ActionDecided:
    return ev.ActionDecided(
        decision_id=_id(b.decision_id),
        gate=_name(b.gate),
        action_id=_id(b.action_id),
        tool=_name(b.tool),
        effect=_name(b.effect),
        rule=_name(b.rule),
        layer=_name(b.layer),
        reason=_label(b.reason),
        fallback=b.source == ev_pb.DECISION_SOURCE_FALLBACK,
    )


def _progressed(b: ev_pb.ActionProgressed) -> ev.ActionProgressed:
    return ev.ActionProgressed(_id(b.action_id), _name(b.stage), b.attempt)


def _finished(b: ev_pb.ActionFinished) -> ev.ActionFinished:
    return ev.ActionFinished(
        action_id=_id(b.action_id),
        tool=_name(b.tool),
        status=_STATUSES.get(b.status, "unknown"),
        result_json=_json(b.result_json, limits.RESULT_EVENT_BYTES_MAX),
        error_code=_name(b.error_code),
        message=_label(b.message),
        arguments_json=_json(b.arguments_json, limits.ARGUMENTS_BYTES_MAX),
        side_effect=_SIDE_EFFECTS.get(b.side_effect, ""),
    )


def _asked(b: ev_pb.ConsentAsked) -> ev.ConsentAsked:
    return ev.ConsentAsked(
        _id(b.consent_id), _id(b.action_id), _label(b.read_back), _ms(b.expires_at), b.round
    )


def _answered(b: ev_pb.ConsentAnswered) -> ev.ConsentAnswered:
    return ev.ConsentAnswered(
        consent_id=_id(b.consent_id),
        action_id=_id(b.action_id),
        reading=_READINGS.get(b.reading, "unclear"),
        utterance=_label(b.utterance),
        confidence=_share(b.confidence) if b.HasField("confidence") else None,
    )


def _facts(b: ev_pb.FactsFetched) -> ev.FactsFetched:
    return ev.FactsFetched(
        name=_name(b.name),
        tool=_name(b.tool),
        arguments_json=_json(b.arguments_json, limits.ARGUMENTS_BYTES_MAX),
        value_json=_json(b.value_json, limits.RESULT_EVENT_BYTES_MAX),
        ttl_ms=b.ttl_ms,
    )


def _slots(b: ev_pb.SlotsChanged) -> ev.SlotsChanged:
    return ev.SlotsChanged(
        tuple(
            ev.SlotNote(
                _name(s.name),
                _json(s.value_json, limits.SLOT_VALUE_BYTES_MAX),
                _name(s.source),
                _share(s.confidence),
                min(s.ttl_ms, LATE_MS_MAX),
            )
            for s in b.slots[:_SLOTS_MAX]
        )
    )


def _task_opened(b: ev_pb.TaskOpened) -> ev.TaskOpened:
    return ev.TaskOpened(
        task_id=_id(b.task_id),
        title=_label(b.title),
        kind=_name(b.kind) or "request",
        owed_by=_name(b.owed_by) or "agent",
        reason=_label(b.reason),
        action_id=_id(b.action_id),
    )


def _task_closed(b: ev_pb.TaskClosed) -> ev.TaskClosed:
    return ev.TaskClosed(_id(b.task_id), _name(b.outcome) or "done")


def _handed_off(b: ev_pb.HandedOff) -> ev.HandedOff:
    return ev.HandedOff(_id(b.from_agent), _id(b.to_agent), _label(b.reason))


def _handoff_refused(b: ev_pb.HandoffRefused) -> ev.HandoffRefused:
    return ev.HandoffRefused(_id(b.from_agent), _id(b.asked_for), _name(b.outcome))


def _consulted(b: ev_pb.Consulted) -> ev.Consulted:
    return ev.Consulted(_id(b.agent), _name(b.outcome))


def _escalated(b: ev_pb.EscalatedToPerson) -> ev.Escalated:
    return ev.Escalated(_label(b.reason), _name(b.rule))


def _compacted(b: ev_pb.ContextCompacted) -> ev.Compacted:
    return ev.Compacted(
        epoch=b.compaction_epoch,
        covers=Position(b.covers_epoch, b.covers_seq),
        item_ids=tuple(_id(one) for one in b.item_ids[:_ITEMS_MAX]),
        call_ids=tuple(_id(one) for one in b.call_ids[:_ITEMS_MAX]),
        summary=clip(b.summary, limits.SUMMARY_BYTES_MAX),
    )


def _rotated(b: ev_pb.ModelRotated) -> ev.Rotated:
    return ev.Rotated(_label(b.reason), b.generation)


def _resumed(b: ev_pb.SessionResumed) -> ev.Resumed:
    return ev.Resumed(b.previous_epoch)


def _ended(b: ev_pb.SessionEnded) -> ev.Ended:
    return ev.Ended(_name(b.reason))


def _id(text: str) -> str:
    return clip(text, limits.ID_BYTES_MAX)


def _name(text: str) -> str:
    return clip(text, limits.NAME_BYTES_MAX)


def _label(text: str) -> str:
    return clip(text, limits.LABEL_BYTES_MAX)


def _json(text: str, bytes_max: int) -> str:
    """Half a JSON value is none: what is too long is left out."""
    return text if len(text) <= bytes_max and len(text.encode("utf-8", "replace")) <= bytes_max else ""


def _share(value: float) -> float:
    return min(1.0, max(0.0, value)) if value == value else 0.0


def _ms(stamp: Timestamp) -> int:
    return max(0, min(LATE_MS_MAX, stamp.seconds * 1000 + stamp.nanos // 1_000_000))


_BODIES = cast(
    dict[str, Callable[[Any], ev.Body]],
    {
        "session_started": _started,
        "user_turn_ended": _caller,
        "agent_turn_ended": _agent,
        "interrupted": _interrupted,
        "action_requested": _requested,
        "action_decided": _decided,
        "action_progressed": _progressed,
        "action_finished": _finished,
        "consent_asked": _asked,
        "consent_answered": _answered,
        "facts_fetched": _facts,
        "slots_changed": _slots,
        "task_opened": _task_opened,
        "task_closed": _task_closed,
        "handed_off": _handed_off,
        "handoff_refused": _handoff_refused,
        "consulted": _consulted,
        "escalated_to_person": _escalated,
        "context_compacted": _compacted,
        "model_rotated": _rotated,
        "session_resumed": _resumed,
        "session_ended": _ended,
    },
)
