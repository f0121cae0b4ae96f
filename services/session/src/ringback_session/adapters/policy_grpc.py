"""Policy over gRPC, time-boxed: an answer that does not come in time is a fallback, never an error."""

from __future__ import annotations

import time
from collections import OrderedDict

from ringback.policy.v1 import policy_pb2, policy_pb2_grpc
from ringback_calling import Channel
from ringback_errors import RingbackError

from ringback_session import wire_policy
from ringback_session.domain.effects import AskPolicy, ReadConsent
from ringback_session.domain.inputs import ConsentRead, Decided
from ringback_session.domain.rules import TurnRules
from ringback_session.ports import Clock, Pinned
from ringback_session.wire import word

__all__ = ["PolicyOverGrpc"]

START_DEADLINE_MS = 3_000
# The same bundle, pack and agent give the same text; only a newer release of policy may compose another.
INSTRUCTIONS_KEPT_MS = 60_000
INSTRUCTIONS_KEPT_MAX = 64


class PolicyOverGrpc:
    """Implements `ports.Policy`."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._stub = policy_pb2_grpc.PolicyServiceStub(channel.grpc)
        # Calls share the text. By digests and agent: until when it is kept, and what it is.
        self._instructions: OrderedDict[tuple[str, str, str], tuple[int, str]] = OrderedDict()

    async def decide(self, question: AskPolicy, pinned: Pinned) -> Decided:
        began = time.perf_counter()
        request = wire_policy.decide_request(question, pinned, self._clock.now_ms())
        try:
            answer = await self._channel.unary(
                self._stub.Decide, request, deadline_ms=question.timeout_ms, idempotent=True
            )
        except RingbackError as error:
            return Decided(
                decision_id=question.decision_id,
                rule="session.policy_away",
                reason=error.code,
                source="fallback",
                wait_ms=_ms_since(began),
            )
        return wire_policy.decided(answer, _ms_since(began))

    async def read_consent(self, question: ReadConsent, pinned: Pinned) -> ConsentRead:
        request = wire_policy.read_consent_request(question, pinned)
        try:
            answer = await self._channel.unary(
                self._stub.ReadConsent, request, deadline_ms=question.timeout_ms, idempotent=True
            )
        except RingbackError as error:
            return ConsentRead(
                consent_id=question.consent_id,
                reading="unavailable",
                evidence=error.code,
                item_id=question.item_id,
            )
        return ConsentRead(
            consent_id=answer.consent_id,
            # What cannot be read is no yes.
            reading=word(policy_pb2.ConsentReading, answer.reading) or "unclear",
            evidence=answer.evidence,
            item_id=question.item_id,
        )

    async def session_rules(
        self, *, tenant: str, pack: str, bundle_digest: str = "", session_id: str = ""
    ) -> tuple[str, TurnRules]:
        request = policy_pb2.GetSessionRulesRequest(
            tenant=tenant, pack=pack, bundle_digest=bundle_digest, session_id=session_id
        )
        answer = await self._channel.unary(
            self._stub.GetSessionRules, request, deadline_ms=START_DEADLINE_MS, idempotent=True
        )
        return answer.bundle_digest, wire_policy.turn_rules(answer)

    async def instructions(self, pinned: Pinned) -> str:
        key = (pinned.bundle_digest, pinned.pack_digest, pinned.agent)
        until_ms, kept = self._instructions.get(key, (0, ""))
        if self._clock.now_ms() < until_ms:
            return kept
        text = await self._composed(pinned)
        self._instructions.pop(key, None)
        self._instructions[key] = (self._clock.now_ms() + INSTRUCTIONS_KEPT_MS, text)
        if len(self._instructions) > INSTRUCTIONS_KEPT_MAX:
            self._instructions.popitem(last=False)
        return text

    async def _composed(self, pinned: Pinned) -> str:
        request = policy_pb2.ComposeInstructionsRequest(
            tenant=pinned.tenant,
            bundle_digest=pinned.bundle_digest,
            pack_digest=pinned.pack_digest,
            agent=pinned.agent,
        )
        answer = await self._channel.unary(
            self._stub.ComposeInstructions, request, deadline_ms=START_DEADLINE_MS, idempotent=True
        )
        return answer.instructions


def _ms_since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 3)
