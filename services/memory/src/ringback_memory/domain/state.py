"""Owns the shape of what is known of one call. Everything is frozen; the fold replaces, never changes."""

from __future__ import annotations

import msgspec

from ringback_memory.domain.events import Position

FOLD_VERSION = 3
"""Raised when the same events would fold to another state; a stored record of another version is folded
anew.
"""

OPEN_STATUSES = frozenset({"requested", "confirming", "running", "unknown"})
TRUSTED_SOURCES = frozenset({"tool", "read_back"})


class Old(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value that a slot had before."""

    value_json: str
    position: Position


class Slot(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value and where it came from. `ttl_ms` 0: never stale. `source`: caller, agent, tool, read_back."""

    name: str
    value_json: str
    normalised: str
    source: str
    position: Position
    confidence: float
    at_ms: int
    ttl_ms: int = 0
    superseded: tuple[Old, ...] = ()

    def stale(self, now_ms: int) -> bool:
        """Whether its time to live has passed."""
        return self.ttl_ms > 0 and now_ms - self.at_ms > self.ttl_ms


class Task(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something owed. `status`: open, done, blocked or dropped; `kind`: request or promise.

    `inferred`: read from what was said, not opened by the session; `tool` is then the one that would serve it.
    """

    task_id: str
    title: str
    kind: str
    status: str
    owed_by: str
    evidence: str
    action_id: str
    position: Position
    item_id: str = ""
    tool: str = ""
    inferred: bool = False


class Entity(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Somebody or something that the call is about. `kind`: the slot or field that holds it, else `name`."""

    name: str
    kind: str
    mentions: int
    position: Position


class Action(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`status`: requested, confirming, running, unknown, ok, failed or not_started."""

    action_id: str
    tool: str
    arguments_json: str
    status: str
    position: Position
    side_effect: str = ""
    call_ids: tuple[str, ...] = ()
    consent_id: str = ""
    message: str = ""
    result_json: str = ""
    finished: Position | None = None
    model_bytes: int = 0
    """What its arguments and result take in the model's conversation."""

    @property
    def is_open(self) -> bool:
        """Whether its end is not known yet."""
        return self.status in OPEN_STATUSES


class Consent(msgspec.Struct, frozen=True, array_like=True, gc=False):
    consent_id: str
    action_id: str
    read_back: str
    expires_at_ms: int
    position: Position
    reading: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether it was asked and neither given, refused nor voided; an unclear answer leaves it pending."""
        return self.reading in ("", "unclear")


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A value fetched for a rule."""

    name: str
    tool: str
    value_json: str
    position: Position
    at_ms: int
    ttl_ms: int
    arguments_json: str = ""


class Decision(msgspec.Struct, frozen=True, array_like=True, gc=False):
    decision_id: str
    gate: str
    tool: str
    effect: str
    rule: str
    layer: str
    position: Position


class Turn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One utterance as it was heard. `speaker`: caller or agent."""

    speaker: str
    text: str
    position: Position
    item_id: str
    audio_ms: int = 0
    kind: str = "reply"
    unheard: bool = False
    asks: bool = False
    uncertain: bool = False


class SummaryLine(msgspec.Struct, frozen=True, array_like=True, gc=False):
    text: str
    position: Position
    weight: int


class Summary(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is left of the turns that were folded away, in their own words."""

    lines: tuple[SummaryLine, ...] = ()
    turns: int = 0
    through: Position = Position()

    @property
    def text(self) -> str:
        """The lines, oldest first."""
        return "\n".join(line.text for line in self.lines)


class Counts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the fold saw and could not use."""

    folded: int = 0
    unknown_kinds: int = 0
    newer_schemas: int = 0
    unreadable: int = 0
    dropped: int = 0


class State(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of one call as of `position`."""

    version: int = FOLD_VERSION
    position: Position = Position()
    tenant: str = ""
    session_id: str = ""
    caller_id: str = ""
    pack: str = ""
    pack_digest: str = ""
    bundle_digest: str = ""
    agent: str = ""
    started_ms: int = 0
    last_ms: int = 0
    ended: str = ""
    generation: int = 0
    focus: str = ""
    """The group of slots that the caller speaks of, where a schema has several."""
    slots: dict[str, Slot] = {}
    tasks: dict[str, Task] = {}
    actions: dict[str, Action] = {}
    consents: dict[str, Consent] = {}
    facts: dict[str, Fact] = {}
    decisions: tuple[Decision, ...] = ()
    turns: tuple[Turn, ...] = ()
    turns_bytes: int = 0
    spilled_item_ids: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()
    correcting: bool = False
    promises: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    """What the caller said of lasting likes and needs, in the caller's words."""
    entities: dict[str, Entity] = {}
    closed_elsewhere: tuple[str, ...] = ()
    """Tasks of earlier calls that were closed in this one."""
    handoffs: tuple[str, ...] = ()
    summary: Summary = Summary()
    summary_epoch: int = 0
    counts: Counts = Counts()


def pending_actions(state: State) -> tuple[Action, ...]:
    """The open actions, oldest first."""
    return tuple(action for action in state.actions.values() if action.is_open)


def open_tasks(state: State) -> tuple[Task, ...]:
    """What is still owed, oldest first."""
    return tuple(task for task in state.tasks.values() if task.status in ("open", "blocked"))


def pending_consents(state: State) -> tuple[Consent, ...]:
    """The read-backs that wait for an answer."""
    return tuple(consent for consent in state.consents.values() if consent.is_pending)
