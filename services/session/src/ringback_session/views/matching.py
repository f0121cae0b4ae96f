"""Which request a response of the model answers.

A response hands back the metadata of its request, and our id in them. A model that drops them answers in the order in
which it was asked, but for two that are under way at once: one of the conversation is a reply, one beside it is not.
"""

from __future__ import annotations

from ringback_session.views.route import Wanted
from ringback_session.views.upstream import RawResponse

__all__ = ["Matching"]


class Matching(dict[str, Wanted]):
    """What was asked for and is not announced yet, by our ids, in the order of asking."""

    def __init__(self) -> None:
        super().__init__()
        # Does the model, as far as is known, hand back the metadata of what it is asked for?
        self.echoed = True

    def take(self, raw: RawResponse) -> Wanted | None:
        """The request that the response answers; None: it was not asked for, or that is over."""
        if raw.own_id or not self:
            return self.pop(raw.own_id, None)
        self.echoed = False
        fitting = (own_id for own_id, wanted in self.items() if _fits(wanted, raw))
        return self.pop(next(fitting, next(iter(self))))

    def lost(self) -> list[Wanted]:
        """The connection is gone, and the next one may lead to another model: returns what is not asked for again."""
        self.echoed = True
        return [self.pop(own_id) for own_id, wanted in list(self.items()) if not wanted.frame]


def _fits(wanted: Wanted, raw: RawResponse) -> bool:
    return raw.in_conversation is None or raw.in_conversation == (wanted.owner == "reply")
