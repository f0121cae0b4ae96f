"""The deterministic brain behind the Brain port."""

from collections.abc import AsyncIterator, Callable
from datetime import date

from ringback_localmodel.domain.context import Call, Context, Say
from ringback_localmodel.domain.dialogue import DialogueRules

__all__ = ["DialogueBrain"]


class DialogueBrain:
    """Replies by the dialogue rules; one serves any number of sessions."""

    def __init__(self, *, today: Callable[[], date] = date.today) -> None:
        self._rules = DialogueRules(today=today)

    async def reply(self, context: Context) -> AsyncIterator[Say | Call]:
        for step in self._rules.steps(context):
            yield step
