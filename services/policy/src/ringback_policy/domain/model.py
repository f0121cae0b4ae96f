"""Owns the compiled bundle: what evaluation reads, indexed so that a decision touches only the rules it may need."""

from collections.abc import Mapping

import msgspec

from ringback_policy.domain.conditions import Condition
from ringback_policy.domain.environment import FieldChecks
from ringback_policy.domain.phrases import PhraseSet
from ringback_policy.domain.redaction import Redactor
from ringback_policy.domain.templates import Place, Template
from ringback_policy.domain.together import Together
from ringback_policy.domain.verdicts import Verdict
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect

__all__ = [
    "ANY_ACTION",
    "ActionPolicy",
    "Bundle",
    "ConsentRule",
    "FactSpec",
    "Fallback",
    "GateFallback",
    "OnError",
    "PhraseRule",
    "PromptTexts",
    "Rule",
    "RuleSet",
    "SlotReaders",
    "TurnRules",
]

ANY_ACTION = "*"


class Model(msgspec.Struct, frozen=True):
    """An immutable part of a bundle."""


class OnError(Model, frozen=True):
    """What a rule means when it cannot be evaluated."""

    effect: Effect
    say: str = ""


class Rule(Model, frozen=True):
    """One rule; it fires when its condition is true.

    `verdict` is what it then says, but for the sentences that read variables: those are `say` and `states`.
    """

    verdict: Verdict
    gate: Gate
    actions: tuple[str, ...]
    when: Condition | None
    on_error: OnError
    say: Template | None = None
    states: Template | None = None
    needs: tuple[str, ...] = ()
    line: int = 0

    @property
    def rule_id(self) -> str:
        """Its name."""
        return self.verdict.rule

    @property
    def layer(self) -> Layer:
        """The file it stands in."""
        return self.verdict.layer

    @property
    def effect(self) -> Effect:
        """What it says when it fires."""
        return self.verdict.effect

    @property
    def reason(self) -> str:
        """Why, in its author's words."""
        return self.verdict.reason


class FactSpec(Model, frozen=True):
    """A fact, the read-only tool that yields it, and the types of the fields that conditions may rely on."""

    name: str
    tool: str
    arguments: Mapping[str, Condition]
    ttl_ms: int
    fields: Mapping[str, str] = {}
    # Facts that the arguments are taken from; they are fetched first.
    needs: tuple[str, ...] = ()
    # Of the fields, in the form in which values are held against them.
    checks: FieldChecks = ()


class ConsentRule(Model, frozen=True):
    """How an action is read back, which values must be heard, and how long a yes may take."""

    template: Template
    must_contain: tuple[Place, ...]
    expires_after_ms: int
    clarify_max: int
    needs: tuple[str, ...] = ()


class ActionPolicy(Model, frozen=True):
    """What the bundle says of one action; an absent side effect leaves the pack's."""

    tool: str
    side_effect: SideEffect | None
    # What holds before any rule is asked, by the class that the action turns out to be of.
    by_class: Mapping[SideEffect, Verdict]
    consent: ConsentRule | None
    scopes: tuple[str, ...] = ()
    effect: Effect | None = None
    arguments: Mapping[str, str] = {}
    # Of the arguments, in the form in which values are held against them.
    checks: FieldChecks = ()


class Fallback(Model, frozen=True):
    """What to do with a class of actions when policy is away."""

    side_effect: SideEffect
    effect: Effect
    say: str


# What listeners say to show that they listen. A hum is written in many ways; recognisers write even "mama" for it.
BACKCHANNELS = (
    *("mm", "mhm", "mm-hmm", "hmm", "hm", "huh", "uh-huh", "aha", "ah", "oh", "uh", "um", "mama", "mum"),
    *("yeah", "yep", "yes", "okay", "ok", "right", "sure", "all right", "i see", "got it", "good", "great"),
)


class GateFallback(Model, frozen=True):
    """What to do at a gate of words when policy is away, and the layer that wants it so."""

    gate: Gate
    effect: Effect
    say: str
    layer: Layer


class TurnRules(Model, frozen=True):
    """Parameters that the core applies without asking; the proto states their meaning and units."""

    filler_after_ms: int = 600
    model_slow_after_ms: int = 0
    fillers: tuple[str, ...] = ("One moment.", "Let me check that for you.")
    silence_ms_max: int = 4000
    progress_texts: tuple[str, ...] = ("I am still working on it.", "This takes a little longer than usual.")
    words_max: int = 60
    output_tokens_max: int = 400
    clarify_max: int = 2
    confidence_min: float = 0.6
    client_tools: str = "deny"
    input_gate: str = "parallel"
    output_gate: str = "parallel"
    hold_audio_ms: int = 0
    client_instructions: bool = False
    consent_without_confidence: str = "repeat_value"
    decision_timeout_ms: int = 300
    say_person: str = "I will pass you on to a colleague now."
    say_unavailable: str = "I cannot do that right now, so nothing has been changed."
    say_bridge: str = "Sorry, I lost you for a moment. I am back."
    say_consent_expired: str = "I did not get your answer in time, so I have not done anything."
    say_once_more: str = "This was already done in this call. Once more:"
    backchannel_window_ms: int = 0
    backchannel_ms_max: int = 650
    backchannel_level_min: float = -50.0
    backchannel_words: tuple[str, ...] = BACKCHANNELS
    interruption_words: tuple[str, ...] = ("stop", "wait", "no", "hold on", "hang on", "excuse me")
    backchannel_confidence_min: float = 0.6
    backchannel_unsure: str = "wait"
    resume_within_ms: int = 0
    idle_ms: int = 0
    idle_prompts: tuple[str, ...] = ("Are you still there?",)
    idle_prompts_max: int = 2
    say_goodbye: str = ""
    hold_prompt_after_ms: int = 20_000
    hold_prompts: tuple[str, ...] = (
        "Please hold, I am still trying to reach somebody for you.",
        "Thank you for waiting. Somebody will be with you as soon as they can.",
    )
    person_wait_ms_max: int = 120_000
    person_late: str = "callback"
    say_callback: str = (
        "I am sorry, nobody is free at the moment. I have made a note, and somebody will call you back."
    )
    say_nobody_free: str = "I am sorry, nobody is free at the moment. Let me see what I can do for you."
    questions_max: int = 1
    questions_over: str = "count"
    # Not an author's to set: whether the bundle has anything to say of results.
    result_gate: str = "off"


class PromptTexts(Model, frozen=True):
    """What the interaction, domain and safety layers add to an agent's prompt."""

    introduction: str = ""
    tone: str = ""
    brevity: str = ""
    guidance: tuple[str, ...] = ()
    domain: tuple[str, ...] = ()
    safety: tuple[str, ...] = ()


class PhraseRule(Model, frozen=True):
    """Phrases that decide at a gate when one of them is said."""

    rule_id: str
    gate: Gate
    effect: Effect
    say: str
    reason: str
    escalate: str
    redact: bool
    forbid_irreversible: bool
    line: int = 0


class RuleSet(Model, frozen=True):
    """The rules that can apply to one (gate, action): those that need facts stand apart, asked after the plain ones.

    `plain_together` asks the plain ones, `together` all, the plain ones first. `facts` are those that the rules need,
    `facts_read_back` these and those of the action's read-back, each after the ones that it takes arguments from.
    """

    plain: tuple[Rule, ...] = ()
    factual: tuple[Rule, ...] = ()
    facts: tuple[FactSpec, ...] = ()
    facts_read_back: tuple[FactSpec, ...] = ()
    plain_together: Together = Together()
    together: Together = Together()


class SlotReaders(Model, frozen=True):
    """The actions whose decision reads slots: all of them, or those of these tools."""

    every: bool = False
    tools: frozenset[str] = frozenset()

    def reads(self, tool: str) -> bool:
        """Whether a decision about this tool does."""
        return self.every or tool in self.tools


class Bundle(Model, frozen=True):
    """A compiled bundle. `digest` is of its canonical content."""

    digest: str
    pack: str
    versions: Mapping[str, str]
    owners: Mapping[str, str]
    turn_rules: TurnRules
    prompt: PromptTexts
    facts: Mapping[str, FactSpec]
    actions: Mapping[str, ActionPolicy]
    default_effect: Effect
    fallbacks: tuple[Fallback, ...]
    rules: tuple[Rule, ...]
    index: Mapping[tuple[Gate, str], RuleSet]
    phrase_sets: Mapping[Gate, tuple[PhraseSet, tuple[PhraseRule, ...]]]
    redactors: Mapping[Gate, Redactor]
    gate_fallbacks: tuple[GateFallback, ...] = ()
    slot_readers: SlotReaders = SlotReaders()

    def rules_for(self, gate: Gate, action: str) -> RuleSet:
        """The rules that may fire; for an action that no rule names, those that are for all."""
        return self.index.get((gate, action)) or self.index.get((gate, ANY_ACTION)) or EMPTY_RULES


EMPTY_RULES = RuleSet()
