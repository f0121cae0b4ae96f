"""The ordered list of a conversation's items, with the protocol's rules for changing it."""

from collections.abc import Callable, Iterator
from typing import Final

from ringback_realtime.errors import (
    ProtocolError,
    audio_already_shorter,
    invalid_value,
    only_audio_truncates,
    unknown_item,
    unknown_tool_call,
)
from ringback_realtime.items import Item

__all__ = ["ROOT", "ItemList", "check_truncation"]

ROOT: Final = "root"


class ItemList:
    """Items in order, found by id; holds at most ``items_max``.

    A full list refuses another item; with ``on_drop``, its oldest one leaves it instead, and ``on_drop`` is told.
    A call that no output has answered yet stays.
    """

    def __init__(self, *, items_max: int = 2_000, on_drop: Callable[[str], None] | None = None) -> None:
        self._on_drop = on_drop
        self._order: list[str] = []
        self._items: dict[str, Item] = {}
        self._items_max = items_max

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Item]:
        return (self._items[item_id] for item_id in self._order)

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._items

    @property
    def last_id(self) -> str | None:
        return self._order[-1] if self._order else None

    def get(self, item_id: str) -> Item | None:
        return self._items.get(item_id)

    def previous_id(self, item_id: str) -> str | None:
        """The id before this one; None at the head. Raises KeyError for an unknown id."""
        if item_id not in self._items:
            raise KeyError(item_id)
        place = self._order.index(item_id)
        return self._order[place - 1] if place else None

    def insert(self, item: Item, *, previous_item_id: str | None = None) -> str | None:
        """Add an item and return its resolved ``previous_item_id``.

        None appends, ``"root"`` puts it first, an id after that item. Raises ProtocolError for an unknown or
        duplicate id, an output without its call, and a full list.
        """
        self._check(item)
        if previous_item_id is None:
            place = len(self._order)
        elif previous_item_id == ROOT:
            place = 0
        elif previous_item_id in self._items:
            place = self._order.index(previous_item_id) + 1
        else:
            raise invalid_value("previous_item_id", f"no item has the id '{previous_item_id[:64]}'")
        self._order.insert(place, item.id)
        before = self._order[place - 1] if place else None
        self._items[item.id] = item
        if len(self._order) > self._items_max:
            self._drop_oldest(besides=(item.id, before))
        return before if before in self._items else None

    def replace(self, item: Item) -> None:
        """Put a new version of an item in its place. Raises KeyError for an unknown id."""
        if item.id not in self._items:
            raise KeyError(item.id)
        self._items[item.id] = item

    def delete(self, item_id: str) -> Item:
        if item_id not in self._items:
            raise unknown_item(item_id, action="delete")
        self._order.remove(item_id)
        return self._items.pop(item_id)

    def retrieve(self, item_id: str) -> Item:
        item = self._items.get(item_id)
        if item is None:
            raise unknown_item(item_id, action="retrieve")
        return item

    def has_call(self, call_id: str) -> bool:
        return any(item.type == "function_call" and item.call_id == call_id for item in self)

    def _drop_oldest(self, *, besides: tuple[str | None, ...]) -> None:
        answered = {item.call_id for item in self if item.type == "function_call_output"}
        may_go = (
            item.id
            for item in self
            if item.id not in besides and (item.type != "function_call" or item.call_id in answered)
        )
        # Where nothing but open calls is left, the oldest of them goes all the same.
        oldest = next(may_go, None) or next(item.id for item in self if item.id not in besides)
        self.delete(oldest)
        if self._on_drop is not None:
            self._on_drop(oldest)

    def _check(self, item: Item) -> None:
        if item.id in self._items:
            raise invalid_value("item.id", f"an item with the id '{item.id}' exists already")
        if len(self._order) >= self._items_max and self._on_drop is None:
            raise ProtocolError(
                "too_many_items",
                f"A conversation holds at most {self._items_max} items: delete some first.",
                "item",
            )
        if item.type == "function_call_output" and not self.has_call(item.call_id or ""):
            raise unknown_tool_call(item.call_id or "")


def check_truncation(
    item: Item | None, *, item_id: str, content_index: int, audio_end_ms: int, audio_ms: int | None
) -> Item:
    """Whether an item may be cut at ``audio_end_ms``; ``audio_ms`` is what was generated, None if no audio.

    In-progress and completed items may be cut, also to 0. Raises ProtocolError otherwise.
    """
    if item is None:
        raise unknown_item(item_id, action="truncate")
    if item.role != "assistant" or audio_ms is None:
        raise only_audio_truncates()
    if content_index != 0:
        raise invalid_value("content_index", "expected 0, the only audio part of an item")
    if audio_end_ms < 0:
        raise invalid_value("audio_end_ms", "expected 0 or more milliseconds")
    if audio_end_ms > audio_ms:
        raise audio_already_shorter(audio_ms, audio_end_ms)
    return item
