"""Reads the `messages` of a tool: what a result says to the caller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ringback_packs import forms
from ringback_packs.fields import Fields, Place, kind_of
from ringback_packs.findings import near
from ringback_packs.model import MessageRule
from ringback_packs.templates import SAID_ROOTS, check_templates
from ringback_packs.yaml_tree import Scalar

__all__ = ["read_messages"]

RULES_MAX = 32
CHARS_MAX = 500


def read_messages(
    fields: Fields | None, *, parameters: Mapping[str, Any], result: Mapping[str, Any] | None
) -> tuple[tuple[MessageRule, ...], dict[str, str]]:
    """Return the sentences for good results, and those by error code."""
    if fields is None:
        return (), {}
    rules: list[MessageRule] = []
    errors: dict[str, str] = {}
    for name, place in fields.entries():
        if name == "ok":
            read = (
                _rule(item, parameters=parameters, result=result) for item in place.items(count_max=RULES_MAX)
            )
            rules = [rule for rule in read if rule is not None]
        elif name not in forms.MESSAGE_NAMES:
            place.error(
                f"ok, or one of {', '.join(forms.MESSAGE_NAMES)} expected{near(name, forms.MESSAGE_NAMES)}"
            )
        elif (text := _sentence(place)) is not None:
            check_templates(place, roots=("arguments",), parameters=parameters)
            errors[name] = text
    return tuple(rules), errors


def _rule(
    place: Place, *, parameters: Mapping[str, Any], result: Mapping[str, Any] | None
) -> MessageRule | None:
    fields = place.fields()
    if fields is None:
        return None
    when = fields.below("when")
    properties = (result or {}).get("properties")
    known = list(properties) if isinstance(properties, dict) else []
    for name, inner in when.entries() if when else ():
        if known and name not in known:
            inner.error(f"a field of the result ({', '.join(known)}) expected{near(name, known)}")
        elif not isinstance(inner.node, Scalar):
            inner.error(f"a single value expected, got {kind_of(inner.node)}")
    rule = MessageRule(say=fields.text("say", chars_max=CHARS_MAX), when=fields.data("when") if when else {})
    check_templates(fields.at("say"), roots=SAID_ROOTS, parameters=parameters, result=result)
    fields.done()
    return rule


def _sentence(place: Place) -> str | None:
    value = place.node.value if isinstance(place.node, Scalar) else None
    if not isinstance(value, str) or not value.strip() or len(value) > CHARS_MAX:
        place.error(f"a sentence of at most {CHARS_MAX} characters expected")
        return None
    return value
