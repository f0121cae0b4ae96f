"""Owns the read-back: the sentence that states what will be done, and the values in it that must be heard."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ringback_policy.domain.model import ConsentRule
from ringback_policy.domain.subjects import ONCE_MORE, ActionSubject, BoundValue, ReadBack
from ringback_policy.domain.templates import Renderer, lookup

__all__ = ["client_read_back", "once_more", "read_back"]

CLIENT_EXPIRES_AFTER_MS = 30_000


def read_back(
    rule: ConsentRule,
    values: Mapping[str, Any],
    *,
    states: str,
    digest: str,
    renderer: Renderer,
    clarify_max: int,
) -> ReadBack:
    """The read-back of an action; what a rule states stands before it, so that a yes covers it too.

    Raises TemplateError when a value is missing.
    """
    text = rule.template.render(values, renderer)
    bound = []
    for place in rule.must_contain:
        bound.append(BoundValue(place.path[-1], lookup(values, place.path), place.kind))
    return ReadBack(
        text=f"{states} {text}".strip(),
        must_contain=tuple(bound),
        arguments_digest=digest,
        expires_after_ms=rule.expires_after_ms,
        clarify_max=rule.clarify_max if rule.clarify_max >= 0 else clarify_max,
        states=states,
    )


def client_read_back(action: ActionSubject, *, clarify_max: int) -> ReadBack:
    """The read-back of a tool that the client brought along, of which the bundle knows nothing but the name."""
    name = action.tool.replace("_", " ").replace("-", " ").strip()
    return ReadBack(
        text=f"I am about to use {name}. Shall I go ahead?",
        must_contain=(BoundValue("tool", name, "text"),),
        arguments_digest=action.arguments_digest,
        expires_after_ms=CLIENT_EXPIRES_AFTER_MS,
        clarify_max=clarify_max,
    )


def once_more(made: ReadBack, words: str) -> ReadBack:
    """The same, begun by words that say that it was done already; a caller who does not hear them must not agree."""
    bound = (BoundValue(ONCE_MORE, words, "text"), *made.must_contain)
    return msgspec.structs.replace(made, text=f"{words} {made.text}", must_contain=bound, once_more=words)
