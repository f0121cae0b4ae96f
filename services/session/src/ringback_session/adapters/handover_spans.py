"""Spans of hand-overs in the trace of the turn in which they end, made of the facts that tell of them."""

from __future__ import annotations

from typing import Any

from ringback_telemetry import names, start_span

from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned

__all__ = ["hand_over_spans"]

PERSON = "person"


def hand_over_spans(fact: Publish, pinned: Pinned) -> None:
    """Implements `observing.Listener`: a fact is told within its turn, so that the span joins its trace."""
    body = fact.body
    match fact.kind:
        case "handed_off":
            _span(fact, to_agent=body["to_agent"], outcome=body["outcome"])
        case "handoff_refused":
            # What a model makes up is no name.
            asked_for = "" if body["outcome"] == "unknown_agent" else body["asked_for"]
            _span(fact, to_agent=asked_for, outcome=body["outcome"])
        case "escalated_to_person":
            _span(fact, to_agent=PERSON, outcome="done")
        case _:
            pass


def _span(fact: Publish, *, to_agent: str, outcome: str) -> None:
    attributes: dict[str, Any] = {
        names.Attr.AGENT: fact.body.get("from_agent", fact.agent),
        names.Attr.TO_AGENT: to_agent,
        names.Attr.OUTCOME: outcome,
        names.Attr.RULE: fact.body["rule"],
    }
    start_span(names.Span.HANDOFF, attributes=attributes, began_ms_ago=fact.body["duration_ms"]).end()
