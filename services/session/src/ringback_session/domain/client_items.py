"""What is put into the conversation, or taken out of it, by others than the model: its place in the core's history.

The model's conversation is built again from that history: what stands there in another order, or still stands there,
would show.
"""

from __future__ import annotations

from ringback_session.domain.effects import Forget, Persist
from ringback_session.domain.inputs import ItemDeleted, ItemNoted
from ringback_session.domain.state import TEXT_CHARS_MAX, CallState, HistoryItem
from ringback_session.domain.step import Step

__all__ = ["HEAD", "deleted", "noted", "put", "said"]

# Before all that was said so far.
HEAD = "root"


def noted(step: Step, event: ItemNoted) -> None:
    """An item of the client's that is no utterance, or one of the model's that needs nothing done."""
    put(step.state, event.item, behind=event.behind)
    if event.item.kind == "function_call_output":
        # The client did something and will not say so again.
        step.effects.append(Persist())


def deleted(step: Step, event: ItemDeleted) -> None:
    """The client took an item out of the conversation. Our own words the model was told under another id."""
    state = step.state
    gone = [entry for entry in state.history if event.item_id in (entry.item_id, entry.said_as)]
    if not gone:
        return
    state.history = [entry for entry in state.history if entry not in gone]
    told = tuple(entry.item_id for entry in gone if entry.said_as)
    if told:
        step.effects.append(Forget(item_ids=told))
    step.effects.append(Persist())


def put(state: CallState, item: HistoryItem, *, behind: str = "") -> None:
    """Keep an item at its place: behind the item of that id, at the head, or at the end."""
    state.remember(item)
    if not behind or state.history[-1] is not item:
        return
    state.history.pop()
    at = len(state.history)
    if behind == HEAD:
        at = sum(entry.at_head for entry in state.history)
    else:
        found = (n for n, entry in enumerate(state.history) if behind in (entry.item_id, entry.said_as))
        at = next(found, at - 1) + 1
    state.history.insert(at, item)


def said(state: CallState, item_id: str, text: str, *, behind: str = "") -> None:
    """The words of an item of the caller's, which has its place since its audio was committed."""
    known = next((entry for entry in reversed(state.history) if entry.item_id == item_id), None)
    if known is None:
        put(state, HistoryItem(item_id=item_id, kind="message", role="user", text=text), behind=behind)
    else:
        known.text = text[:TEXT_CHARS_MAX]
