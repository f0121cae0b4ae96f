"""What earlier calls of this caller left: asked for once at the start, put at the head of the conversation."""

from __future__ import annotations

from typing import Final

from ringback_session.domain.effects import Note, Persist, Recall
from ringback_session.domain.inputs import Recalled
from ringback_session.domain.state import HistoryItem
from ringback_session.domain.step import Step

__all__ = ["RECALL", "ask", "recalled"]

# Marks the item at the head; a compact context takes its place later, which says the same.
RECALL: Final = "recall"
BUDGET_TOKENS: Final = 300


def ask(step: Step) -> None:
    """Have it looked up, if anybody knows who the caller is. The call does not wait for it."""
    state = step.state
    if state.caller_id:
        step.effects.append(Recall(min_epoch=state.epoch, min_seq=state.seq, budget_tokens=BUDGET_TOKENS))


def recalled(step: Step, event: Recalled) -> None:
    """It is here. The caller agreed to be remembered, else memory would have said nothing."""
    state = step.state
    if not event.text or state.ended or any(entry.name == RECALL for entry in state.history):
        return
    head = HistoryItem(
        item_id=state.new_id("item_"), kind="message", role="system", text=event.text, name=RECALL
    )
    state.history.insert(0, head)
    step.effects.append(Note(item_id=head.item_id, role="system", text=event.text, at_head=True))
    step.effects.append(Persist())
