"""Turns a fact from the EVENTS or CONTROL stream into a line for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from ringback.events.v1 import events_pb2 as pb

__all__ = ["FactLine", "control_line", "cost", "event_line", "fact_as_json"]

_TEXT_MAX = 400
_VALUE_MAX = 120


@dataclass(frozen=True)
class FactLine:
    """`topic` groups lines for colour: caller, agent, decision, action, consent, memory, person, session."""

    topic: str
    who: str
    text: str
    detail: str = ""


def event_line(event: pb.SessionEvent) -> FactLine:
    """The line of one session event; an event that this version does not know keeps its name."""
    name = event.WhichOneof("body") or "unknown"
    describe = _EVENTS.get(name)
    if describe is None:
        return FactLine("session", name, "")
    return describe(getattr(event, name))


def control_line(fact: pb.ControlFact) -> FactLine:
    """The line of a fact of no session."""
    name = fact.WhichOneof("body") or "unknown"
    body: Any = getattr(fact, name) if name != "unknown" else fact
    match name:
        case "breaker_opened":
            return FactLine(
                "action", "breaker", f"opened for {body.dependency}", f"{body.open_ms} ms, {body.reason}"
            )
        case "breaker_closed":
            return FactLine("action", "breaker", f"closed for {body.dependency}")
        case "operator_acted":
            line = _operator(body)
            where = body.session_id or body.replica
            return FactLine(
                line.topic, line.who, f"{where}: {line.text}", f"{line.detail} {body.outcome}".strip()
            )
        case "budget_crossed":
            return _budget(body)
        case "bundle_activated":
            return FactLine("session", "bundle", f"{body.pack} {short(body.bundle_digest)} is active")
        case _:
            return FactLine("session", name, json.dumps(_as_dict(body))[:_TEXT_MAX])


def fact_as_json(fact: Message) -> dict[str, Any]:
    """The whole fact as plain data, for JSONL files."""
    return _as_dict(fact)


def short(digest: str) -> str:
    """The first characters of a digest."""
    return digest.removeprefix("sha256:")[:12]


def _as_dict(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return plain


def _enum(message: Message, field: str, prefix: str) -> str:
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    assert descriptor.enum_type is not None
    value = descriptor.enum_type.values_by_number.get(getattr(message, field))
    return value.name.removeprefix(prefix).lower().replace("_", " ") if value else "?"


def _session_started(body: pb.SessionStarted) -> FactLine:
    return FactLine(
        "session",
        "call",
        f"started: pack {body.pack} {short(body.pack_digest)}, bundle {short(body.bundle_digest)}",
    )


def _user_turn(body: pb.UserTurnEnded) -> FactLine:
    if body.transcription_failed:
        return FactLine("caller", "heard", "(not understood)")
    sure = (
        f"confidence {body.confidence:.2f}" if body.HasField("confidence") else "typed" if body.typed else ""
    )
    return FactLine("caller", "heard", f"“{body.text.strip()}”", sure)


def _agent_turn(body: pb.AgentTurnEnded) -> FactLine:
    kind = _enum(body, "kind", "SPEECH_KIND_")
    cut = ""
    if not body.heard.strip():
        cut = "not heard"
    elif body.heard.strip() != body.said.strip():
        cut = f"heard only “{body.heard.strip()}”"
    wait = f"first audio {body.first_audio_ms} ms" if body.first_audio_ms else ""
    detail = ", ".join(part for part in ("" if kind == "reply" else kind, wait, cut) if part)
    return FactLine("agent", "agent", f"“{body.said.strip()}”", detail)


def _interrupted(body: pb.Interrupted) -> FactLine:
    return FactLine("caller", "caller", "interrupts", f"after {body.heard_ms} ms of the agent's words")


def _turn_rule(body: pb.TurnRuleApplied) -> FactLine:
    parts = (
        body.reason.replace("_", " "),
        f"“{body.text.strip()}”" if body.text.strip() else "",
        f"{body.count} of at most {body.limit}" if body.limit else "",
        f"after {body.wait_ms} ms" if body.wait_ms else "",
    )
    topic = "caller" if body.rule in ("backchannel", "resume") else "agent"
    return FactLine(
        topic, "turns", f"{body.rule.replace('_', ' ')}: {body.outcome}", ", ".join(filter(None, parts))
    )


def _action_requested(body: pb.ActionRequested) -> FactLine:
    effect = _enum(body, "side_effect", "SIDE_EFFECT_")
    return FactLine(
        "action", "model", f"asks for {body.tool}({_arguments(body.arguments_json)})",
        effect + (", joins the open action" if body.attached else ""),
    )  # fmt: skip


def _action_decided(body: pb.ActionDecided) -> FactLine:
    source = ", FALLBACK" if body.source == pb.DECISION_SOURCE_FALLBACK else ""
    subject = body.tool or body.gate.lower()
    return FactLine(
        "decision", "policy", f"{body.effect} {subject}: rule {body.rule or '-'} (layer {body.layer or '-'})",
        f"{body.reason}; {body.wait_ms:.1f} ms{source}".lstrip("; "),
    )  # fmt: skip


def _facts_fetched(body: pb.FactsFetched) -> FactLine:
    return FactLine("decision", "fact", f"{body.name} from {body.tool}", _clipped(body.value_json))


def _consent_asked(body: pb.ConsentAsked) -> FactLine:
    return FactLine("consent", "consent", f"asked (round {body.round})", f"“{body.read_back.strip()}”")


def _consent_answered(body: pb.ConsentAnswered) -> FactLine:
    reading = _enum(body, "reading", "CONSENT_READING_").upper()
    return FactLine("consent", "consent", f"{reading}: “{body.utterance.strip()}”", body.reason)


def _action_progressed(body: pb.ActionProgressed) -> FactLine:
    attempt = f" {body.attempt}" if body.attempt else ""
    return FactLine("action", "tools", f"{body.stage or 'progress'}{attempt}", body.message)


def _action_finished(body: pb.ActionFinished) -> FactLine:
    status = _enum(body, "status", "ACTION_STATUS_").upper()
    outcome = body.error_code or _clipped(body.result_json)
    return FactLine(
        "action", "tools", f"{body.tool}: {status} {outcome}".rstrip(),
        f"{body.attempts} attempt(s), {body.duration_ms / 1000:.1f} s after it was asked for"
        + (f"; “{body.message.strip()}”" if body.message else ""),
    )  # fmt: skip


def _handed_off(body: pb.HandedOff) -> FactLine:
    instead = f" instead of {body.asked_for}" if body.outcome == "fell_back" else ""
    return FactLine("person", "handoff", f"{body.from_agent} → {body.to_agent}{instead}", body.reason)


def _handoff_refused(body: pb.HandoffRefused) -> FactLine:
    return FactLine(
        "person", "handoff", f"{body.from_agent} stays, not {body.asked_for}: {body.outcome}", body.reason
    )


def _consulted(body: pb.Consulted) -> FactLine:
    steps = f"{body.steps} step(s), {body.calls} call(s), {body.duration_ms / 1000:.1f} s"
    return FactLine("action", "supervisor", f"{body.agent}: {body.outcome}", f"“{body.question}”; {steps}")


def _escalated(body: pb.EscalatedToPerson) -> FactLine:
    size = len(body.packet_json)
    return FactLine(
        "person", "person", f"takes over: {body.reason}", f"rule {body.rule}, packet of {size} bytes"
    )


def _slots(body: pb.SlotsChanged) -> FactLine:
    values = ", ".join(f"{slot.name} = {slot.value_json} ({slot.source})" for slot in body.slots)
    return FactLine("memory", "memory", f"slots: {values}")


def _task_opened(body: pb.TaskOpened) -> FactLine:
    return FactLine(
        "memory", "memory", f"task opened: {body.title}", f"{body.kind} owed by {body.owed_by}; {body.reason}"
    )


def _task_closed(body: pb.TaskClosed) -> FactLine:
    return FactLine("memory", "memory", f"task {body.task_id} closed: {body.outcome}")


def _compacted(body: pb.ContextCompacted) -> FactLine:
    return FactLine("memory", "memory", f"context compacted: {len(body.item_ids)} items")


def _rotated(body: pb.ModelRotated) -> FactLine:
    return FactLine("session", "model", f"connection {body.generation}", body.reason)


def _resumed(body: pb.SessionResumed) -> FactLine:
    return FactLine("session", "call", f"taken over by {body.owner}", f"epoch before: {body.previous_epoch}")


def _ended(body: pb.SessionEnded) -> FactLine:
    return FactLine("session", "call", f"ended: {body.reason}", f"{body.turns} turns")


def _clipped(text: str) -> str:
    return text if len(text) <= _VALUE_MAX else text[: _VALUE_MAX - 1] + "…"


def _arguments(text: str) -> str:
    try:
        return ", ".join(f"{key}={value!r}" for key, value in json.loads(text or "{}").items())
    except (ValueError, AttributeError):
        return text[:_TEXT_MAX]


def _used(body: pb.UsageReported) -> FactLine:
    names = [
        field.name for field in body.DESCRIPTOR.fields if field.name.endswith(("_in", "_cached", "_out"))
    ]
    used = ", ".join(f"{name.replace('_', ' ')} {count}" for name in names if (count := getattr(body, name)))
    if body.audio_ms:
        used = f"{used}, {body.audio_ms} ms of audio".removeprefix(", ")
    return FactLine("session", "usage", f"{body.model or 'unknown model'}: {used or 'nothing'}", cost(body))


def cost(body: Any) -> str:
    """What something cost, as far as that is known."""
    dollars = f"${body.cost_nano_usd / 1e9:.6f}".rstrip("0").rstrip(".")
    if not body.unpriced:
        return dollars
    return f"at least {dollars}, the rest unknown" if body.cost_nano_usd else "cost unknown"


def _budget(body: pb.BudgetCrossed) -> FactLine:
    whose = f"tenant {body.tenant}" if body.tenant else body.scope or "session"
    spent = f"${body.cost_nano_usd / 1e9:.4f}, {body.tokens} tokens"
    return FactLine("session", "budget", f"{body.level or 'a'} limit of the {whose} reached", spent)


def _operator(body: pb.OperatorActed) -> FactLine:
    text = body.action.replace("_", " ") or "acted"
    if body.detail:
        text += f" “{body.detail}”"
    detail = ", ".join(part for part in (body.actor, body.reason) if part)
    return FactLine("person", "operator", text, detail)


_EVENTS: dict[str, Callable[[Any], FactLine]] = {
    "session_started": _session_started,
    "user_turn_ended": _user_turn,
    "agent_turn_ended": _agent_turn,
    "interrupted": _interrupted,
    "turn_rule_applied": _turn_rule,
    "action_requested": _action_requested,
    "action_decided": _action_decided,
    "facts_fetched": _facts_fetched,
    "consent_asked": _consent_asked,
    "consent_answered": _consent_answered,
    "action_progressed": _action_progressed,
    "action_finished": _action_finished,
    "handed_off": _handed_off,
    "handoff_refused": _handoff_refused,
    "consulted": _consulted,
    "escalated_to_person": _escalated,
    "slots_changed": _slots,
    "task_opened": _task_opened,
    "task_closed": _task_closed,
    "context_compacted": _compacted,
    "model_rotated": _rotated,
    "session_resumed": _resumed,
    "session_ended": _ended,
    "usage_reported": _used,
    "budget_crossed": _budget,
    "operator_acted": _operator,
}
