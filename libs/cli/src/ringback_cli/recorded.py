"""Owns the reading of recorded questions: what policy kept of a pack for replay diffs, by the digests of the audit."""

from __future__ import annotations

from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_events import recorded_decisions
from ringback_identity import digest

from ringback_cli.stored import stored_payloads

__all__ = ["read_inputs", "read_questions"]


async def read_questions(nats_url: str, pack: str, *, last: int) -> list[pb.DecideRequest]:
    """The last recorded questions about this pack, oldest first; none where recording was never on."""
    return [question for _, question in await _read(nats_url, pack)][-last:]


async def read_inputs(nats_url: str, pack: str) -> dict[str, pb.DecideRequest]:
    """All recorded questions about this pack by the digest that the audit has of them."""
    return dict(await _read(nats_url, pack))


async def _read(nats_url: str, pack: str) -> list[tuple[str, pb.DecideRequest]]:
    payloads = await stored_payloads(
        nats_url, lambda bus, on_message: bus.ephemeral(recorded_decisions(pack), on_message, start="all")
    )
    batches = [audit_pb2.RecordedQuestions.FromString(payload) for payload in payloads]
    return [item for batch in batches for item in _with_digests(batch)]


def _with_digests(batch: audit_pb2.RecordedQuestions) -> list[tuple[str, pb.DecideRequest]]:
    """An older recording has no digests: then a question's own is right, unless something in it was masked."""
    digests = list(batch.input_digests) or [
        digest(question.SerializeToString(deterministic=True)) for question in batch.questions
    ]
    return list(zip(digests, batch.questions, strict=False))
