"""Owns the messages that go out: answers in the contract's types."""

from __future__ import annotations

from ringback.memory.v1 import memory_pb2 as pb

from ringback_memory.domain.context import ranked_slots
from ringback_memory.domain.entities import newest_entities
from ringback_memory.domain.freshness import Stale
from ringback_memory.domain.state import Action, Entity, Slot, Task, Turn, open_tasks, pending_actions
from ringback_memory.usecases.get_context import Answer
from ringback_memory.usecases.get_handoff import PacketAnswer
from ringback_memory.usecases.planning import Plan
from ringback_memory.wire.callers import recall_to_wire


def context_to_wire(answer: Answer) -> pb.GetContextResponse:
    """GetContext's answer. Tasks, pending actions, slots and corrections are whole; turns are those in the
    text.
    """
    view, context, state = answer.view, answer.context, answer.view.state
    return pb.GetContextResponse(
        as_of_epoch=view.watermark.epoch,
        as_of_seq=view.watermark.seq,
        text=context.text,
        tokens=context.tokens,
        tasks=map(_task, open_tasks(state)),
        pending_actions=map(_pending, pending_actions(state)),
        slots=(_slot(slot, answer.now_ms) for slot in ranked_slots(state, now_ms=answer.now_ms)),
        summary=state.summary.text,
        summary_epoch=state.summary_epoch,
        turns=map(_turn, context.turns),
        corrections=state.corrections,
        left_out=context.left_out,
        plan=_plan(answer.plan) if answer.plan else None,
        needed_tokens=context.needed_tokens,
        unverified_ms=view.unverified_ms,
        stale_slots=(_stale(one, answer.now_ms) for one in answer.stale),
        entities=map(_entity, newest_entities(state)),
        caller=recall_to_wire(answer.recall) if answer.recall else None,
    )


def packet_to_wire(answer: PacketAnswer, *, tenant: str, session_id: str) -> pb.GetHandoffPacketResponse:
    """GetHandoffPacket's answer."""
    view, packet = answer.view, answer.packet
    return pb.GetHandoffPacketResponse(
        packet=pb.HandoffPacket(
            session_id=session_id,
            tenant=tenant,
            caller_id=view.state.caller_id,
            reason=packet.reason,
            as_of_epoch=view.watermark.epoch,
            as_of_seq=view.watermark.seq,
            summary=packet.summary,
            slots=(_slot(slot, answer.now_ms) for slot in packet.slots),
            tasks=map(_task, packet.tasks),
            actions=map(_report, packet.actions),
            decisions=(
                pb.DecisionReport(
                    decision_id=one.decision_id,
                    gate=one.gate,
                    tool=one.tool,
                    effect=one.effect,
                    rule=one.rule,
                    layer=one.layer,
                )
                for one in packet.decisions
            ),
            pending_consents=(
                pb.PendingConsent(consent_id=one.consent_id, action_id=one.action_id, read_back=one.read_back)
                for one in packet.consents
            ),
            turns=map(_turn, packet.turns),
            promises=packet.promises,
            left_out=packet.left_out,
            entities=map(_entity, packet.entities),
        )
    )


def _plan(plan: Plan) -> pb.CompactionPlan:
    return pb.CompactionPlan(
        epoch=plan.cut.epoch,
        covers_epoch=plan.cut.covers.epoch,
        covers_seq=plan.cut.covers.seq,
        item_ids=plan.cut.item_ids,
        call_ids=plan.cut.call_ids,
        compact_context=plan.compact_context,
        summary=plan.written.text,
        summariser=plan.written.by,
    )


def _stale(one: Stale, now_ms: int) -> pb.StaleSlot:
    return pb.StaleSlot(
        name=one.slot.name,
        age_ms=max(0, now_ms - one.slot.at_ms),
        ttl_ms=one.slot.ttl_ms,
        refresh_tool=one.tool,
        refresh_arguments_json=one.arguments_json,
        fact=one.fact,
    )


def _entity(one: Entity) -> pb.Entity:
    return pb.Entity(
        name=one.name,
        kind=one.kind,
        mentions=one.mentions,
        epoch=one.position.epoch,
        seq=one.position.seq,
    )


def _slot(slot: Slot, now_ms: int) -> pb.Slot:
    return pb.Slot(
        name=slot.name,
        value_json=slot.value_json,
        normalised=slot.normalised,
        source=slot.source,
        source_epoch=slot.position.epoch,
        source_seq=slot.position.seq,
        confidence=slot.confidence,
        age_ms=max(0, now_ms - slot.at_ms),
        ttl_ms=slot.ttl_ms,
        stale=slot.stale(now_ms),
        superseded_json=(old.value_json for old in slot.superseded),
    )


def _task(task: Task) -> pb.Task:
    return pb.Task(
        task_id=task.task_id,
        title=task.title,
        kind=task.kind,
        status=task.status,
        owed_by=task.owed_by,
        evidence=task.evidence,
        action_id=task.action_id,
    )


def _pending(action: Action) -> pb.PendingAction:
    return pb.PendingAction(
        action_id=action.action_id,
        tool=action.tool,
        arguments_json=action.arguments_json,
        status=action.status,
        consent_id=action.consent_id,
    )


def _report(action: Action) -> pb.ActionReport:
    open_but_known = action.is_open and action.status != "unknown"
    return pb.ActionReport(
        action_id=action.action_id,
        tool=action.tool,
        arguments_json=action.arguments_json,
        status="open" if open_but_known else action.status,
        message=action.message,
        result_json=action.result_json,
    )


def _turn(turn: Turn) -> pb.Turn:
    return pb.Turn(
        speaker=turn.speaker,
        text=turn.text,
        epoch=turn.position.epoch,
        seq=turn.position.seq,
        item_id=turn.item_id,
    )
