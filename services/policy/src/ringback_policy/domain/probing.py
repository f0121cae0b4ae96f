"""Owns the type check of conditions: each is tried over sample values of the declared types.

The engine checks no types before evaluation, so a condition that compares a text with a number is found by trying it.
A part that `&&` or `||` skips for every sample is not reached; bundle tests cover what this does not.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from ringback_policy.domain.conditions import Condition, ConditionError, Environment
from ringback_policy.domain.declared import Declared
from ringback_policy.domain.vocabulary import Gate

__all__ = ["type_problem"]

_SAMPLES: tuple[Mapping[str, Any], ...] = (
    {"string": "", "number": 0.0, "integer": 0, "boolean": False, "list": [], "object": {}},
    {"string": "a", "number": 1e6, "integer": 1_000_000, "boolean": True, "list": [], "object": {}},
)
# Roots whose members have no declared type.
_DYNAMIC = frozenset({"slots", "result"})


def type_problem(
    condition: Condition, declared: Declared, *, gate: Gate, actions: Iterable[str]
) -> str | None:
    """What is wrong with the types of a condition; None when nothing was found or its types are not declared."""
    names = tuple(actions)
    if not _is_typed(condition, declared, names):
        return None
    for sample in _SAMPLES:
        values = _values(condition, declared, names, sample)
        try:
            value = condition.value(Environment(values))
        except ConditionError as error:
            if "overload" in str(error).lower() or "type" in str(error).lower():
                return f"when: the types do not fit: expected operands of one type, such as a text and a text ({error})"
            continue
        if not isinstance(value, bool):
            return f"when: expected a condition that is true or false, got {type(value).__name__}"
    return None


def _is_typed(condition: Condition, declared: Declared, actions: tuple[str, ...]) -> bool:
    for path in condition.paths:
        if path[0] in _DYNAMIC:
            return False
        if path[0] == "facts" and not declared.facts.get(path[1] if len(path) > 1 else ""):
            return False
        if path[0] == "args" and not (actions and declared.arguments.get(actions[0])):
            return False
    return True


def _values(
    condition: Condition, declared: Declared, actions: tuple[str, ...], sample: Mapping[str, Any]
) -> dict[str, Any]:
    text, number, yes = sample["string"], sample["integer"], sample["boolean"]
    totals: dict[str, Any] = {}
    for path in condition.paths:
        if path[:2] == ("session", "totals") and len(path) > 2:
            sums = {"sums": {path[4]: sample["number"]} if len(path) > 4 else {}}
            totals[path[2]] = {"requested": number, "succeeded": number, "failed": number, **sums}
    return {
        "facts": {
            name: {f: sample[kind] for f, kind in fields.items()} for name, fields in declared.facts.items()
        },
        "args": {f: sample[kind] for name in actions for f, kind in declared.arguments.get(name, {}).items()},
        "action": {
            "id": text,
            "tool": text,
            "version": text,
            "side_effect": text,
            "client_tool": yes,
            "consented": yes,
        },
        "caller": {"id": text, "auth_level": number, "scopes": [text], "tenant": text},
        "session": {
            **{
                "id": text,
                "pack": text,
                "agent": text,
                "turn": number,
                "epoch": number,
                "elapsed_ms": number,
            },
            **{"totals": totals, "open_breakers": [text], "irreversible_forbidden": yes},
            "actions": [{"id": text, "tool": text, "status": text, "age_ms": number, "args": {}}],
            "consents": [{"id": text, "action_id": text, "reading": text}],
        },
        "utterance": {"text": text, "confidence": sample["number"], "language": text},
        "speech": {"text": text, "final": yes, "words": number, "questions": number},
        "handoff": {"from_agent": text, "to_agent": text, "reason": text, "depth": number},
        "now": datetime(2000, 1, 1, tzinfo=UTC),
    }
