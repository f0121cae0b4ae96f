"""Inputs that come of looking after a call: what it used, and what a person does about it."""

from __future__ import annotations

import msgspec

from ringback_session.domain.usage import Tokens

__all__ = ["BudgetReached", "UpkeepInput", "UsageReported"]


class _Input(msgspec.Struct, frozen=True, tag=True):
    pass


class UsageReported(_Input, frozen=True):
    """What the model used for one response or transcription; `key` is the same for the same one."""

    key: str
    model: str
    tokens: Tokens
    cost_pico: int = 0
    unpriced: int = 0
    response_id: str = ""
    item_id: str = ""


class BudgetReached(_Input, frozen=True):
    """The tenant has spent what it may: level soft or hard."""

    level: str
    scope: str = "tenant"


UpkeepInput = UsageReported | BudgetReached
