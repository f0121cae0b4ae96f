"""Owns what a second opinion may do to a reading: take a yes back, and nothing else."""

import msgspec

from ringback_policy.domain.consent.reader import ConsentAnswer
from ringback_policy.domain.vocabulary import Reading

__all__ = ["with_opinion", "without_opinion"]


def with_opinion(local: ConsentAnswer, opinion: Reading) -> ConsentAnswer:
    """The reading after a second opinion. Only a local yes can change, and only to something stricter."""
    if local.reading is not Reading.YES:
        return local
    return msgspec.structs.replace(
        local, reading=opinion, evidence=f"second opinion {opinion.value}; heard: {local.evidence}"
    )


def without_opinion(local: ConsentAnswer, reason: str) -> ConsentAnswer:
    """The local reading, which stands because no second opinion could be had; `reason` is for the audit."""
    evidence = f"no second opinion ({reason}); heard: {local.evidence}"
    return msgspec.structs.replace(local, evidence=evidence, fell_back=reason)
