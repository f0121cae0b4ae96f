"""Where the model is to put the client's items, and which of them it is not told of yet.

The model holds fewer items than the client sees: our own words are not in its conversation, and what the client's own
tools returned comes there only when policy has let it pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback_realtime import ROOT, Item, ItemList

from ringback_session.domain.effects import Forget, Note, ReturnResult, TruncateItem
from ringback_session.domain.inputs import ItemDeleted
from ringback_session.domain.state import CallState
from ringback_session.views.model import ModelView
from ringback_session.views.out import Out
from ringback_session.views.showing import Showing

__all__ = ["Placing"]


class Placing:
    """Puts items of the client's list into the model's conversation."""

    def __init__(self, state: CallState, *, items: ItemList, shown: Showing, model: ModelView) -> None:
        self._state = state
        self._items = items
        self._shown = shown
        self._model = model
        self._withheld: set[str] = set()

    def resumed(self) -> None:
        """What the owner before withheld still is."""
        self._withheld = {held.item_id for held in self._state.client_outputs}

    def rebuilt(self) -> None:
        """The model's conversation was built again, from the core's history: it holds no other items."""
        held = {entry.item_id for entry in self._state.history if entry.text or entry.kind != "message"}
        self._shown.apart |= {item.id for item in self._items if item.id not in held}

    def withholds(self, item: Item) -> bool:
        """Is the model not told of it before policy has judged it? From now on, then.

        A call that was answered in the client's place has its output: the model hears of this one in other words.
        """
        if item.type != "function_call_output":
            return False
        judged, lost = self._state.rules.result_gate != "off", item.call_id in self._state.lost_calls
        if judged or lost:
            self._shown.apart.add(item.id)
        if judged:
            self._withheld.add(item.id)
        return judged or lost

    def deleted(self, item_id: str, out: Out) -> None:
        """The client has taken it back."""
        if item_id not in self._shown.apart:
            out.model.append(self._model.delete(item_id))
        self._shown.apart.discard(item_id)
        out.inputs.append(ItemDeleted(item_id=item_id))

    def told(self, effect: TruncateItem | Note | Forget | ReturnResult, out: Out) -> None:
        """What changes in the model's conversation; a result that the client brought goes where the client put it."""
        if not isinstance(effect, ReturnResult) or effect.item_id not in self._withheld:
            out.model.extend(self._model.told(effect))
            if isinstance(effect, Forget):
                self._shown.apart.update(gone for gone in effect.item_ids if gone in self._items)
            elif isinstance(effect, Note):
                self._shown.apart.discard(effect.item_id)
            return
        self._withheld.discard(effect.item_id)
        if effect.item_id not in self._items:
            # The client took it back while it was judged.
            return
        self._shown.apart.discard(effect.item_id)
        last = effect.item_id == self._items.last_id
        previous = None if last else self.place(self._items.previous_id(effect.item_id) or ROOT)
        out.model.extend(self._model.told(effect, previous))

    def inlined(self, response: Mapping[str, Any]) -> dict[str, Any]:
        """A response's parameters, with items that the model does not hold in place of references to them."""
        given = response.get("input")
        if not isinstance(given, list):
            return dict(response)
        return {**response, "input": [self._inlined(entry) for entry in given]}

    def _inlined(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        item = self._items.get(str(entry.get("id"))) if entry.get("type") == "item_reference" else None
        if item is None or item.id not in self._shown.apart:
            return entry
        if item.type == "message":
            part = "output_text" if item.role == "assistant" else "input_text"
            return {"type": "message", "role": item.role, "content": [{"type": part, "text": item.text}]}
        return {
            name: value for name, value in item.to_wire().items() if name not in ("id", "object", "status")
        }

    def place(self, previous_item_id: str | None) -> str | None:
        """Behind which item the model is to put what the client puts behind this one; None: at the end."""
        if previous_item_id in (None, ROOT) or previous_item_id not in self._items:
            return previous_item_id
        if previous_item_id == self._items.last_id:
            return None
        ids = [item.id for item in self._items]
        before = ids[: ids.index(previous_item_id) + 1]
        return next((item_id for item_id in reversed(before) if item_id not in self._shown.apart), ROOT)
