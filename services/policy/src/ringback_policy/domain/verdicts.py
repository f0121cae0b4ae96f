"""Owns the joining of verdicts: the strictest one decides, obligations of all that fired add up."""

from collections.abc import Iterable, Sequence

import msgspec

from ringback_policy.domain.subjects import Obligations, Span
from ringback_policy.domain.vocabulary import Effect, Layer

__all__ = ["NONE", "Verdict", "obligations_of", "stated", "strictest"]

NONE = Obligations()
# The name that an answer has when nobody spoke of its subject.
DEFAULT = "default"


class Verdict(msgspec.Struct, frozen=True):
    """What one rule says of one subject."""

    effect: Effect
    rule: str
    layer: Layer
    reason: str = ""
    say: str = ""
    states: str = ""
    error: str = ""
    obligations: Obligations = NONE


def strictest(verdicts: Iterable[Verdict]) -> Verdict:
    """The strictest verdict; of equals one that tells the caller something, else one of a rule, else the first."""
    return max(verdicts, key=_strictness)


def stated(verdicts: list[Verdict]) -> str:
    """What the read-back must state: the sentences of all rules that ask for a yes, in their order."""
    return " ".join({v.states: None for v in verdicts if v.states and v.effect is Effect.CONFIRM})


def obligations_of(verdicts: Sequence[Verdict]) -> Obligations:
    """All obligations together; the least word limit and the longest hold stand."""
    parts = [verdict.obligations for verdict in verdicts if verdict.obligations is not NONE]
    if not parts:
        return NONE
    limits = [part.words_max for part in parts if part.words_max]
    spans: set[tuple[int, int]] = {(span.start, span.end) for part in parts for span in part.redact}
    return Obligations(
        say=" ".join({part.say: None for part in parts if part.say}),
        restate=any(part.restate for part in parts),
        redact=tuple(Span(start, end) for start, end in _merged(sorted(spans))),
        hold_audio_ms=max(part.hold_audio_ms for part in parts),
        words_max=min(limits, default=0),
        forbid_irreversible=any(part.forbid_irreversible for part in parts),
        escalate=next((part.escalate for part in parts if part.escalate), ""),
    )


def _strictness(verdict: Verdict) -> tuple[int, bool, bool]:
    return verdict.effect, bool(verdict.say or verdict.states), verdict.rule != DEFAULT


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
