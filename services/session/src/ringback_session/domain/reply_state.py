"""A reply of the model, due or being given: part of the state of a call."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["PendingReply", "Reply", "ReplyPurpose"]


class ReplyPurpose(StrEnum):
    """Why a reply of the model was asked for."""

    TURN = "turn"
    RESULT = "result"
    CLARIFY = "clarify"
    CLIENT = "client"


class Reply(msgspec.Struct):
    """A reply of the model that we asked for and that has not ended."""

    reply_id: str
    purpose: ReplyPurpose
    response_id: str = ""
    item_id: str = ""
    text: str = ""
    calls: int = 0
    notes: int = 0
    cancelled: bool = False
    request_key: str = ""
    tools: bool = True
    instructions: str = ""
    # Begun before its utterance passed the input gate, and not shown until then.
    early: bool = False
    # Watched for being slow to begin; `behind` which words of ours it is shown; `begun`: it waits for their end.
    watched: bool = False
    behind: str = ""
    begun: bool = False
    # Policy refused it, or had words taken out: what passes from there on is said in our own words.
    refused: bool = False
    muted: bool = False
    rest: str = ""
    # What has passed, by item.
    passed: dict[str, str] = {}


class PendingReply(msgspec.Struct):
    """The next reply to ask for, once nothing else is being said."""

    purpose: ReplyPurpose
    tools: bool = True
    instructions: str = ""
    request_key: str = ""
    early: bool = False
