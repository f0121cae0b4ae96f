"""Applying a plan of memory to the model's conversation: at a turn boundary, once, or not at all."""

from __future__ import annotations

from ringback_session.domain.effects import Forget, Note, Persist
from ringback_session.domain.functions import is_platform_function
from ringback_session.domain.inputs import CompactionPlan, ContextArrived
from ringback_session.domain.recalling import RECALL
from ringback_session.domain.recovery import idle
from ringback_session.domain.state import HistoryItem
from ringback_session.domain.step import Step

__all__ = ["context_arrived"]

# Marks the item that holds the compact context.
COMPACT = "compact_context"


def context_arrived(step: Step, event: ContextArrived) -> None:
    """Take memory's slots; apply its plan if it fits what the model's conversation is now."""
    state = step.state
    if event.as_of >= state.known.as_of:
        # Answers may overtake one another: an older one tells nothing new.
        state.slots = {slot.name: slot for slot in event.slots}
    plan = event.plan
    if plan is None or plan.epoch != state.applied_epoch + 1 or event.as_of < state.rebuilt_at:
        return
    # Not a boundary: the next turn's end offers the plan again.
    if idle(state) and not state.caller_speaking and state.open_consent() is None:
        _apply(step, plan)


def _apply(step: Step, plan: CompactionPlan) -> None:
    state = step.state
    state.applied_epoch = plan.epoch
    spent = _spent_functions(state.history, plan)
    going = [entry for entry in state.history if _covered(entry, plan) or entry.call_id in spent]
    kept = [entry for entry in state.history if not (_covered(entry, plan) or entry.call_id in spent)]
    head = HistoryItem(
        item_id=state.new_id("item_"),
        kind="message",
        role="system",
        text=plan.compact_context,
        name=COMPACT,
    )
    state.history = [head, *kept]
    # Items that the bounded history has dropped are still in the model's conversation.
    known = {entry.item_id for entry in going} | {entry.said_as for entry in going}
    ids = [entry.item_id for entry in going] + [item for item in plan.item_ids if item not in known]
    step.effects.append(Forget(item_ids=tuple(ids)))
    step.effects.append(Note(item_id=head.item_id, role="system", text=head.text, at_head=True))
    step.publish(
        "context_compacted",
        compaction_epoch=plan.epoch,
        covers_epoch=plan.covers_epoch,
        covers_seq=plan.covers_seq,
        item_ids=list(plan.item_ids),
        call_ids=list(plan.call_ids),
        summary=plan.summary,
    )
    state.rebuilt_at = (state.epoch, state.seq)
    step.effects.append(Persist())


def _spent_functions(history: list[HistoryItem], plan: CompactionPlan) -> set[str]:
    """Answered calls of the platform's own functions that are older than what goes: memory does not know of them."""
    last = max((place for place, entry in enumerate(history) if _covered(entry, plan)), default=0)
    older = history[:last]
    called = {
        entry.call_id for entry in older if entry.kind == "function_call" and is_platform_function(entry.name)
    }
    return {entry.call_id for entry in older if entry.kind == "function_call_output"} & called


def _covered(entry: HistoryItem, plan: CompactionPlan) -> bool:
    if entry.kind == "message":
        # The compact context of the plan before is folded into this one's, as is what earlier calls left.
        known_as = {entry.item_id, entry.said_as}
        return entry.name in (COMPACT, RECALL) or not known_as.isdisjoint(plan.item_ids)
    return entry.call_id in plan.call_ids
