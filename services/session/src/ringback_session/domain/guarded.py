"""Words of the model that policy judges: what the view reports of them, and what the core keeps of them."""

from __future__ import annotations

import msgspec

from ringback_session.domain.rules import Effect

__all__ = ["HoldExceeded", "SentenceMade", "Verdict", "WordsCheck", "WordsHeld", "WordsInput", "WordsUnshown"]


class SentenceMade(msgspec.Struct, frozen=True, tag=True):
    """Words of a reply that policy is to judge before (or while) they are heard.

    `ends_at` is where they end in their item; `final` means that `text` is all of the item, of which the part before
    `since` was judged already. Without a text there was audio that has no words.
    """

    reply_id: str
    item_id: str
    text: str
    ends_at: int
    since: int = 0
    final: bool = False
    out_of_band: bool = False


class WordsHeld(msgspec.Struct, frozen=True, tag=True):
    """Something of a reply began to wait for policy, or (`waiting` False) nothing waits any more."""

    reply_id: str
    waiting: bool = True


class WordsUnshown(msgspec.Struct, frozen=True, tag=True):
    """A reply ended with items that the client never saw: the model must not think that it said them."""

    item_ids: tuple[str, ...]


class HoldExceeded(msgspec.Struct, frozen=True, tag=True):
    """More of a reply waits than may wait."""

    reply_id: str


class Verdict(msgspec.Struct, frozen=True):
    """What policy said of words, or what was declared for want of it."""

    effect: Effect
    say: str = ""
    rule: str = ""
    reason: str = ""
    escalate: str = ""
    redact: tuple[tuple[int, int], ...] = ()
    words_max: int = 0


class WordsCheck(msgspec.Struct):
    """Words of the model that policy was asked about. `verdict` waits for those before it."""

    decision_id: str
    reply_id: str
    item_id: str
    text: str
    ends_at: int
    since: int = 0
    final: bool = False
    out_of_band: bool = False
    lapsed: bool = False
    verdict: Verdict | None = None


WordsInput = SentenceMade | WordsHeld | WordsUnshown | HoldExceeded
