"""Owns the rollout of bundles: each step is held against what its operator looked at, audited, and told."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

import msgspec
from ringback_errors import Conflict, InvalidInput

from ringback_policy.domain import rollout as steps
from ringback_policy.domain.auditing import ChangeRecord
from ringback_policy.domain.replaying import Diff, diff
from ringback_policy.domain.rollout import Rollout
from ringback_policy.domain.subjects import Request
from ringback_policy.ports import AuditTrail, Bundles, Clock, ControlFacts, ValueSpeaker
from ringback_policy.usecases.publishing import OPERATOR_TENANT, check_change, check_pack

__all__ = ["Compared", "Order", "Questions", "RollingOut"]

QUESTIONS_MAX = 2_000
BYTES_MAX = 16 * 1024 * 1024
# A comparison shares the process with decisions: this many are asked in one go.
ASKED_AT_ONCE = 16
# Another replica may change the same rollout at the same moment.
GATE_ATTEMPTS_MAX = 5

Step = Callable[[Rollout], Rollout]


class Order(msgspec.Struct, frozen=True):
    """Who asks for a change of which pack, why, and which revision they looked at."""

    pack: str
    actor: str
    reason: str
    expected_revision: int


class Compared(msgspec.Struct, frozen=True):
    """A diff and what was compared."""

    base: str
    candidate: str
    diff: Diff


class Questions:
    """The last questions of each pack that this replica decided: the set of a replay diff. Kept in memory alone.

    They are kept as they travel and read when somebody asks: a decision that leaves its hundred small objects behind
    makes the next one build its own in memory that no cache holds, which costs more than the evaluation.
    """

    def __init__(
        self, read: Callable[[bytes], Request], *, kept_max: int = QUESTIONS_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._read = read
        self._kept_max = kept_max
        self._bytes_max = bytes_max
        self._by_pack: dict[str, deque[bytes]] = {}
        self._bytes: dict[str, int] = {}

    def keep(self, pack: str, question: bytes) -> None:
        """Keeps one, and drops the oldest when there are too many or they are too large together."""
        kept = self._by_pack.get(pack)
        if kept is None:
            kept = self._by_pack[pack] = deque()
        kept.append(question)
        size = self._bytes.get(pack, 0) + len(question)
        while len(kept) > self._kept_max or size > self._bytes_max:
            size -= len(kept.popleft())
        self._bytes[pack] = size

    def of(self, pack: str) -> Iterator[Request]:
        """What is kept now, each read when it is its turn."""
        return map(self._read, tuple(self._by_pack.get(pack, ())))


class RollingOut:
    """Stage, compare, canary, promote, roll back."""

    def __init__(
        self,
        bundles: Bundles,
        *,
        audit: AuditTrail,
        facts: ControlFacts,
        clock: Clock,
        questions: Questions,
        speaker: ValueSpeaker,
    ) -> None:
        self._bundles = bundles
        self._audit = audit
        self._facts = facts
        self._clock = clock
        self._questions = questions
        self._speaker = speaker

    async def status(self, pack: str) -> Rollout:
        """Where it stands, as the store has it now; raises InvalidInput for what is no pack's name."""
        check_pack(pack)
        return await self._bundles.rollout(pack)

    async def stage(self, order: Order, digest: str, *, tightening: bool) -> Rollout:
        """Makes a stored bundle the candidate; raises NotFound, InvalidInput or Conflict."""
        bundle = await self._bundles.fetch(digest)
        if bundle.pack != order.pack:
            raise InvalidInput(f"this bundle is of pack {bundle.pack}", field="bundle_digest")
        return await self._change(
            "stage", order, lambda now: steps.staged(now, digest, tightening=tightening)
        )

    async def canary(self, order: Order, *, percent: float, tenants: Sequence[str]) -> Rollout:
        """Gives the candidate to a share of new sessions."""
        return await self._change(
            "canary", order, lambda now: steps.canaried(now, percent=percent, tenants=tenants)
        )

    async def promote(self, order: Order, *, questions: Sequence[Request]) -> Rollout:
        """Makes the candidate active; a tightening one must have shown that no decision gets laxer."""
        now = await self._bundles.rollout(order.pack)
        checked = now.revision == order.expected_revision and now.tightening and bool(now.digest)
        if checked:
            await self._check_tightening(order.pack, now, questions)

        def step(current: Rollout) -> Rollout:
            # It may have become the expected one while this was being looked at.
            if current.tightening and current.digest and not checked:
                raise Conflict(steps.CHANGED_MEANWHILE, field="expected_revision")
            return steps.promoted(current)

        return await self._change("promote", order, step)

    async def roll_back(self, order: Order) -> Rollout:
        """Drops the candidate, or returns to the bundle that was active before."""
        return await self._change("rollback", order, steps.rolled_back)

    async def compare(
        self, pack: str, *, base: str, candidate: str, questions: Sequence[Request]
    ) -> Compared:
        """What the candidate would decide otherwise; raises NotFound, or InvalidInput without a candidate."""
        check_pack(pack)
        now = await self._bundles.rollout(pack)
        base, candidate = base or now.digest, candidate or now.candidate
        for name, digest in (("base_digest", base), ("candidate_digest", candidate)):
            if not digest:
                raise InvalidInput("expected, because the pack's rollout has none", field=name)
        asked = questions or self._questions.of(pack)
        return Compared(base, candidate, await self._diff(base, candidate, asked))

    async def gate_failed(self, digest: str, *, gate: str, reason: str, actor: str, seq: int) -> None:
        """Counts a failed quality gate of a canary; the second since it began rolls it back. Raises NotFound."""
        bundle = await self._bundles.fetch(digest)
        for attempt in range(GATE_ATTEMPTS_MAX):
            now = await self._bundles.rollout(bundle.pack)
            after = steps.gate_failed(now, digest, seq=seq)
            if after is now:
                return
            order = Order(bundle.pack, actor or "policy", f"gate {gate} failed: {reason}", now.revision)
            kind = "gate_failed" if after.candidate else "rollback"
            try:
                await self._change(kind, order, lambda current: steps.gate_failed(current, digest, seq=seq))
            except Conflict:
                if attempt + 1 == GATE_ATTEMPTS_MAX:
                    raise
                continue
            return

    async def _check_tightening(self, pack: str, now: Rollout, questions: Sequence[Request]) -> None:
        found = await self._diff(now.digest, now.candidate, chain(self._questions.of(pack), questions))
        if not found.questions:
            raise InvalidInput(
                "expected recorded questions: without them nothing shows that the bundle is stricter",
                field="questions",
            )
        if found.laxer:
            worst = next(change for change in found.changes if change.laxer)
            raise InvalidInput(
                f"the candidate is not stricter: {found.laxer} of {found.questions} decisions get laxer or cannot be "
                f"told, such as {worst.decision_id} ({worst.rule_before} → {worst.rule_after or 'needs facts'})",
                field="tightening",
            )

    async def _diff(self, base: str, candidate: str, requests: Iterable[Request]) -> Diff:
        first, second = await self._bundles.fetch(base), await self._bundles.fetch(candidate)
        parts = []
        asked = iter(requests)
        while some := list(islice(asked, ASKED_AT_ONCE)):
            parts.append(diff(first, second, some, renderer=self._speaker))
            # Sessions that ask meanwhile are answered in between.
            await asyncio.sleep(0)
        return Diff(sum(part.questions for part in parts), tuple(c for part in parts for c in part.changes))

    async def _change(self, kind: str, order: Order, step: Step) -> Rollout:
        check_change(order.pack, order.actor)
        self._audit.check_room(OPERATOR_TENANT)
        before, after = await self._bundles.change(order.pack, order.expected_revision, step)
        self._audit.append(
            ChangeRecord(
                at_ms=self._clock(),
                tenant=OPERATOR_TENANT,
                actor=order.actor,
                kind=kind,
                pack=order.pack,
                from_digest=before.candidate if after.digest == before.digest else before.digest,
                to_digest=after.candidate if after.digest == before.digest else after.digest,
                reason=_said(order, after),
            ),
            happened=True,
        )
        if after.digest != before.digest:
            self._facts.bundle_activated(order.pack, after.digest, previous=before.digest, actor=order.actor)
        return after


def _said(order: Order, after: Rollout) -> str:
    if after.share:
        tenants = f" of {', '.join(after.tenants)}" if after.tenants else ""
        return f"{after.share / 100:g} % of sessions{tenants}; {order.reason}"
    return order.reason
