"""Owns what the audit knows of a pack's decisions: which were made, under which bundle, and where their inputs are.

The audit holds the digest of each input, not the input; where policy records inputs, the digest leads to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb

from ringback_cli.audit import chain_breaks, stored_entries
from ringback_cli.recorded import read_inputs

__all__ = ["RECORDING", "Audited", "joined", "read_audited"]

RECORDING = "policy keeps inputs for a week where RINGBACK_RECORD_DECISIONS=true"


@dataclass(frozen=True)
class Audited:
    """Decisions in the order of the audit, and the recorded inputs of those that have one."""

    decisions: tuple[audit_pb2.AuditedDecision, ...]
    questions: tuple[pb.DecideRequest, ...]
    # Decided by sessions alone while policy was away: nobody has their input.
    alone: int
    breaks: tuple[str, ...] = ()

    @property
    def unrecorded(self) -> int:
        """How many decisions of policy have no recorded input."""
        return len(self.decisions) - self.alone - len(self.questions)

    def said(self) -> list[str]:
        """What a person should know of it, a line each."""
        bundles = Counter(decision.bundle_digest for decision in self.decisions)
        of = "1 bundle" if len(bundles) == 1 else f"{len(bundles)} bundles"
        lines = [f"{len(self.decisions)} decisions of {of} in the audit"]
        lines += [f"  {count:>6}  {digest}" for digest, count in bundles.most_common()]
        if self.alone:
            lines.append(f"  {self.alone:>6}  made by sessions alone while policy was away: without input")
        if self.unrecorded:
            lines.append(f"  {self.unrecorded:>6}  without a recorded input: {RECORDING}")
        return lines

    def otherwise(self, change: pb.DecisionChange) -> str:
        """What the audit says of a decision where the base bundle says something else now; empty where it agrees."""
        own = next((d for d in self.decisions if d.decision_id == change.decision_id), None)
        if own is None or (own.effect, own.rule) == (change.before, change.rule_before):
            return ""
        return f"{pb.Effect.Name(own.effect).removeprefix('EFFECT_').lower()} by {own.rule}"


async def read_audited(nats_url: str, pack: str, bundles: Collection[str], *, last: int) -> Audited:
    """The last decisions of these bundles, joined to what was recorded about their pack."""
    entries = await stored_entries(nats_url)
    decisions = [entry.decision for entry in entries if entry.HasField("decision")]
    found = joined(decisions, bundles, await read_inputs(nats_url, pack), last=last)
    return Audited(found.decisions, found.questions, found.alone, tuple(chain_breaks(entries)))


def joined(
    decisions: Iterable[audit_pb2.AuditedDecision],
    bundles: Collection[str],
    inputs: Mapping[str, pb.DecideRequest],
    *,
    last: int,
) -> Audited:
    """What was decided under these bundles, the last so many; a question for facts is no decision yet."""
    made: Sequence[audit_pb2.AuditedDecision] = [
        decision
        for decision in decisions
        if decision.bundle_digest in bundles and decision.effect != pb.EFFECT_UNSPECIFIED
    ]
    made = made[-last:]
    alone = sum(1 for decision in made if decision.source == "fallback")
    questions = [
        inputs[decision.input_digest]
        for decision in made
        if decision.source != "fallback" and decision.input_digest in inputs
    ]
    return Audited(tuple(made), tuple(questions), alone)
