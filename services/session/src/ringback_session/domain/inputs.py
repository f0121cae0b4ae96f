"""What can happen to a call. Every input arrives with an `At`: the core has no clock of its own."""

from __future__ import annotations

import msgspec

from ringback_session.domain.agent_inputs import (
    AgentInput,
    AgentReady,
    CompactionPlan,
    ContextArrived,
    ContextMissed,
    Recalled,
    TextAnswered,
    ValueRefreshed,
)
from ringback_session.domain.decided import Decided, FactNeed, ReadBack
from ringback_session.domain.floor_inputs import FloorInput
from ringback_session.domain.guarded import WordsInput
from ringback_session.domain.state import HistoryItem, ReplyPurpose
from ringback_session.domain.upkeep import UpkeepInput

__all__ = [
    "ActionProgressed",
    "ActionReconciled",
    "ActionResult",
    "AgentReady",
    "At",
    "AudioSent",
    "CallAnnounced",
    "CallRequested",
    "CallStarted",
    "CallerArrived",
    "CallerStartedSpeaking",
    "CallerStoppedSpeaking",
    "ClientCallOutput",
    "ClientCancelled",
    "ClientConfigured",
    "ClientGone",
    "ClientTruncated",
    "CompactionPlan",
    "ConsentRead",
    "ContextArrived",
    "ContextMissed",
    "Decided",
    "FactFetched",
    "FactNeed",
    "Input",
    "ItemDeleted",
    "ItemNoted",
    "JournalFailed",
    "Journalled",
    "ModelConnected",
    "ModelLost",
    "ModelPrepared",
    "PacketReady",
    "ReadBack",
    "Recalled",
    "ReplyEnded",
    "ReplyStarted",
    "ReplyText",
    "ReplyWanted",
    "Resumed",
    "SpeechEnded",
    "SpeechText",
    "TextAnswered",
    "TimerFired",
    "UtteranceCommitted",
    "UtteranceHeard",
    "ValueRefreshed",
]


class At(msgspec.Struct, frozen=True):
    """When: the owner's clock (unix ms), the caller's input clock (samples at 24 kHz; 0: no audio yet).

    `playback`: the input clock that goes on by real time while no audio comes; 0 where nobody keeps it.
    """

    now_ms: int
    samples: int = 0
    playback: int = 0


class _Input(msgspec.Struct, frozen=True, tag=True):
    pass


class CallStarted(_Input, frozen=True):
    pass


class Resumed(_Input, frozen=True):
    """This replica took the session over; the state is the snapshot of the owner before."""

    epoch: int
    owner: str


class CallerArrived(_Input, frozen=True):
    """The first audio came: somebody is on the line."""


class CallerStartedSpeaking(_Input, frozen=True):
    audio_start_ms: int


class CallerStoppedSpeaking(_Input, frozen=True):
    """The caller fell silent; unless `discarded`, the audio is about to become an item."""

    audio_end_ms: int
    discarded: bool = False


class UtteranceCommitted(_Input, frozen=True):
    """The caller's audio became an item; its transcript is still to come."""

    item_id: str
    wants_reply: bool


class UtteranceHeard(_Input, frozen=True):
    """The words of an utterance, or the failure to get them.

    `behind`: after which item a typed one stands, `root` for the head; empty: at the end.
    """

    item_id: str
    text: str
    confidence: float | None = None
    failed: bool = False
    typed: bool = False
    audio_start_ms: int = 0
    audio_end_ms: int = 0
    behind: str = ""


class ClientConfigured(_Input, frozen=True):
    """The client's turn detection, as far as the core needs to know it."""

    interrupt: bool


class ItemNoted(_Input, frozen=True):
    """The client put an item of its own into the conversation (not an utterance); `behind`: see UtteranceHeard."""

    item: HistoryItem
    behind: str = ""


class ItemDeleted(_Input, frozen=True):
    """The client took an item out of the conversation."""

    item_id: str


class ReplyWanted(_Input, frozen=True):
    """The client asked for a reply; `request_key` names its parameters in the client view."""

    request_key: str = ""


class ReplyStarted(_Input, frozen=True):
    reply_id: str
    response_id: str


class ReplyText(_Input, frozen=True):
    """A finished message item of a reply."""

    reply_id: str
    item_id: str
    text: str


class CallRequested(_Input, frozen=True):
    """The model called a function that is not the client's own to run at once; `interrupted`: in a reply
    that was cancelled before."""

    reply_id: str
    call_id: str
    tool: str
    arguments_json: str
    item_id: str = ""
    client_tool: bool = False
    interrupted: bool = False


class CallAnnounced(_Input, frozen=True):
    """The model began to call a function: its name is known, its arguments are on their way."""

    tool: str


class ReplyEnded(_Input, frozen=True):
    """status: completed, cancelled, incomplete or failed."""

    reply_id: str
    status: str
    purpose: ReplyPurpose = ReplyPurpose.TURN


class SpeechText(_Input, frozen=True):
    """The transcript of our own words so far, as the model speaks them."""

    speech_id: str
    transcript: str
    item_id: str = ""
    response_id: str = ""


class SpeechEnded(_Input, frozen=True):
    """`unreported`: nobody told what it used, and somebody may charge for it."""

    speech_id: str
    status: str
    unreported: bool = False


class AudioSent(_Input, frozen=True):
    """Audio of an assistant item went to the client; `text` is the item's transcript so far."""

    item_id: str
    samples: int
    text: str = ""
    kind: str = "reply"
    in_model: bool = True
    response_id: str = ""


class ClientTruncated(_Input, frozen=True):
    item_id: str
    audio_end_ms: int


class ClientCancelled(_Input, frozen=True):
    response_id: str = ""


class ClientCallOutput(_Input, frozen=True):
    """The client answered a call of its own tool; `withheld`: the model has not been told, policy judges it first."""

    call_id: str
    output: str
    item_id: str = ""
    withheld: bool = False


class FactFetched(_Input, frozen=True):
    action_id: str
    name: str
    tool: str
    arguments_json: str
    value_json: str
    ttl_ms: int = 0
    unavailable: bool = False
    message: str = ""
    fallback: str = ""
    error_code: str = ""
    open_breakers: tuple[str, ...] = ()


class ConsentRead(_Input, frozen=True):
    """reading: yes, no, correction, unclear."""

    consent_id: str
    reading: str
    evidence: str = ""
    item_id: str = ""


class Journalled(_Input, frozen=True):
    action_id: str


class JournalFailed(_Input, frozen=True):
    action_id: str
    reason: str


class ActionProgressed(_Input, frozen=True):
    """stage: started, attempt, slow or progress."""

    action_id: str
    stage: str
    attempt: int = 0
    message: str = ""


class ActionResult(_Input, frozen=True):
    """status: ok, failed, unknown or not_started; fallback: none, cached, static, callback or person."""

    action_id: str
    status: str
    data_json: str = ""
    error_code: str = ""
    message: str = ""
    retryable: bool = False
    attempts: int = 0
    already_done: bool = False
    fallback: str = "none"
    fallback_message: str = ""
    open_breakers: tuple[str, ...] = ()


class ActionReconciled(_Input, frozen=True):
    """What became of an action whose outcome was unknown; status: ok, failed or not_started."""

    action_id: str
    status: str
    data_json: str = ""
    error_code: str = ""
    message: str = ""


class TimerFired(_Input, frozen=True):
    name: str


class PacketReady(_Input, frozen=True):
    """The handoff packet as JSON; built from the core's own view when memory was away."""

    packet_json: str


class ModelLost(_Input, frozen=True):
    """The connection to the model broke; a new one is being made."""

    reason: str


class ModelConnected(_Input, frozen=True):
    """A connection to the model serves the call: when to replace it, and when at the latest; 0: no limit known."""

    rotate_in_ms: int = 0
    last_in_ms: int = 0


class ModelPrepared(_Input, frozen=True):
    """A second connection to the model waits to take over; not `ready`: none could be had."""

    ready: bool


class ClientGone(_Input, frozen=True):
    reason: str


Input = (
    CallStarted
    | Resumed
    | CallerArrived
    | CallerStartedSpeaking
    | CallerStoppedSpeaking
    | FloorInput
    | UtteranceCommitted
    | UtteranceHeard
    | ClientConfigured
    | ItemDeleted
    | ItemNoted
    | ReplyWanted
    | ReplyStarted
    | ReplyText
    | CallAnnounced
    | CallRequested
    | ReplyEnded
    | SpeechText
    | SpeechEnded
    | AudioSent
    | WordsInput
    | ClientTruncated
    | ClientCancelled
    | ClientCallOutput
    | Decided
    | FactFetched
    | ConsentRead
    | Journalled
    | JournalFailed
    | ActionProgressed
    | ActionReconciled
    | ActionResult
    | TimerFired
    | PacketReady
    | ModelLost
    | ModelConnected
    | ModelPrepared
    | UpkeepInput
    | ClientGone
    | AgentInput
)
