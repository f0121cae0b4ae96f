"""Facts that rules need: kept with their age, and told to the stream."""

from __future__ import annotations

from collections.abc import Sequence

from ringback_session.domain.effects import FetchFact
from ringback_session.domain.inputs import FactFetched, FactNeed
from ringback_session.domain.state import FactValue
from ringback_session.domain.step import Step

__all__ = ["fetch", "keep"]


def fetch(step: Step, needs: Sequence[FactNeed], *, for_id: str) -> list[str]:
    """Have the facts fetched for an action or a hand-over; returns their names."""
    for need in needs:
        step.effects.append(
            FetchFact(
                action_id=for_id,
                name=need.name,
                tool=need.tool,
                arguments_json=need.arguments_json,
                ttl_ms=need.ttl_ms,
            )
        )
    return [need.name for need in needs]


def keep(step: Step, fact: FactFetched) -> None:
    """Hold a fact, or that it could not be had."""
    step.state.facts[fact.name] = FactValue(
        name=fact.name,
        tool=fact.tool,
        arguments_json=fact.arguments_json,
        value_json=fact.value_json,
        at_ms=step.at.now_ms,
        ttl_ms=fact.ttl_ms,
        unavailable=fact.unavailable,
    )
    if not fact.unavailable:
        step.publish(
            "facts_fetched",
            name=fact.name,
            tool=fact.tool,
            arguments_json=fact.arguments_json,
            value_json=fact.value_json,
            ttl_ms=fact.ttl_ms,
        )
