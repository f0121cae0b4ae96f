"""Inputs that come of looking after a call: what it used, and what a person does about it or about its tools."""

from __future__ import annotations

import msgspec

from ringback_session.domain.usage import Tokens

__all__ = [
    "BudgetReached",
    "OperatorEnded",
    "OperatorHandedBack",
    "OperatorNoted",
    "OperatorSaid",
    "OperatorTookOver",
    "OperatorTransferred",
    "ToolsSwitched",
    "UpkeepInput",
    "UsageReported",
]


class _Input(msgspec.Struct, frozen=True, tag=True):
    pass


class UsageReported(_Input, frozen=True):
    """What a model used for one response, transcription or step of a consultation; `key` tells it from others."""

    key: str
    model: str
    tokens: Tokens
    cost_pico: int = 0
    unpriced: int = 0
    response_id: str = ""
    item_id: str = ""
    consult_id: str = ""


class BudgetReached(_Input, frozen=True):
    """The tenant has spent what it may: level soft or hard."""

    level: str
    scope: str = "tenant"


class OperatorTookOver(_Input, frozen=True):
    """A person speaks with the caller from now on."""

    actor: str
    reason: str = ""


class OperatorHandedBack(_Input, frozen=True):
    """The agent is to go on; `note` is for it alone."""

    actor: str
    reason: str = ""
    note: str = ""


class OperatorSaid(_Input, frozen=True):
    """A line for the caller to hear."""

    actor: str
    text: str
    reason: str = ""


class OperatorNoted(_Input, frozen=True):
    """Something for the model to know; role: system or assistant. With `reply` it is to speak of it."""

    actor: str
    text: str
    role: str = "system"
    reply: bool = False
    reason: str = ""


class OperatorTransferred(_Input, frozen=True):
    """To an agent of the pack; to a person without one."""

    actor: str
    agent: str = ""
    reason: str = ""


class OperatorEnded(_Input, frozen=True):
    """The call is about to be ended by a person."""

    actor: str
    reason: str = ""


class ToolsSwitched(_Input, frozen=True):
    """All tools that operators have switched off, now: `name`, or `name@MAJOR.MINOR` for one version."""

    off: tuple[str, ...] = ()


UpkeepInput = (
    UsageReported
    | BudgetReached
    | OperatorTookOver
    | OperatorHandedBack
    | OperatorSaid
    | OperatorNoted
    | OperatorTransferred
    | OperatorEnded
    | ToolsSwitched
)
