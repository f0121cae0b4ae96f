"""What is left of spoken items that the client stopped playing: the words that were heard."""

from __future__ import annotations

from msgspec.structs import replace
from ringback_realtime import Item, ItemList

__all__ = ["Cuts"]

CUTS_KEPT = 400


class Cuts:
    """An item that is cut while it is still being made stays cut when it is complete."""

    def __init__(self, items: ItemList) -> None:
        self._items = items
        self._words: dict[str, str] = {}

    def cut(self, item: Item, words: str) -> None:
        """These words of it were heard; a second cut can only shorten what the first one left."""
        before = self._words.get(item.id)
        self._words[item.id] = words if before is None else min(words, before, key=len)
        while len(self._words) > CUTS_KEPT:
            del self._words[next(iter(self._words))]
        self._items.replace(self.heard(item))

    def heard(self, item: Item) -> Item:
        """The item as the conversation keeps it."""
        words = self._words.get(item.id)
        if words is None:
            return item
        return replace(item, content=tuple(replace(part, transcript=words) for part in item.content))
