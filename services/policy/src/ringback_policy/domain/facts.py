"""Owns which facts a decision still needs, and which of those that came along may be believed."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from ringback_identity import canonical_json

from ringback_policy.domain.conditions import Condition, ConditionError, Environment
from ringback_policy.domain.environment import fact_value, json_object, variables
from ringback_policy.domain.model import FactSpec
from ringback_policy.domain.subjects import Fact, FactNeed, Request

__all__ = ["FactsAtHand", "resolve"]


class FactsAtHand(msgspec.Struct):
    """Values by name, what is still to be fetched, and what cannot be had; `roots` are all variables with them."""

    values: dict[str, Any]
    needs: list[FactNeed]
    failed: dict[str, str]
    roots: Mapping[str, Any] = {}

    def failure(self, names: Iterable[str]) -> str:
        """Why one of these facts cannot be had; empty when all are there."""
        if not self.failed:
            return ""
        return next((self.failed[name] for name in names if name in self.failed), "")


def resolve(
    names: Iterable[str], specs: Mapping[str, FactSpec], request: Request, *, subject: Mapping[str, Any]
) -> FactsAtHand:
    """Finds each fact for exactly the arguments that this subject calls for."""
    found = FactsAtHand({}, [], {})
    # The facts that were found are among the variables at once: later ones take arguments from them.
    found.roots = variables(request, subject=subject, facts=found.values)
    for name in names:
        _resolve_one(name, specs, request, found.roots, found)
    return found


def _resolve_one(
    name: str,
    specs: Mapping[str, FactSpec],
    request: Request,
    values: Mapping[str, Any],
    found: FactsAtHand,
) -> bool:
    """Whether the fact is at hand after all; the compiler has made sure that facts do not need each other in a ring."""
    if name in found.values:
        return True
    if name in found.failed or (found.needs and name in [need.name for need in found.needs]):
        return False
    spec = specs[name]
    before = [_resolve_one(other, specs, request, values, found) for other in spec.needs]
    if not all(before):
        failure = found.failure(spec.needs)
        if failure:
            found.failed[name] = failure
        return False
    try:
        arguments = {argument: _argument(condition, values) for argument, condition in spec.arguments.items()}
    except ConditionError as error:
        found.failed[name] = f"fact {name}: its arguments cannot be formed: {error}"
        return False
    return _take(spec, arguments, request, found)


def _take(spec: FactSpec, arguments: dict[str, Any], request: Request, found: FactsAtHand) -> bool:
    held = _held(spec, arguments, request.facts)
    if held is None:
        found.needs.append(FactNeed(spec.name, spec.tool, canonical_json(arguments), spec.ttl_ms))
        return False
    if held.unavailable:
        found.failed[spec.name] = f"fact {spec.name} is unavailable"
        return False
    value, wrong = fact_value(held, spec.checks)
    if wrong:
        found.failed[spec.name] = f"fact {spec.name} has not the declared form: {wrong}"
        return False
    found.values[spec.name] = value
    return True


def _held(spec: FactSpec, arguments: Mapping[str, Any], facts: Iterable[Fact]) -> Fact | None:
    """The youngest fact of this name for these arguments that is not stale; it may have more arguments (defaults)."""
    best: Fact | None = None
    for fact in facts:
        if fact.name != spec.name or fact.tool not in ("", spec.tool):
            continue
        if spec.ttl_ms and fact.age_ms > spec.ttl_ms:
            continue
        if not _covers(fact, arguments):
            continue
        if best is None or (fact.unavailable, fact.age_ms) < (best.unavailable, best.age_ms):
            best = fact
    return best


def _covers(fact: Fact, wanted: Mapping[str, Any]) -> bool:
    held = json_object(fact.arguments_json, field=f"facts.{fact.name}.arguments_json")
    return wanted.items() <= held.items()


def _argument(condition: Condition, values: Mapping[str, Any]) -> Any:
    value = _at(values, condition.path) if condition.path else condition.value(Environment(values))
    if isinstance(value, str | int | float | bool | list | dict):
        return value
    raise ConditionError("expected text, a number, a boolean, or a list or object of them")


def _at(values: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        try:
            values = values[name]
        except (LookupError, TypeError):
            raise ConditionError(f"missing value {name!r}") from None
    return values
