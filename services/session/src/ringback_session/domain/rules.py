"""What a call pins at its start: the turn rules of its bundle and the tools of its pack."""

from __future__ import annotations

from enum import StrEnum

import msgspec

__all__ = ["ActionFallback", "Effect", "GateFallback", "RuleName", "SideEffect", "Tool", "TurnRules"]


class SideEffect(StrEnum):
    """What an action does to the world."""

    READ = "read"
    WRITE = "write"
    IRREVERSIBLE = "irreversible"


class Effect(StrEnum):
    """What policy answers; a later one is stricter."""

    ALLOW = "allow"
    CONFIRM = "confirm"
    ESCALATE = "escalate"
    DENY = "deny"


class RuleName(StrEnum):
    """The turn rules that are counted, by the name under which facts and metrics know them."""

    FILLER = "filler"
    SLOW_MODEL = "slow_model"
    PROGRESS = "progress"
    BREVITY = "brevity"
    ONE_QUESTION = "one_question"
    IDLE_PROMPT = "idle_prompt"
    BACKCHANNEL = "backchannel"
    RESUME = "resume"
    PERSON_WAIT = "person_wait"


class ActionFallback(msgspec.Struct, frozen=True):
    """What happens to a class of actions while policy is away."""

    effect: Effect
    say: str = ""


class GateFallback(msgspec.Struct, frozen=True):
    """What happens at a gate while policy is away or late, and which layer wants it so."""

    effect: Effect
    say: str = ""
    layer: str = ""


class TurnRules(msgspec.Struct, frozen=True):
    """Parameters of the interaction layer that the core applies without asking; times in ms.

    At 0 `filler_after_ms`, `model_slow_after_ms`, `silence_ms_max`, `words_max`, `questions_max`,
    `backchannel_window_ms`, `resume_within_ms`, `idle_ms` and `hold_prompt_after_ms` switch their rule off; with
    `person_wait_ms_max` at 0 a person is awaited for as long as the caller stays.
    """

    filler_after_ms: int = 900
    model_slow_after_ms: int = 0
    fillers: tuple[str, ...] = ("One moment, please.", "I'm still looking into it.")
    silence_ms_max: int = 6_000
    progress_texts: tuple[str, ...] = ("This is taking a little longer than usual.",)
    words_max: int = 60
    output_tokens_max: int = 1_024
    clarify_max: int = 2
    confidence_min: float = 0.5
    client_tools: str = "deny"
    input_gate: str = "blocking"
    output_gate: str = "off"
    hold_audio_ms: int = 0
    result_gate: str = "off"
    client_instructions: bool = False
    consent_without_confidence: str = "repeat_value"
    decision_timeout_ms: int = 800
    say_person: str = "I'm handing you over to a colleague now. One moment."
    say_unavailable: str = "I can't do that right now. I've made a note, and someone will get back to you."
    say_bridge: str = "Sorry, I lost you for a second. I'm back."
    say_consent_expired: str = "I didn't get a clear yes in time, so I have not done anything."
    backchannel_window_ms: int = 0
    backchannel_ms_max: int = 650
    backchannel_level_min: float = -50.0
    backchannel_words: tuple[str, ...] = ()
    interruption_words: tuple[str, ...] = ()
    backchannel_confidence_min: float = 0.0
    backchannel_unsure: str = "wait"
    resume_within_ms: int = 0
    idle_ms: int = 0
    idle_prompts: tuple[str, ...] = ("Are you still there?",)
    idle_prompts_max: int = 2
    say_goodbye: str = ""
    hold_prompt_after_ms: int = 20_000
    hold_prompts: tuple[str, ...] = ("Please hold, I am still trying to reach somebody for you.",)
    person_wait_ms_max: int = 120_000
    person_late: str = "callback"
    say_callback: str = (
        "I am sorry, nobody is free at the moment. I have made a note, and somebody will call you back."
    )
    say_nobody_free: str = "I am sorry, nobody is free at the moment. Let me see what I can do for you."
    questions_max: int = 0
    questions_over: str = "count"
    fallbacks: dict[SideEffect, ActionFallback] = {}
    # By gate, for input, output and result: what holds while policy is away.
    gate_fallbacks: dict[str, GateFallback] = {}
    # Tools whose decision reads slots; None: any may, as policy did not tell, or was found to decide by other rules.
    slot_readers: tuple[str, ...] | None = None

    def reads_slots(self, tool: str) -> bool:
        """Must a decision about this tool wait for what memory knows?"""
        return self.slot_readers is None or tool in self.slot_readers

    def gate_fallback(self, gate: str) -> GateFallback:
        """The declared fallback of a gate; undeclared it stays open, and says so in the stream."""
        return self.gate_fallbacks.get(gate, GateFallback(effect=Effect.ALLOW))

    def fallback(self, side_effect: SideEffect) -> ActionFallback:
        """The declared fallback; undeclared: reads proceed, everything else stops."""
        if side_effect in self.fallbacks:
            return self.fallbacks[side_effect]
        stop = Effect.ALLOW if side_effect is SideEffect.READ else Effect.DENY
        return ActionFallback(effect=stop, say="" if stop is Effect.ALLOW else self.say_unavailable)


class Tool(msgspec.Struct, frozen=True):
    """A tool that the platform runs for the agent."""

    name: str
    version: str
    description: str
    parameters_json: str
    side_effect: SideEffect
    deadline_ms: int
    slow_after_ms: int = 0
    dependency: str = ""
    internal: bool = False
    # A function of the platform itself, never executed by tools; `target`: the agent that it hands over to.
    platform: bool = False
    target: str = ""

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])
