# ruff: noqa: N802 - methods bear the names of the proto
"""The PolicyService: decisions, consent readings, instructions and session rules over gRPC."""

import time
from functools import partial
from typing import Any

from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_serving import deadline_ms
from ringback_telemetry import (
    counter,
    histogram,
    metrics_enabled,
    names,
    set_attributes,
    span,
    tracing_enabled,
)

from ringback_policy import wire
from ringback_policy.domain.subjects import Decision, Request
from ringback_policy.usecases.deciding import Deciding

__all__ = ["PolicyServicer"]

# What nobody waits for in words: the answer's labels are few, so metrics stay few.
_UNDECIDED = "NEEDS_FACTS"


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Answers sessions."""

    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding

    async def Decide(self, request: pb.DecideRequest, context: Any) -> pb.DecideResponse:
        """One decision."""
        started = time.perf_counter()
        asked = wire.decide_request(request)
        question = partial(request.SerializeToString, deterministic=True)
        if not tracing_enabled():
            decision, proof = await self._deciding.decide(asked, question=question)
        else:
            with span(names.Span.POLICY_DECIDE, attributes=_asked_attributes(asked)) as current:
                decision, proof = await self._deciding.decide(asked, question=question)
                set_attributes(current, _answer_attributes(decision))
        if metrics_enabled():
            _measure(asked, decision, (time.perf_counter() - started) * 1000)
        return wire.decide_response(asked, decision, proof)

    async def ReadConsent(self, request: pb.ReadConsentRequest, context: Any) -> pb.ReadConsentResponse:
        """The caller's answer to a read-back."""
        asked = wire.asked_consent(request)
        with span(
            names.Span.POLICY_READ_CONSENT, attributes={names.Attr.CONSENT_ID: asked.consent_id}
        ) as current:
            answer = await self._deciding.read_consent(asked, left_ms=deadline_ms())
            set_attributes(current, {names.Attr.CONSENT_READING: answer.reading.name})
        if answer.fell_back:
            reason = f"consent_opinion_{answer.fell_back}"
            counter(names.Metric.FALLBACKS).add(1, {names.Attr.REASON: reason})
        return wire.consent_response(asked.consent_id, answer)

    async def ComposeInstructions(
        self, request: pb.ComposeInstructionsRequest, context: Any
    ) -> pb.ComposeInstructionsResponse:
        """The prompt of one agent."""
        with span(names.Span.POLICY_COMPOSE, attributes={names.Attr.AGENT: request.agent}):
            made = await self._deciding.instructions(
                request.bundle_digest, request.pack_digest, request.agent
            )
        return pb.ComposeInstructionsResponse(instructions=made.text, versions=dict(made.versions))

    async def GetSessionRules(
        self, request: pb.GetSessionRulesRequest, context: Any
    ) -> pb.GetSessionRulesResponse:
        """What a session needs to know of its bundle at the start."""
        bundle = await self._deciding.session_rules(
            request.pack, request.bundle_digest, tenant=request.tenant, session_id=request.session_id
        )
        return wire.session_rules(bundle)


def _asked_attributes(asked: Request) -> dict[str, str]:
    return {
        names.Attr.DECISION_ID: asked.decision_id,
        names.Attr.SESSION_ID: asked.session.session_id,
        names.Attr.GATE: asked.gate.name,
        names.Attr.BUNDLE_DIGEST: asked.bundle_digest,
    }


def _answer_attributes(decision: Decision) -> dict[str, str]:
    return {
        names.Attr.EFFECT: decision.effect.name if decision.effect else _UNDECIDED,
        names.Attr.RULE: decision.rule,
        names.Attr.LAYER: decision.layer.value if decision.layer else "",
    }


def _measure(asked: Request, decision: Decision, took_ms: float) -> None:
    effect = decision.effect.name if decision.effect else _UNDECIDED
    labels = {names.Attr.GATE: asked.gate.name, names.Attr.EFFECT: effect}
    histogram(names.Metric.POLICY_DECIDE_MS).record(took_ms, labels)
    counter(names.Metric.DECISIONS).add(1, {**labels, names.Attr.RULE: decision.rule})
    if decision.rule_errors:
        counter(names.Metric.FALLBACKS).add(len(decision.rule_errors), {names.Attr.REASON: "rule_error"})
