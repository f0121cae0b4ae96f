"""What the client gets to see of a response: its frames in the documented order, and its items in the client's list.

Audio payloads go through verbatim: only indices around them are rewritten, where they differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ringback_realtime import EventHead, Item, ItemList, ProtocolError, ServerEvents, splice_ids

from ringback_session.views.cuts import Cuts
from ringback_session.views.out import Out
from ringback_session.views.route import Route, cut_item, response_of

__all__ = ["Showing"]


class Showing:
    """Shows responses to one client."""

    def __init__(self, *, events: ServerEvents, items: ItemList, conversation_id: str) -> None:
        self._events = events
        self._items = items
        self._conversation_id = conversation_id
        self.cuts = Cuts(items)
        self.audio_started = False
        # Items that the client sees and the model's conversation does not hold.
        self.apart: set[str] = set()
        # What the client sees as active; and calls that wait for its end, at most one of each open action.
        self._active: list[Route] = []
        self._calls: list[tuple[str, str, str]] = []

    def client_call(self, call_id: str, name: str, arguments: str, out: Out) -> None:
        """A call of the client's own tool that passed policy late: a response of its own, behind the active one."""
        self._calls.append((call_id, name, arguments))
        self._hand_over(out)

    def _hand_over(self, out: Out) -> None:
        self._active = [route for route in self._active if route.active]
        while self._calls and not self._active:
            self._client_call(*self._calls.pop(0), out)

    def _client_call(self, call_id: str, name: str, arguments: str, out: Out) -> None:
        ids = self._events.ids
        route = Route(owner="client", own_id=ids.next("call"), response_id=ids.response())
        item = Item(id=ids.item(), type="function_call", call_id=call_id, name=name, arguments=arguments)
        self.apart.add(item.id)
        self.announce(route, out)
        self.add_item(route, item, 0, out)
        said: dict[str, Any] = {"call_id": call_id, "name": name, "arguments": arguments}
        out.client.append(
            self._events.arguments_done(route.response_id, item_id=item.id, output_index=0, **said)
        )
        self.finish_item(route, item, 0, out)
        self.close(route, "completed", None, None, out)

    def announce(self, route: Route, out: Out) -> None:
        if route.visible:
            return
        route.visible = True
        self._active.append(route)
        out.client.append(self._events.response_created(self._wire(route, "in_progress")))

    def add_item(self, route: Route, item: Item, index: int, out: Out) -> None:
        route.open_items.append(item.id)
        wire = item.to_wire()
        out.client.append(self._events.output_item_added(route.response_id, output_index=index, item=wire))
        if route.out_of_band or item.id in self._items:
            return
        if route.owner == "speech":
            self.apart.add(item.id)
        previous = self._items.last_id
        with suppress(ProtocolError):
            # A full list (or a model that repeats an id) never stops the caller from hearing the answer.
            self._items.insert(item)
        out.client.append(self._events.item_added(wire, previous_item_id=previous))

    def finish_item(self, route: Route, item: Item, index: int, out: Out) -> None:
        if item.id in route.open_items:
            route.open_items.remove(item.id)
        route.items[item.id] = item
        wire = item.to_wire()
        if not route.out_of_band and item.id in self._items:
            self._items.replace(self.cuts.heard(item))
            previous = self._items.previous_id(item.id)
            out.client.append(self._events.item_done(wire, previous_item_id=previous))
        out.client.append(self._events.output_item_done(route.response_id, output_index=index, item=wire))

    def renumbered(self, route: Route, head: EventHead, frame: bytes) -> bytes:
        """The frame at its place before the client, with what every client needs of it."""
        mine = route.index_of(head.item_id or "")
        if mine == head.output_index and head.event_id and head.content_index is not None:
            return frame
        event_id = None if head.event_id else self._events.ids.event()
        content_index = 0 if head.content_index is None and head.call_id is None else None
        return splice_ids(frame, output_index=mine, event_id=event_id, content_index=content_index)

    def close(
        self,
        route: Route,
        status: str,
        reason: str | None,
        error: Mapping[str, Any] | None,
        out: Out,
        *,
        usage: Mapping[str, Any] | None = None,
    ) -> None:
        """End a response before the client: open parts and items first, then `response.done`, once."""
        if route.held:
            # Nothing of it was heard, and nothing will be.
            route.waiting.clear()
            route.closed = True
            return
        if not route.visible or route.closed:
            route.closed = True
            return
        self.cut_open(route, out)
        done = self._wire(route, status, reason=reason, error=error, usage=usage)
        out.client.append(self._events.response_done(done))
        route.closed = True
        self._hand_over(out)

    def answer(self, route: Route, status: str, reason: str, out: Out) -> None:
        """What the client asked for ends before it saw any of it: it sees that."""
        if route.owed and not route.visible:
            self.announce(route, out)
            self.close(route, status, reason, None, out)

    def cut_open(self, route: Route, out: Out) -> None:
        """End the items that are open as they are now."""
        for item_id in list(route.open_items):
            self._cut_item(route, item_id, out)

    def _cut_item(self, route: Route, item_id: str, out: Out) -> None:
        index = route.index_of(item_id)
        frames, cut = cut_item(route, item_id, self._events)
        out.client += frames
        self.finish_item(route, cut, index, out)

    def _wire(self, route: Route, status: str, **outcome: Any) -> dict[str, Any]:
        return response_of(route, status, conversation_id=self._conversation_id, **outcome)
