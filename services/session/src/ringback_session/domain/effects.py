"""What the core wants done. The core never does anything itself."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback_session.domain.consultation import TextMessage
from ringback_session.domain.port_speech import SpeakByPort
from ringback_session.domain.rules import SideEffect, Tool
from ringback_session.domain.state import BoundValue, SpeechKind

__all__ = [
    "AskPolicy",
    "AskText",
    "CancelReply",
    "CancelSpeech",
    "DeliverClientCall",
    "DropSpeech",
    "Effect",
    "Effects",
    "EndCall",
    "Execute",
    "FetchAgent",
    "FetchFact",
    "FetchPacket",
    "Forget",
    "Journal",
    "LapseHold",
    "MuteReply",
    "Note",
    "OpenReply",
    "PassSpeech",
    "PassWords",
    "Persist",
    "PersistNow",
    "PlayAgain",
    "PrepareModel",
    "Publish",
    "PullContext",
    "ReadConsent",
    "Recall",
    "Reconfigure",
    "RefreshValue",
    "RefuseReply",
    "ReleaseSpeech",
    "RequestReply",
    "RequestSpeech",
    "ReturnResult",
    "RotateModel",
    "Showable",
    "SpeakByPort",
    "StartTimer",
    "StopTimer",
    "TruncateItem",
]


class _Effect(msgspec.Struct, frozen=True, tag=True):
    pass


class RequestReply(_Effect, frozen=True):
    """Have the model reply. `request_key` carries the client's own parameters, if the client asked.

    `shut`: nothing of it may be shown or done until OpenReply. `watch`: judge (report each sentence), or hold (report
    it, and show it only when it has passed).
    """

    reply_id: str
    tools: bool = True
    instructions: str = ""
    request_key: str = ""
    shut: bool = False
    watch: str = ""


class CancelReply(_Effect, frozen=True):
    """reason: turn_detected, client_cancelled or content_filter."""

    reply_id: str
    reason: str


class OpenReply(_Effect, frozen=True):
    """What the reply answers has passed the input gate, or what is said before it was said: it may be shown."""

    reply_id: str


class PassWords(_Effect, frozen=True):
    """Words of an item have passed, up to where the view said that they end."""

    reply_id: str
    item_id: str
    upto: int


class LapseHold(_Effect, frozen=True):
    """What waits now has waited as long as the bundle lets it: show it."""

    reply_id: str


class MuteReply(_Effect, frozen=True):
    """Show no more words of the model's own: what passes of them is said in ours."""

    reply_id: str


class RefuseReply(_Effect, frozen=True):
    """The client's second request while its own response is active; or, with a `code`, one that may not be."""

    request_key: str
    response_id: str
    code: str = ""
    message: str = ""


class RequestSpeech(_Effect, frozen=True):
    """Have exactly these words spoken, out of band; hold the audio until released.

    `beside`: while this reply, of which nothing is to be shown before OpenReply, has not begun; else not at all.
    """

    speech_id: str
    kind: SpeechKind
    text: str
    hold: bool
    beside: str = ""


class ReleaseSpeech(_Effect, frozen=True):
    """The held audio may be heard: every bound value was found in its transcript."""

    speech_id: str


class CancelSpeech(_Effect, frozen=True):
    speech_id: str
    reason: str


class TruncateItem(_Effect, frozen=True):
    """Make the model forget what the caller did not hear."""

    item_id: str
    audio_end_ms: int


class PassSpeech(_Effect, frozen=True):
    """The client is told of this sound of the caller and of all that came of it: it is a turn."""

    item_id: str


class DropSpeech(_Effect, frozen=True):
    """The client never hears of this sound, and the model's conversation does not keep it."""

    item_id: str


class PlayAgain(_Effect, frozen=True):
    """Send the rest of an item's audio once more, as an item of its own."""

    speech_id: str
    item_id: str
    from_ms: int
    text: str


class EndCall(_Effect, frozen=True):
    """End the call: everything due has been said. With a `code` the client is first told why, by an error event."""

    reason: str
    code: str = ""
    message: str = ""


class Note(_Effect, frozen=True):
    """Tell the model what was said or decided without it; role: assistant or system."""

    item_id: str
    role: str
    text: str
    at_head: bool = False


class Forget(_Effect, frozen=True):
    """Delete items from the model's conversation; one that is not there any more is no error."""

    item_ids: tuple[str, ...]


class ReturnResult(_Effect, frozen=True):
    """Answer a function call of the model."""

    call_id: str
    item_id: str
    output_json: str


class DeliverClientCall(_Effect, frozen=True):
    """A call of the client's own tool passed policy: hand it to the client as a response of its own."""

    call_id: str
    tool: str
    arguments_json: str


class AskPolicy(_Effect, frozen=True):
    """gate: input, action, result or output. `view` and `facts` are plain data, bounded by the core."""

    decision_id: str
    gate: str
    view: dict[str, Any]
    facts: tuple[dict[str, Any], ...] = ()
    subject: dict[str, Any] = {}
    timeout_ms: int = 800


class ReadConsent(_Effect, frozen=True):
    consent_id: str
    read_back: str
    utterance: str
    confidence: float | None
    bound_values: tuple[BoundValue, ...]
    side_effect: SideEffect
    item_id: str
    timeout_ms: int = 800


class FetchFact(_Effect, frozen=True):
    """Run a read-only tool for a rule."""

    action_id: str
    name: str
    tool: str
    arguments_json: str
    ttl_ms: int


class Journal(_Effect, frozen=True):
    """Write the record with this action's decision; only then may it be executed."""

    action_id: str


class Execute(_Effect, frozen=True):
    action_id: str
    tool: str
    version: str
    side_effect: SideEffect
    arguments_json: str
    proof: dict[str, str | int] | None
    deadline_ms: int
    attach_only: bool = False


class Persist(_Effect, frozen=True):
    """Write the record when convenient (a turn ended)."""


class PersistNow(_Effect, frozen=True):
    """Write the record at once: the caller is about to answer a question that the next owner must know."""


class Publish(_Effect, frozen=True):
    """One fact of the call. `kind` is the event's field name in events.v1, `body` its fields."""

    kind: str
    seq: int
    epoch: int
    turn_id: str
    agent: str
    at_ms: int
    body: dict[str, Any]


class FetchPacket(_Effect, frozen=True):
    """Ask memory for the handoff packet; `fallback` is the core's own bounded view."""

    reason: str
    min_epoch: int
    min_seq: int
    fallback: dict[str, Any]


class FetchAgent(_Effect, frozen=True):
    """Compose an agent's instructions and list its tools; `with_context`: and what memory knows at (epoch, seq)."""

    ask_id: str
    agent: str
    min_epoch: int = 0
    min_seq: int = 0
    with_context: bool = False


class AskText(_Effect, frozen=True):
    """One request to the text model that a supervisor thinks with; without tools it must answer."""

    consult_id: str
    number: int
    messages: tuple[TextMessage, ...]
    tools: tuple[Tool, ...]
    timeout_ms: int


class Reconfigure(_Effect, frozen=True):
    """Another agent holds the call: give the model its instructions and tools."""


class Recall(_Effect, frozen=True):
    """Ask memory what earlier calls of this caller left, once it has (epoch, seq)."""

    min_epoch: int
    min_seq: int
    budget_tokens: int


class RefreshValue(_Effect, frozen=True):
    """Run a read-only tool again: what it said is out of date."""

    refresh_id: str
    tool: str
    arguments_json: str


class PullContext(_Effect, frozen=True):
    """Ask memory what it holds, including (epoch, seq); `at_once`: something waits for the answer."""

    min_epoch: int
    min_seq: int
    at_once: bool = False


class PrepareModel(_Effect, frozen=True):
    """Make a second connection to the model, while the first one serves."""


class RotateModel(_Effect, frozen=True):
    """The prepared connection takes over, with the conversation rebuilt; `cut`: what is being said breaks off."""

    cut: bool = False


class StartTimer(_Effect, frozen=True):
    name: str
    delay_ms: int


class StopTimer(_Effect, frozen=True):
    name: str


Effect = (
    RequestReply
    | CancelReply
    | OpenReply
    | PassWords
    | LapseHold
    | MuteReply
    | RefuseReply
    | RequestSpeech
    | SpeakByPort
    | ReleaseSpeech
    | CancelSpeech
    | TruncateItem
    | PassSpeech
    | DropSpeech
    | PlayAgain
    | EndCall
    | Note
    | Forget
    | ReturnResult
    | DeliverClientCall
    | AskPolicy
    | ReadConsent
    | FetchFact
    | Journal
    | Execute
    | Persist
    | PersistNow
    | Publish
    | FetchPacket
    | FetchAgent
    | AskText
    | Recall
    | RefreshValue
    | Reconfigure
    | PullContext
    | PrepareModel
    | RotateModel
    | StartTimer
    | StopTimer
)
Effects = list[Effect]
# What becomes of words that wait: our own, or a reply's that policy judges.
Showable = ReleaseSpeech | OpenReply | PassWords | LapseHold | MuteReply
