"""What a call has used: tokens by kind and model, what they cost as far as prices are known, and its budgets.

Money is whole pico-dollars (10⁻¹² USD): a price per million tokens has at most six decimals, so every sum is exact, in
whatever order it is made.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

__all__ = [
    "PICO",
    "Account",
    "Budget",
    "Budgets",
    "ModelUsage",
    "Price",
    "Tokens",
    "Usage",
    "charge",
    "count",
    "crossed",
]

PICO = 10**12
MODELS_KEPT = 8
SEEN_KEPT = 512
OTHER_MODELS = "other"


class Tokens(msgspec.Struct, frozen=True, omit_defaults=True):
    """How much was used, each once: cached tokens are in no other count; `other` has no known kind."""

    text_in: int = 0
    text_cached: int = 0
    text_out: int = 0
    audio_in: int = 0
    audio_cached: int = 0
    audio_out: int = 0
    image_in: int = 0
    image_cached: int = 0
    other_in: int = 0
    other_out: int = 0
    # Audio that was transcribed, or made of a text, and is billed by time.
    audio_ms: int = 0

    def __add__(self, more: Tokens) -> Tokens:
        return Tokens(**{name: getattr(self, name) + getattr(more, name) for name in self.__struct_fields__})

    @property
    def total(self) -> int:
        """All tokens; time is no token."""
        return sum(getattr(self, name) for name in self.__struct_fields__ if name != "audio_ms")


class Price(msgspec.Struct, frozen=True):
    """Pico-dollars for one token of a kind, and for one ms of audio; what is not there is not known."""

    tokens: Mapping[str, int] = {}
    audio_ms: int | None = None


class ModelUsage(msgspec.Struct, omit_defaults=True):
    """What one model was used for; `unpriced` are the tokens, and ms of audio, that no price is known for."""

    tokens: Tokens = Tokens()
    reports: int = 0
    cost_pico: int = 0
    unpriced: int = 0


class Usage(msgspec.Struct, omit_defaults=True):
    """What a call has used. `unreported`: answers of the model whose usage never came."""

    models: dict[str, ModelUsage] = {}
    seen: list[str] = []
    unreported: int = 0

    @property
    def tokens(self) -> int:
        return sum(model.tokens.total for model in self.models.values())

    @property
    def cost_pico(self) -> int:
        """The known part of the cost: all of it only where nothing is unpriced or unreported."""
        return sum(model.cost_pico for model in self.models.values())

    @property
    def unpriced(self) -> int:
        return sum(model.unpriced for model in self.models.values())


class Budget(msgspec.Struct, frozen=True, omit_defaults=True):
    """Two limits each on money and on tokens; 0: none. Tokens hold where prices are unknown."""

    soft_pico: int = 0
    hard_pico: int = 0
    soft_tokens: int = 0
    hard_tokens: int = 0


class Budgets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tenant may spend: in one session, and in one day (UTC) on all of them."""

    session: Budget = Budget()
    day: Budget = Budget()
    # At the hard limit: `end` says `say` and ends the call, `refuse` refuses further replies.
    on_hard: str = "end"
    say: str = "I'm sorry, I have to end our conversation here. Please call again later."
    # What the model is told at the soft limit; empty: nothing.
    instruction: str = ""


class Account(msgspec.Struct, omit_defaults=True):
    """What a call has used of what it may. `marks`: the limits that it has reached; `spent`: the hard one."""

    usage: Usage = msgspec.field(default_factory=Usage)
    budgets: Budgets = Budgets()
    marks: list[str] = []
    spent: bool = False
    goodbye_waits: int = 0


def charge(tokens: Tokens, price: Price | None) -> tuple[int, int]:
    """What this costs in pico-dollars, and how much of it has no price."""
    cost = unpriced = 0
    for name in tokens.__struct_fields__:
        used = getattr(tokens, name)
        if not used:
            continue
        rate = None if price is None else price.audio_ms if name == "audio_ms" else price.tokens.get(name)
        if rate is None:
            unpriced += used
        else:
            cost += used * rate
    return cost, unpriced


def count(usage: Usage, key: str, model: str, tokens: Tokens, *, cost_pico: int, unpriced: int) -> bool:
    """Add what was reported; False for what has been counted before."""
    if key in usage.seen:
        return False
    usage.seen.append(key)
    del usage.seen[:-SEEN_KEPT]
    if model not in usage.models and len(usage.models) >= MODELS_KEPT:
        model = OTHER_MODELS
    of = usage.models.setdefault(model, ModelUsage())
    of.tokens += tokens
    of.reports += 1
    of.cost_pico += cost_pico
    of.unpriced += unpriced
    return True


def crossed(budget: Budget, *, cost_pico: int, tokens: int) -> str:
    """The highest limit that has been reached: hard, soft or none (empty)."""
    if 0 < budget.hard_pico <= cost_pico or 0 < budget.hard_tokens <= tokens:
        return "hard"
    if 0 < budget.soft_pico <= cost_pico or 0 < budget.soft_tokens <= tokens:
        return "soft"
    return ""
