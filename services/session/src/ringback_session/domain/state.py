"""The state of one call: everything that a new owner needs to go on with it.

The whole tree is one msgspec struct, so that a snapshot is its encoding and nothing can be forgotten. Every
list has a stated bound.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from ringback_identity import derive_id

from ringback_session.domain.agents import Team
from ringback_session.domain.desk_state import Desk
from ringback_session.domain.floor import Floor
from ringback_session.domain.guarded import WordsCheck
from ringback_session.domain.judged import ClientOutput, FactWait, Heard, Reading
from ringback_session.domain.known import Known, SlotValue
from ringback_session.domain.own_words import BoundValue, Speech
from ringback_session.domain.past_actions import PastActions
from ringback_session.domain.phases import ActionPhase, ConsentPhase, SpeechKind
from ringback_session.domain.reply_state import PendingReply, Reply, ReplyPurpose
from ringback_session.domain.rules import SideEffect, Tool, TurnRules
from ringback_session.domain.usage import Account

__all__ = [
    "SNAPSHOT_VERSION",
    "TEXT_CHARS_MAX",
    "Action",
    "ActionPhase",
    "BoundValue",
    "CallState",
    "Consent",
    "ConsentPhase",
    "Desk",
    "FactValue",
    "HistoryItem",
    "PendingReply",
    "Playback",
    "PlayedItem",
    "Reply",
    "ReplyPurpose",
    "SlotValue",
    "Speech",
    "SpeechKind",
    "Task",
    "Utterance",
    "restore",
    "snapshot",
]

SNAPSHOT_VERSION = 1
ACTIONS_KEPT = 64
HISTORY_KEPT = 120
# The record of a session must fit into one value of its bucket, whatever is said in the call.
TEXT_CHARS_MAX = 16_000
HISTORY_CHARS_MAX = 120_000
FACTS_KEPT = 32
PLAYED_KEPT = 32
SPEECHES_QUEUED_MAX = 8
TASKS_KEPT = 64


class Utterance(msgspec.Struct):
    """What the caller said last."""

    item_id: str
    text: str = ""
    confidence: float | None = None
    failed: bool = False
    typed: bool = False
    audio_start_ms: int = 0
    audio_end_ms: int = 0
    heard: bool = False
    decision_id: str = ""
    cleared: bool = False
    restate: bool = False
    words_max: int = 0
    # The read-back of which the caller had heard every value when they began to say this.
    heard_read_back: str = ""


class Action(msgspec.Struct, omit_defaults=True):
    """One intended effect on the world."""

    action_id: str
    tool: str
    version: str
    side_effect: SideEffect
    arguments_json: str
    arguments_digest: str
    ordinal: int
    requested_at_ms: int
    call_ids: list[str] = []
    client_tool: bool = False
    phase: ActionPhase = ActionPhase.DECIDING
    decision_id: str = ""
    asked_at_ms: int = 0
    fact_rounds: int = 0
    facts_awaited: list[str] = []
    consent_id: str = ""
    proof: dict[str, str | int] | None = None
    status: str = ""
    data_json: str = ""
    error_code: str = ""
    message: str = ""
    retryable: bool = False
    attempts: int = 0
    finished_at_ms: int = 0
    # The same was done before in this call: it starts on a yes to words that said so, and on nothing else.
    once_more: bool = False
    # Of one that is done: the turn in which the model, calling again, was told so.
    told_in_turn: int | None = None
    deadline_ms: int = 0
    # The consulted agent that wants it; empty: the agent on the line.
    agent: str = ""
    # What the tool last said of its progress, until the caller has heard it.
    progress: str = ""

    @property
    def open(self) -> bool:
        return self.phase is not ActionPhase.DONE


class Consent(msgspec.Struct):
    """One read-back and its answer: single-use, expiring."""

    consent_id: str
    action_id: str
    read_back: str
    say_first: str
    must_contain: tuple[BoundValue, ...]
    arguments_digest: str
    expires_after_ms: int
    clarify_max: int
    phase: ConsentPhase = ConsentPhase.QUEUED
    round: int = 0
    unclear: int = 0
    item_id: str = ""
    values_end_ms: int = 0
    expires_at_ms: int = 0
    given_at_ms: int = 0
    reading: str = "open"
    answered_after: str = ""
    # The caller is sent the read-back of this round; the last answer came before anything of the round was.
    begun: bool = False
    unheard: bool = False
    # The model would not say it as it is: the text-to-speech port reads it.
    by_port: bool = False
    once_more: bool = False


class FactValue(msgspec.Struct):
    """A fact that a rule needed, as a read-only tool told it."""

    name: str
    tool: str
    arguments_json: str
    value_json: str
    at_ms: int
    ttl_ms: int = 0
    unavailable: bool = False
    # What the model may be told of it; empty while policy has not judged it, or withholds it.
    shown_json: str = ""


class Task(msgspec.Struct):
    """A promise or a request that outlives the turn."""

    task_id: str
    title: str
    kind: str
    owed_by: str
    reason: str = ""
    action_id: str = ""


class PlayedItem(msgspec.Struct):
    """An assistant item on the caller's side; times in samples of the caller's input clock (24 kHz)."""

    item_id: str
    starts_at: int
    samples: int = 0
    truncated_ms: int | None = None
    kind: str = "reply"
    text: str = ""
    in_model: bool = True
    reported: bool = False
    finished: bool = False
    response_id: str = ""
    cut_by_client: bool = False
    # All its words, for as long as the client may still say how far it came.
    cut_text: str = ""


class Playback(msgspec.Struct):
    """What was sent to the caller to be played, and when it began to play."""

    items: list[PlayedItem] = []
    ends_at: int = 0


class HistoryItem(msgspec.Struct, omit_defaults=True):
    """One item of the model's conversation, enough to build it again."""

    item_id: str
    kind: str
    role: str = ""
    text: str = ""
    call_id: str = ""
    name: str = ""
    data: str = ""
    # Our own words: the id under which the client, and the facts, know them.
    said_as: str = ""

    @property
    def at_head(self) -> bool:
        """Is it what a model is told of the conversation before its turns?"""
        return self.role == "system" and self.name != ""


class CallState(msgspec.Struct):
    """One call. Only the conversation core changes it."""

    session_id: str
    tenant: str
    pack: str
    pack_digest: str
    bundle_digest: str
    agent: str
    rules: TurnRules
    tools: dict[str, Tool]
    instructions: str = ""
    caller_id: str = ""
    greeting: str = ""
    epoch: int = 1
    seq: int = 0
    started_at_ms: int = 0
    turn: int = 0
    spoke_turn: int = 0
    turn_id: str = ""
    ids_made: int = 0
    caller_speaking: bool = False
    interrupt_enabled: bool = True
    reply_wanted: bool = False
    reply_request_key: str = ""
    utterance: Utterance | None = None
    reply: Reply | None = None
    next_reply: PendingReply | None = None
    # Cut off before anything of it was heard: owed again if what cut it off proves to be no turn.
    unheard_reply: PendingReply | None = None
    speeches: list[Speech] = []
    actions: dict[str, Action] = {}
    # What is left of those that the list has no room for any more.
    past: PastActions = msgspec.field(default_factory=PastActions)
    consents: dict[str, Consent] = {}
    facts: dict[str, FactValue] = {}
    tasks: dict[str, Task] = {}
    slots: dict[str, SlotValue] = {}
    open_breakers: list[str] = []
    history: list[HistoryItem] = []
    checks: list[WordsCheck] = []
    # What tools returned and policy still judges: the client's own, and those that were run for a rule.
    client_outputs: list[ClientOutput] = []
    # Calls of the client's own tools that it was cut off from, and that were answered in its place: call → tool.
    lost_calls: dict[str, str] = {}
    readings: list[Reading] = []
    # What the caller said and policy still judges.
    heard: list[Heard] = []
    # Of words and results, by what they are: those for which policy wanted facts.
    fact_waits: dict[str, FactWait] = {}
    # The bound of this turn's hold, where the input gate asked for one.
    turn_hold_ms: int = 0
    playback: Playback = msgspec.field(default_factory=Playback)
    floor: Floor = msgspec.field(default_factory=Floor)
    irreversible_forbidden: bool = False
    filler_index: int = 0
    failed_rounds: int = 0
    speech_ended_at_ms: int = 0
    speech_ended_sample: int = 0
    first_audio_ms: int = 0
    person_reason: str = ""
    person_rule: str = ""
    person_asked_at_ms: int = 0
    handed_over: bool = False
    known: Known = msgspec.field(default_factory=Known)
    team: Team = msgspec.field(default_factory=Team)
    model_generation: int = 1
    rotation: Literal["none", "preparing", "ready"] = "none"
    rotation_overdue: bool = False
    applied_epoch: int = 0
    rebuilt_at: tuple[int, int] = (0, 0)
    desk: Desk = msgspec.field(default_factory=Desk)
    account: Account = msgspec.field(default_factory=Account)
    ended: str = ""
    version: int = SNAPSHOT_VERSION

    @property
    def hold_ms(self) -> int:
        """How long words may be held in this turn."""
        return self.turn_hold_ms or self.rules.hold_audio_ms

    @property
    def watching(self) -> str:
        """How replies are watched now: not at all, `judge`, or `hold`."""
        match self.rules.output_gate:
            case "off":
                return ""
            case "blocking":
                return "hold"
            case _:
                return "hold" if self.hold_ms else "judge"

    def new_id(self, prefix: str) -> str:
        """The next id of this epoch: derived, so that a replay makes the same ones."""
        self.ids_made += 1
        return derive_id(prefix, self.session_id, self.epoch, self.ids_made)

    def open_consent(self) -> Consent | None:
        """The consent that the caller is being asked about now."""
        for consent in self.consents.values():
            if consent.phase not in (ConsentPhase.QUEUED, ConsentPhase.GIVEN, ConsentPhase.ENDED):
                return consent
        return None

    @property
    def agent_silent(self) -> bool:
        """Is it somebody else's turn to speak, for good or for now?"""
        return self.handed_over or self.account.spent or bool(self.desk.actor)

    def open_actions(self) -> list[Action]:
        # Asked several times in every step.
        return [action for action in self.actions.values() if action.phase is not ActionPhase.DONE]

    def remember(self, item: HistoryItem) -> None:
        """Keep an item for the day the model's conversation must be built again."""
        item.text, history = item.text[:TEXT_CHARS_MAX], self.history
        history.append(item)
        chars = sum([len(entry.text) + len(entry.data) for entry in history])
        if len(history) <= HISTORY_KEPT and chars <= HISTORY_CHARS_MAX:
            return
        # What stands at the head stays: it is what there is of the turns that are gone.
        first = sum(entry.at_head for entry in history)
        while len(history) > first + 1 and (len(history) > HISTORY_KEPT or chars > HISTORY_CHARS_MAX):
            dropped = history.pop(first)
            chars -= len(dropped.text) + len(dropped.data)

    def bound(self) -> None:
        """Drop what is oldest and closed, so that the state stays small however long the call."""
        closed = [key for key, action in self.actions.items() if not action.open]
        for key in closed[: max(0, len(self.actions) - ACTIONS_KEPT)]:
            gone = self.actions.pop(key)
            named = (gone.tool, gone.arguments_digest, gone.ordinal)
            stands = gone.side_effect is not SideEffect.READ and gone.status in ("ok", "unknown")
            self.past.drop(*named, status=gone.status, stands=stands, arguments_json=gone.arguments_json)
        ended = [key for key, consent in self.consents.items() if consent.phase is ConsentPhase.ENDED]
        for key in ended[: max(0, len(self.consents) - ACTIONS_KEPT)]:
            del self.consents[key]
        while len(self.facts) > FACTS_KEPT:
            del self.facts[next(iter(self.facts))]
        while len(self.tasks) > TASKS_KEPT:
            del self.tasks[next(iter(self.tasks))]
        del self.playback.items[: max(0, len(self.playback.items) - PLAYED_KEPT)]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CallState)


def snapshot(state: CallState) -> bytes:
    """The state as bytes for the session's record."""
    return _encoder.encode(state)


def restore(data: bytes) -> CallState:
    """The state of a snapshot. Raises msgspec.ValidationError on anything else."""
    return _decoder.decode(data)
