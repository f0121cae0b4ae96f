"""Facts that rules need: kept with their age, and told to the stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ringback_session.domain.effects import FetchFact
from ringback_session.domain.inputs import FactFetched, FactNeed
from ringback_session.domain.judged import Reading
from ringback_session.domain.state import FactValue
from ringback_session.domain.step import Step

__all__ = ["fetch", "keep", "record", "tell"]


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
    if fact.unavailable:
        return
    body: dict[str, str | int | float] = {
        "name": fact.name,
        "arguments_json": fact.arguments_json,
        "ttl_ms": fact.ttl_ms,
    }
    record(
        step,
        Reading(kind="facts_fetched", tool=fact.tool, value_json=fact.value_json, body=body, fact=fact.name),
    )


def record(step: Step, reading: Reading) -> None:
    """Tell the stream what was read for a rule: at once, or as the result gate leaves it."""
    state = step.state
    if state.rules.result_gate == "off" or not reading.value_json:
        fact = state.facts.get(reading.fact)
        if fact is not None:
            fact.shown_json = fact.value_json
        tell(step, reading, reading.value_json)
    elif state.ended:
        tell(step, reading, "{}")
    else:
        state.readings.append(reading)


def tell(step: Step, reading: Reading, value_json: str) -> None:
    """The fact that something was read."""
    body: dict[str, Any] = {"tool": reading.tool, **reading.body}
    body["value_json" if reading.fact else "result_json"] = value_json
    step.publish(reading.kind, **body)
