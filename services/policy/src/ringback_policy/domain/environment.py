"""Owns the variables that conditions see, built from a request: only the roots that the rules at hand refer to."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from ringback_errors import InvalidInput

from ringback_policy.domain.subjects import (
    ActionSubject,
    Fact,
    HandoffSubject,
    Request,
    ResultSubject,
    SessionView,
    SpeechSubject,
    UtteranceSubject,
)

__all__ = ["JSON_BYTES_MAX", "fact_value", "json_object", "json_value", "subject_values", "variables"]

JSON_BYTES_MAX = 64 * 1024
RESULT_BYTES_MAX = 256 * 1024
_SIDE_EFFECTS = {1: "read", 2: "write", 3: "irreversible"}

_decoder = msgspec.json.Decoder()

Path = tuple[str, ...]


def json_value(text: str, *, field: str, bytes_max: int = JSON_BYTES_MAX) -> Any:
    """The value of a JSON text; raises InvalidInput naming the field."""
    if len(text) > bytes_max:
        raise InvalidInput(f"expected at most {bytes_max} bytes", field=field)
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise InvalidInput("expected JSON", field=field) from None


def json_object(text: str, *, field: str) -> dict[str, Any]:
    """The object of a JSON text; raises InvalidInput naming the field."""
    value = json_value(text or "{}", field=field)
    if not isinstance(value, dict):
        raise InvalidInput("expected a JSON object", field=field)
    return value


def variables(
    request: Request, paths: frozenset[Path], *, subject: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The variables that these paths need."""
    found: dict[str, Any] = {}
    for root, own in _by_root(paths):
        if root in subject:
            found[root] = subject[root]
        elif root == "facts":
            found[root] = facts
        elif root == "session":
            found[root] = _session(request, own)
        elif root == "slots":
            found[root] = _slots(request.session, own)
        elif root == "caller":
            found[root] = _caller(request)
        elif root == "now":
            found[root] = datetime.fromtimestamp(request.now_ms / 1000, UTC)
    return found


@lru_cache(maxsize=4096)
def _by_root(paths: frozenset[Path]) -> tuple[tuple[str, tuple[Path, ...]], ...]:
    """Kept per set of rules: the same few sets come with every decision."""
    roots: dict[str, list[Path]] = {}
    for path in sorted(paths):
        roots.setdefault(path[0], []).append(path)
    return tuple((root, tuple(own)) for root, own in roots.items())


def subject_values(request: Request, *, consented: bool = False) -> dict[str, Any]:
    """The subject's own variables; raises InvalidInput when its JSON is not what it should be."""
    match request.subject:
        case ActionSubject() as action:
            return {
                "args": json_object(action.arguments_json, field="action.arguments_json"),
                "action": {
                    "id": action.action_id,
                    "tool": action.tool,
                    "version": action.tool_version,
                    "side_effect": _SIDE_EFFECTS[action.side_effect],
                    "client_tool": action.client_tool,
                    "consented": consented,
                },
            }
        case UtteranceSubject() as utterance:
            # An unknown confidence is 1: the rules about low confidence do not speak of it.
            confidence = 1.0 if utterance.confidence is None else float(utterance.confidence)
            values = {"text": utterance.text, "confidence": confidence, "language": utterance.language}
            return {"utterance": values}
        case SpeechSubject() as speech:
            words = len(speech.text.split())
            values = {"text": speech.text, "final": speech.final, "words": words}
            return {"speech": {**values, "questions": speech.text.count("?")}}
        case ResultSubject() as result:
            value = json_value(
                result.result_json or "null", field="result.result_json", bytes_max=RESULT_BYTES_MAX
            )
            return {"result": {"tool": result.tool, "action_id": result.action_id, "value": value}}
        case HandoffSubject() as handoff:
            values = {"from_agent": handoff.from_agent, "to_agent": handoff.to_agent}
            return {"handoff": {**values, "reason": handoff.reason, "depth": handoff.depth}}


def fact_value(fact: Fact, fields: Mapping[str, str]) -> Any:
    """The fact's value with declared numbers as doubles; None when a declared field has another type."""
    value = json_value(fact.value_json or "null", field=f"facts.{fact.name}.value_json")
    if not fields:
        return value
    if not isinstance(value, dict):
        return None
    for name, kind in fields.items():
        if name not in value:
            continue
        # What was read from JSON has exactly these types: a boolean is no integer.
        if type(value[name]) not in _TYPES.get(kind, _OBJECT):
            return None
        if kind == "number":
            value[name] = float(value[name])
    return value


_OBJECT: tuple[type, ...] = (dict,)
_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "list": (list,),
}


def _caller(request: Request) -> dict[str, Any]:
    caller = request.session.caller
    return {
        "id": caller.caller_id,
        "auth_level": caller.auth_level,
        "scopes": list(caller.scopes),
        "tenant": request.tenant,
    }


def _slots(view: SessionView, paths: Sequence[Path]) -> dict[str, Any]:
    names = {path[1] for path in paths if len(path) > 1}
    return {
        slot.name: {
            "value": json_value(slot.value_json or "null", field=f"session.slots.{slot.name}"),
            "age_ms": slot.age_ms,
            "confidence": slot.confidence,
        }
        for slot in view.slots
        if not names or slot.name in names
    }


def _session(request: Request, paths: Sequence[Path]) -> dict[str, Any]:
    names = {path[1] for path in paths if len(path) > 1} or set(_SESSION_FIELDS) | {"totals"}
    view = request.session
    found = {name: _SESSION_FIELDS[name](view) for name in names if name in _SESSION_FIELDS}
    if "totals" in names:
        found["totals"] = _totals(request, paths)
    return found


def _totals(request: Request, paths: Sequence[Path]) -> dict[str, Any]:
    """Totals of all tools; tools and sums that a rule names are there with zeros when nothing happened yet."""
    found: dict[str, Any] = {
        total.tool: {
            "requested": total.requested,
            "succeeded": total.succeeded,
            "failed": total.failed,
            # NaN compares with nothing, so a sum that is no number takes the rule's fallback.
            "sums": {name: value if math.isfinite(value) else math.nan for name, value in total.sums.items()},
        }
        for total in request.session.totals
    }
    named = [path for path in paths if len(path) > 2 and path[1] == "totals"]
    if isinstance(request.subject, ActionSubject):
        named.append(("session", "totals", request.subject.tool))
    for path in named:
        entry = found.setdefault(path[2], {"requested": 0, "succeeded": 0, "failed": 0, "sums": {}})
        if len(path) > 4:
            entry["sums"].setdefault(path[4], 0.0)
    return found


def _actions(view: SessionView) -> list[dict[str, Any]]:
    return [
        {
            "id": action.action_id,
            "tool": action.tool,
            "status": action.status,
            "age_ms": action.age_ms,
            "args": json_object(action.arguments_json, field="session.actions.arguments_json"),
        }
        for action in view.actions
    ]


def _consents(view: SessionView) -> list[dict[str, Any]]:
    return [{"id": c.consent_id, "action_id": c.action_id, "reading": c.reading} for c in view.consents]


_SESSION_FIELDS: dict[str, Callable[[SessionView], Any]] = {
    "id": lambda view: view.session_id,
    "pack": lambda view: view.pack,
    "agent": lambda view: view.agent,
    "turn": lambda view: view.turn,
    "epoch": lambda view: view.epoch,
    "elapsed_ms": lambda view: view.elapsed_ms,
    "actions": _actions,
    "consents": _consents,
    "open_breakers": lambda view: list(view.open_breakers),
    "irreversible_forbidden": lambda view: view.irreversible_forbidden,
}
