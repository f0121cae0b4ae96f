"""Owns the variables that conditions see, made from a request: each member when it is read, since most never are."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

import msgspec
from ringback_errors import InvalidInput

from ringback_policy.domain.shapes import Choices, Members
from ringback_policy.domain.subjects import (
    ActionSubject,
    ActionTotals,
    Fact,
    HandoffSubject,
    PastAction,
    Request,
    ResultSubject,
    SessionView,
    Slot,
    SpeechSubject,
    UtteranceSubject,
)

__all__ = [
    "JSON_BYTES_MAX",
    "FieldChecks",
    "Variables",
    "fact_value",
    "field_checks",
    "json_object",
    "json_value",
    "misfit",
    "subject_values",
]

# Name, the types that its value may have, and the declared kind.
FieldChecks = tuple[tuple[str, tuple[type, ...], str], ...]

JSON_BYTES_MAX = 64 * 1024
RESULT_BYTES_MAX = 256 * 1024
_SIDE_EFFECTS = {1: "read", 2: "write", 3: "irreversible"}

_decoder = msgspec.json.Decoder()


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


class Variables(dict[str, Any]):
    """By their roots: the subject's own and facts at once, the others once they are asked for."""

    __slots__ = ("_request",)

    def __init__(self, request: Request, *, subject: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        super().__init__(subject)
        self["facts"] = facts
        self._request = request

    def __missing__(self, root: str) -> Any:
        found = _ROOTS[root](self._request)
        self[root] = found
        return found


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


def field_checks(fields: Mapping[str, str]) -> FieldChecks:
    """What `misfit` looks at, from the declared kinds."""
    return tuple((name, _TYPES.get(kind, _OBJECT), kind) for name, kind in fields.items())


def fact_value(fact: Fact, checks: FieldChecks) -> tuple[Any, str]:
    """The fact's value with declared numbers as doubles, and what is wrong with its form."""
    value = json_value(fact.value_json or "null", field=f"facts.{fact.name}.value_json")
    if value is None:
        return None, "expected a value, got null"
    if not checks:
        return value, ""
    return value, misfit(value, checks) if isinstance(value, dict) else "expected an object"


def misfit(values: dict[str, Any], checks: FieldChecks) -> str:
    """Makes declared numbers doubles; says of the first member of another type what was expected.

    One that is missing is no misfit: what reads it takes its fallback.
    """
    for name, types, kind in checks:
        if name not in values:
            continue
        # What was read from JSON has exactly these types: a boolean is no integer.
        found = type(values[name])
        if found not in types:
            return f"{name}: expected {_NAMES[kind]}, got {_FOUND.get(found, 'something else')}"
        if kind == "number":
            try:
                values[name] = float(values[name])
            except OverflowError:
                return f"{name}: expected a number that a double holds"
    return ""


_OBJECT: tuple[type, ...] = (dict,)
_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "list": (list,),
}
_NAMES = {
    **{"boolean": "a boolean", "integer": "an integer", "number": "a number"},
    **{"string": "text", "list": "a list", "object": "an object"},
}
_FOUND: dict[type, str] = {
    **{bool: "a boolean", int: "an integer", float: "a number"},
    **{str: "text", list: "a list", dict: "an object", type(None): "null"},
}


class _Session(Members, frozen=True):
    """`session`: the bounded view."""

    request: Request

    def __getitem__(self, name: str) -> Any:
        if name == "totals":
            return _Totals(self.request)
        if name == "actions":
            return _Actions(self.request)
        return _SESSION_FIELDS[name](self.request.session)

    def plain(self) -> dict[str, Any]:
        fields = {name: self[name] for name in _SESSION_FIELDS}
        return fields | {name: self[name].plain() for name in ("totals", "actions")}


class _Totals(Members, frozen=True):
    """`session.totals`: of all tools; one of which nothing happened yet has zeros."""

    request: Request

    def __getitem__(self, tool: str) -> "_Total":
        for total in self.request.session.totals:
            if total.tool == tool:
                return _Total(total)
        return NOTHING_YET

    def plain(self) -> dict[str, Any]:
        found = {total.tool: _Total(total).plain() for total in self.request.session.totals}
        subject = self.request.subject
        if isinstance(subject, ActionSubject):
            found.setdefault(subject.tool, NOTHING_YET.plain())
        return found


class _Total(Members, frozen=True):
    """`session.totals.<tool>`."""

    total: ActionTotals

    def __getitem__(self, name: str) -> Any:
        if name == "sums":
            return _Sums(self.total.sums)
        if name not in _COUNTS:
            raise KeyError(name)
        return getattr(self.total, name)

    def plain(self) -> dict[str, Any]:
        return {name: self[name] for name in _COUNTS} | {"sums": self["sums"].plain()}


NOTHING_YET = _Total(ActionTotals(""))


class _Sums(Members, frozen=True):
    """`session.totals.<tool>.sums`: an argument of which nothing is known yet has the sum 0."""

    sums: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        value = self.sums.get(name, 0.0)
        # NaN compares with nothing, so a sum that is no number takes the rule's fallback.
        return value if math.isfinite(value) else math.nan

    def plain(self) -> dict[str, Any]:
        return {name: self[name] for name in self.sums}


class _Actions(Choices, frozen=True):
    """`session.actions`: the last ones, in their order."""

    request: Request

    def chosen(self, text: str) -> list[dict[str, Any]]:
        """Those of one tool."""
        return [_action(action) for action in self.request.session.actions if action.tool == text]

    def plain(self) -> list[dict[str, Any]]:
        return [_action(action) for action in self.request.session.actions]


def _action(action: PastAction) -> dict[str, Any]:
    return {
        "id": action.action_id,
        "tool": action.tool,
        "status": action.status,
        "age_ms": action.age_ms,
        "args": json_object(action.arguments_json, field="session.actions.arguments_json"),
    }


class _Slots(Members, frozen=True):
    """`slots`: what was remembered of the call."""

    request: Request

    def __getitem__(self, name: str) -> Any:
        for slot in self.request.session.slots:
            if slot.name == name:
                return _slot(slot)
        raise KeyError(name)

    def plain(self) -> dict[str, Any]:
        return {slot.name: _slot(slot) for slot in self.request.session.slots}


def _slot(slot: Slot) -> dict[str, Any]:
    value = json_value(slot.value_json or "null", field=f"session.slots.{slot.name}")
    return {"value": value, "age_ms": slot.age_ms, "confidence": slot.confidence}


def _caller(request: Request) -> dict[str, Any]:
    caller = request.session.caller
    return {
        "id": caller.caller_id,
        "auth_level": caller.auth_level,
        "scopes": list(caller.scopes),
        "tenant": request.tenant,
    }


def _now(request: Request) -> datetime:
    return datetime.fromtimestamp(request.now_ms / 1000, UTC)


def _consents(view: SessionView) -> list[dict[str, Any]]:
    return [{"id": c.consent_id, "action_id": c.action_id, "reading": c.reading} for c in view.consents]


_SESSION_FIELDS: dict[str, Callable[[SessionView], Any]] = {
    "id": attrgetter("session_id"),
    "pack": attrgetter("pack"),
    "agent": attrgetter("agent"),
    "turn": attrgetter("turn"),
    "epoch": attrgetter("epoch"),
    "elapsed_ms": attrgetter("elapsed_ms"),
    "consents": _consents,
    "open_breakers": lambda view: list(view.open_breakers),
    "irreversible_forbidden": attrgetter("irreversible_forbidden"),
}

_COUNTS = ("requested", "succeeded", "failed")
_ROOTS: dict[str, Callable[[Request], Any]] = {
    "session": _Session,
    "slots": _Slots,
    "caller": _caller,
    "now": _now,
}
