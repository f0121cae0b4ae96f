"""Owns which facts a decision still needs, and which of those that came along may be believed."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from ringback_identity import canonical_json

from ringback_policy.domain.conditions import ConditionError, Environment
from ringback_policy.domain.environment import Variables, fact_value, json_object
from ringback_policy.domain.model import FactSpec
from ringback_policy.domain.subjects import Fact, FactNeed, Request

__all__ = ["FACTS_MAX", "FactsAtHand", "in_order", "resolve"]

# That one question may bring along.
FACTS_MAX = 16


class FactsAtHand(msgspec.Struct):
    """Values by name, what is still to be fetched, and what cannot be had; `roots` are all variables with them."""

    values: dict[str, Any]
    needs: list[FactNeed]
    failed: dict[str, str]
    roots: Mapping[str, Any]

    def failure(self, names: Iterable[str]) -> str:
        """Why one of these facts cannot be had; empty when all are there."""
        if not self.failed:
            return ""
        return next((self.failed[name] for name in names if name in self.failed), "")


def in_order(names: Iterable[str], specs: Mapping[str, FactSpec]) -> tuple[FactSpec, ...]:
    """These facts and those that they need, each after the ones that it takes arguments from.

    The compiler has made sure that facts do not need each other in a ring.
    """
    found: dict[str, FactSpec] = {}
    _put_in_order(names, specs, found)
    return tuple(found.values())


def resolve(specs: Iterable[FactSpec], request: Request, *, subject: Mapping[str, Any]) -> FactsAtHand:
    """Finds each fact for exactly the arguments that this subject calls for; `specs` are in order."""
    values: dict[str, Any] = {}
    # The facts that were found are among the variables at once: later ones take arguments from them.
    found = FactsAtHand(values, [], {}, Variables(request, subject=subject, facts=values))
    for spec in specs:
        if spec.needs and not _has_all(spec.needs, found):
            failure = found.failure(spec.needs)
            if failure:
                found.failed[spec.name] = failure
            continue
        try:
            arguments = _arguments(spec, found.roots)
        except ConditionError as error:
            found.failed[spec.name] = f"fact {spec.name}: its arguments cannot be formed: {error}"
            continue
        _take(spec, arguments, request, found)
    return found


def _put_in_order(names: Iterable[str], specs: Mapping[str, FactSpec], found: dict[str, FactSpec]) -> None:
    for name in names:
        if name not in found:
            _put_in_order(specs[name].needs, specs, found)
            found[name] = specs[name]


def _has_all(names: Iterable[str], found: FactsAtHand) -> bool:
    return all(name in found.values for name in names)


def _take(spec: FactSpec, arguments: dict[str, Any], request: Request, found: FactsAtHand) -> None:
    held = _held(spec, arguments, request.facts)
    if held is None:
        found.needs.append(FactNeed(spec.name, spec.tool, canonical_json(arguments), spec.ttl_ms))
        return
    if held.unavailable:
        found.failed[spec.name] = f"fact {spec.name} is unavailable"
        return
    value, wrong = fact_value(held, spec.checks)
    if wrong:
        found.failed[spec.name] = f"fact {spec.name} has not the declared form: {wrong}"
        return
    found.values[spec.name] = value


def _held(spec: FactSpec, arguments: Mapping[str, Any], facts: Iterable[Fact]) -> Fact | None:
    """The youngest fact of this name for these arguments that is not stale; it may have more arguments (defaults)."""
    best: Fact | None = None
    wanted = arguments.items()
    for fact in facts:
        if fact.name != spec.name or fact.tool not in ("", spec.tool):
            continue
        if spec.ttl_ms and fact.age_ms > spec.ttl_ms:
            continue
        held = json_object(fact.arguments_json, field=f"facts.{fact.name}.arguments_json")
        if not wanted <= held.items():
            continue
        if best is None or (fact.unavailable, fact.age_ms) < (best.unavailable, best.age_ms):
            best = fact
    return best


def _arguments(spec: FactSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, condition in spec.arguments.items():
        value = _at(values, condition.path) if condition.path else condition.value(Environment(values))
        if not isinstance(value, _PLAIN):
            raise ConditionError("expected text, a number, a boolean, or a list or object of them")
        found[name] = value
    return found


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        try:
            values = values[name]
        except (LookupError, TypeError):
            raise ConditionError(f"missing value {name!r}") from None
    return values


_PLAIN = (str, int, float, bool, list, dict)
