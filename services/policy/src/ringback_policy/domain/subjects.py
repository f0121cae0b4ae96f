"""Owns what a decision is asked about and what it answers: requests, the session's view, facts, decisions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect

__all__ = [
    "ACTIONS_SEEN_MAX",
    "ONCE_MORE",
    "UNKNOWN",
    "ActionSubject",
    "ActionTotals",
    "BoundValue",
    "Caller",
    "Consent",
    "Decision",
    "Fact",
    "FactNeed",
    "HandoffSubject",
    "Obligations",
    "PastAction",
    "PastConsent",
    "ReadBack",
    "Request",
    "ResultSubject",
    "SessionView",
    "Slot",
    "Span",
    "SpeechSubject",
    "Subject",
    "UtteranceSubject",
]

ACTIONS_SEEN_MAX = 32
# Among the values of a read-back: its words that the same was done in this call already.
ONCE_MORE = "once_more"


class Frozen(msgspec.Struct, frozen=True, gc=False):
    """An immutable record."""


class Caller(Frozen, frozen=True):
    """Who is on the line; `auth_level` is 0 unknown, 1 identified, 2 verified."""

    caller_id: str = ""
    auth_level: int = 0
    scopes: tuple[str, ...] = ()


class PastAction(Frozen, frozen=True):
    """An action of this call; `status` is open, ok, failed, unknown or not_started."""

    action_id: str
    tool: str
    status: str
    age_ms: int
    arguments_json: str = "{}"


class ActionTotals(Frozen, frozen=True):
    """Counts of one tool over the whole call, and sums of its numeric arguments over succeeded actions."""

    tool: str
    requested: int = 0
    succeeded: int = 0
    failed: int = 0
    sums: Mapping[str, float] = {}


class Slot(Frozen, frozen=True):
    """A remembered value; `value_json` is kept as it came until a condition reads it."""

    name: str
    value_json: str
    as_of_seq: int = 0
    age_ms: int = 0
    confidence: float = 0.0


class PastConsent(Frozen, frozen=True):
    """A read-back of this call and how its answer was read."""

    consent_id: str
    action_id: str
    reading: str


UNKNOWN = Caller()


@dataclass(slots=True)
class SessionView:
    """What the core tells of the call: bounded and complete in itself. Nobody changes it."""

    session_id: str
    tenant: str = ""
    pack: str = ""
    agent: str = ""
    turn: int = 0
    epoch: int = 0
    as_of_seq: int = 0
    elapsed_ms: int = 0
    caller: Caller = UNKNOWN
    actions: tuple[PastAction, ...] = ()
    totals: tuple[ActionTotals, ...] = ()
    slots: tuple[Slot, ...] = ()
    consents: tuple[PastConsent, ...] = ()
    open_breakers: tuple[str, ...] = ()
    irreversible_forbidden: bool = False
    # The session did not wait for memory: `slots` are those of before, which a replay may read and a decision may not.
    slots_behind: bool = False

    def done_like(self, action: "ActionSubject") -> bool:
        """Whether the same tool succeeded in this call with the same arguments, as another action than this one."""
        return any(
            past.status == "ok"
            and past.tool == action.tool
            and past.arguments_json == action.arguments_json
            and past.action_id != action.action_id
            for past in self.actions
        )


class Consent(Frozen, frozen=True):
    """The caller's yes to a read-back; times in Unix ms."""

    consent_id: str
    arguments_digest: str
    given_at_ms: int
    expires_at_ms: int


class ActionSubject(Frozen, frozen=True):
    """A tool call before it runs."""

    action_id: str
    tool: str
    tool_version: str
    arguments_json: str
    arguments_digest: str
    side_effect: SideEffect
    consent: Consent | None = None
    client_tool: bool = False


class UtteranceSubject(Frozen, frozen=True):
    """What the caller said; an absent confidence is unknown, not low."""

    text: str
    confidence: float | None = None
    language: str = ""


class SpeechSubject(Frozen, frozen=True):
    """A sentence of the agent's speech, or the whole reply when `final`."""

    text: str
    final: bool = False


class ResultSubject(Frozen, frozen=True):
    """A tool's result before the model sees it."""

    action_id: str
    tool: str
    result_json: str


class HandoffSubject(Frozen, frozen=True):
    """A change of agent."""

    from_agent: str
    to_agent: str
    reason: str
    depth: int


Subject = ActionSubject | UtteranceSubject | SpeechSubject | ResultSubject | HandoffSubject


class Fact(Frozen, frozen=True):
    """A value that the session fetched with a read-only tool."""

    name: str
    tool: str
    arguments_json: str
    value_json: str
    age_ms: int
    unavailable: bool = False


class Request(Frozen, frozen=True):
    """One question to policy; `now_ms` is the session's clock, Unix ms."""

    decision_id: str
    gate: Gate
    tenant: str
    bundle_digest: str
    session: SessionView
    subject: Subject
    facts: tuple[Fact, ...]
    now_ms: int


class FactNeed(Frozen, frozen=True):
    """A fact that the session is asked to fetch; `ttl_ms` 0 never gets stale."""

    name: str
    tool: str
    arguments_json: str
    ttl_ms: int


class BoundValue(Frozen, frozen=True):
    """A value that the caller must hear; `kind` says how it sounds."""

    name: str
    value: str
    kind: str


class ReadBack(Frozen, frozen=True):
    """What is spoken before a consent, and what a yes to it binds."""

    text: str
    must_contain: tuple[BoundValue, ...]
    arguments_digest: str
    expires_after_ms: int
    clarify_max: int
    states: str = ""
    once_more: str = ""


class Span(Frozen, frozen=True):
    """Half-open, in characters."""

    start: int
    end: int


class Obligations(Frozen, frozen=True):
    """What the session must do besides the effect; zero and empty ask for nothing."""

    say: str = ""
    restate: bool = False
    redact: tuple[Span, ...] = ()
    hold_audio_ms: int = 0
    words_max: int = 0
    forbid_irreversible: bool = False
    escalate: str = ""


class Decision(Frozen, frozen=True):
    """The answer; `effect` is None while facts or slots are missing, `proof_until_ms` asks for a signed proof."""

    effect: Effect | None
    rule: str = ""
    layer: Layer | None = None
    reason: str = ""
    say: str = ""
    obligations: Obligations = Obligations()
    needs_facts: tuple[FactNeed, ...] = ()
    read_back: ReadBack | None = None
    proof_until_ms: int = 0
    consent_id: str = ""
    rule_errors: tuple[str, ...] = ()
    # Set when another bundle than the pinned one decided.
    bundle_digest: str = ""
    needs_slots: bool = False
    # Denied because it was done in this call, and there is no read-back in which to ask for it once more.
    done_already: bool = False


Json = Any
