"""Owns the answering of a session's questions: decisions, consent readings, instructions, session rules."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from ringback_errors import InvalidInput, NotFound
from ringback_identity import digest

from ringback_policy.domain.auditing import ConsentRecord, DecisionRecord
from ringback_policy.domain.consent import ConsentAnswer, ConsentQuestion, read_consent
from ringback_policy.domain.evaluating import decide
from ringback_policy.domain.instructions import Instructions, compose
from ringback_policy.domain.model import Bundle
from ringback_policy.domain.slot_readers import without_slots
from ringback_policy.domain.subjects import ActionSubject, BoundValue, Decision, Request, ResultSubject
from ringback_policy.domain.vocabulary import Reading, SideEffect
from ringback_policy.ports import (
    AgentRoles,
    AuditTrail,
    Bundles,
    Clock,
    Proof,
    Signer,
    ValueFinder,
    ValueSpeaker,
)
from ringback_policy.usecases.second_opinion import Reconsidering

__all__ = ["AskedConsent", "Deciding", "Keep"]

# Takes the pack and a question that was decided, as it travels.
Keep = Callable[[str, bytes], None]

# The subjects that are about a tool.
NAMED = (ActionSubject, ResultSubject)


class AskedConsent(msgspec.Struct, frozen=True):
    """An answer to a read-back, as the session sends it."""

    tenant: str
    session_id: str
    consent_id: str
    bundle_digest: str
    read_back: str
    utterance: str
    confidence: float | None
    bound_values: tuple[BoundValue, ...]
    side_effect: SideEffect


class Deciding:
    """Answers from loaded bundles; no answer is given that the audit has not taken."""

    def __init__(
        self,
        bundles: Bundles,
        *,
        audit: AuditTrail,
        signer: Signer,
        roles: AgentRoles,
        clock: Clock,
        speaker: ValueSpeaker,
        finder: ValueFinder,
        keeps: Sequence[Keep] = (),
        reconsidering: Reconsidering | None = None,
    ) -> None:
        self._bundles = bundles
        self._audit = audit
        self._signer = signer
        self._roles = roles
        self._clock = clock
        self._speaker = speaker
        self._finder = finder
        self._keeps = keeps
        self._reconsidering = reconsidering

    async def decide(
        self, request: Request, *, question: Callable[[], bytes]
    ) -> tuple[Decision, Proof | None]:
        """One decision, and its proof when a side effect is allowed; `question` yields the request as it travels.

        Raises InvalidInput, NotFound for an unknown bundle, Overloaded when the audit can take no more: what is not
        audited is not decided.
        """
        try:
            bundle = self._bundles.deciding(request.bundle_digest)
        except NotFound:
            bundle = await self._bundle(request.bundle_digest)
        decision = without_slots(bundle, request) or decide(bundle, request, renderer=self._speaker)
        if bundle.digest != request.bundle_digest:
            decision = msgspec.structs.replace(decision, bundle_digest=bundle.digest)
        proof = None
        made = partial(self._recorded, bundle.pack, request, decision, question, at_ms=self._clock())
        if decision.proof_until_ms and isinstance(request.subject, ActionSubject):
            until = decision.proof_until_ms
            proof = self._signer.sign(
                request, request.subject, consent_id=decision.consent_id, expires_at_ms=until
            )
            self._audit.append(made())
        else:
            # Made when it is handed on, several in a row: cold, one would cost the next question as much as its answer.
            self._audit.append_later(request.tenant, made)
        return decision, proof

    async def read_consent(self, asked: AskedConsent, *, left_ms: int | None = None) -> ConsentAnswer:
        """How an answer to a read-back reads under the session's bundle; `left_ms` of the caller's time are left."""
        if not asked.consent_id:
            raise InvalidInput("expected the consent that was asked for", field="consent_id")
        rules = (await self._bundle(asked.bundle_digest)).turn_rules
        question = ConsentQuestion(
            read_back=asked.read_back,
            utterance=asked.utterance,
            confidence=asked.confidence,
            bound_values=asked.bound_values,
            side_effect=asked.side_effect,
            confidence_min=rules.confidence_min,
            without_confidence=rules.consent_without_confidence,
        )
        answer = read_consent(question, contains=self._finder)
        if self._reconsidering is not None and answer.reading is Reading.YES:
            answer = await self._reconsidering.reconsidered(question, answer, left_ms=left_ms)
        record = ConsentRecord(
            at_ms=self._clock(),
            tenant=asked.tenant,
            consent_id=asked.consent_id,
            session_id=asked.session_id,
            reading=answer.reading,
            evidence=answer.evidence,
        )
        self._audit.append(record)
        return answer

    async def instructions(self, bundle_digest: str, pack_digest: str, agent: str) -> Instructions:
        """The prompt of an agent; raises NotFound."""
        bundle = await self._bundle(bundle_digest)
        return compose(bundle, await self._roles.role(pack_digest, agent))

    async def session_rules(
        self, pack: str, bundle_digest: str, *, tenant: str = "", session_id: str = ""
    ) -> Bundle:
        """The bundle whose rules a session takes: the one it pinned, else its pack's active one or a canary's."""
        if not (bundle_digest or pack):
            raise InvalidInput("expected a pack or a bundle digest", field="pack")
        return await self._stored(
            bundle_digest or self._bundles.for_session(pack, tenant=tenant, session_id=session_id)
        )

    async def _bundle(self, digest: str) -> Bundle:
        """What decides for sessions that pinned this; one may be ahead of this replica's watch by a moment."""
        try:
            return self._bundles.deciding(digest)
        except NotFound:
            return await self._bundles.fetch(digest)

    async def _stored(self, digest: str) -> Bundle:
        try:
            return self._bundles.get(digest)
        except NotFound:
            return await self._bundles.fetch(digest)

    def _recorded(
        self,
        pack: str,
        request: Request,
        decision: Decision,
        question: Callable[[], bytes],
        *,
        at_ms: int,
    ) -> DecisionRecord:
        """The entry of a decision; keeps what was asked."""
        asked = question()
        if decision.effect is not None:
            for keep in self._keeps:
                keep(pack, asked)
        subject: Any = request.subject
        named = isinstance(subject, NAMED)
        return DecisionRecord(
            at_ms=at_ms,
            tenant=request.tenant,
            decision_id=request.decision_id,
            session_id=request.session.session_id,
            gate=request.gate,
            action_id=subject.action_id if named else "",
            tool=subject.tool if named else "",
            input_digest=digest(asked),
            effect=decision.effect,
            rule=decision.rule,
            layer=decision.layer,
            bundle_digest=decision.bundle_digest or request.bundle_digest,
            reason=decision.reason,
            needs_facts=tuple([need.name for need in decision.needs_facts]),
            consent_id=decision.consent_id,
            binding=decision.proof_until_ms > 0,
        )
