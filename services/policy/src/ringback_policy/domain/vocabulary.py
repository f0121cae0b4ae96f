"""Owns the closed sets of words that bundles, requests and decisions share, and their order of strictness."""

from enum import IntEnum, StrEnum

__all__ = ["BOUND_KINDS", "Effect", "Gate", "Layer", "Reading", "SideEffect", "stricter"]


class Gate(StrEnum):
    """Where a decision is asked for."""

    INPUT = "input"
    ACTION = "action"
    RESULT = "result"
    OUTPUT = "output"
    HANDOFF = "handoff"


class Effect(IntEnum):
    """What a decision says; a greater value is stricter."""

    ALLOW = 1
    CONFIRM = 2
    ESCALATE = 3
    DENY = 4


class Layer(StrEnum):
    """Which file of the bundle a rule stands in."""

    INTERACTION = "interaction"
    DOMAIN = "domain"
    SAFETY = "safety"
    ACTIONS = "actions"


class SideEffect(IntEnum):
    """What an action does to the world; a greater value is stricter."""

    READ = 1
    WRITE = 2
    IRREVERSIBLE = 3


class Reading(StrEnum):
    """What a caller's answer to a read-back means."""

    YES = "yes"
    NO = "no"
    CORRECTION = "correction"
    UNCLEAR = "unclear"


BOUND_KINDS = ("id", "money", "date", "time", "phone", "number", "text")


def stricter(one: Effect, other: Effect) -> Effect:
    """The stricter of two effects."""
    return max(one, other)
