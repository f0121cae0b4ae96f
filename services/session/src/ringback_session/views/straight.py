"""An item of a response whose audio goes to the client as the model sends it."""

from __future__ import annotations

from ringback_realtime import AudioHead

from ringback_session.views.mending import OpenItem
from ringback_session.views.portions import AUDIO_BYTES_MAX, TELEPHONE_BYTES_MAX
from ringback_session.views.route import Route, clock_samples

__all__ = ["Straight"]


class Straight:
    """The one item that the model voices now. Made when a frame of it went through unchanged."""

    __slots__ = ("_index", "_open", "_response_id", "bytes_max", "counted", "item_id", "route")

    def __init__(self, head: AudioHead, route: Route, open_item: OpenItem) -> None:
        self.item_id = head.item_id or ""
        self.route = route
        # A response that the client asked for apart from the conversation is no part of what the core follows.
        self.counted = route.owner != "client"
        self.bytes_max = TELEPHONE_BYTES_MAX if route.telephone else AUDIO_BYTES_MAX
        self._response_id = head.response_id
        self._index = head.output_index
        self._open = open_item

    def samples(self, head: AudioHead) -> int:
        """How much audio of it a frame has, if that is whole and the item is still voiced and shown; else 0."""
        route = self.route
        if (
            head.item_id != self.item_id
            or head.response_id != self._response_id
            or head.output_index != self._index
            or head.content_index is None
            or not head.event_id
            or route.closed
            or self._open.kind != "audio"
        ):
            return 0
        return clock_samples(head, telephone=True) if route.telephone else head.samples()
