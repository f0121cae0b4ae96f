"""A model that fails when it is told to, so that those who depend on it can be tested."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ringback_localmodel.domain.context import Call, Context, Say, UserSaid
from ringback_localmodel.ports import Brain

__all__ = ["FailingBrain"]


class FailingBrain:
    """Fails when the newest words of the user contain some words; else another brain replies."""

    def __init__(self, brain: Brain, *, failing_words: str) -> None:
        self._brain = brain
        self._words = failing_words

    async def reply(self, context: Context) -> AsyncIterator[Say | Call]:
        said = next((entry.text for entry in reversed(context.entries) if isinstance(entry, UserSaid)), "")
        if self._words in said and not context.own_instructions:
            raise RuntimeError("told to fail")
        async for step in self._brain.reply(context):
            yield step
