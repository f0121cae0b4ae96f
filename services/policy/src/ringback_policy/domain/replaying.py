"""Owns the replay diff: two bundles asked the same recorded questions, and every decision that differs."""

from collections.abc import Iterable

import msgspec
from ringback_errors import InvalidInput

from ringback_policy.domain.evaluating import decide
from ringback_policy.domain.model import Bundle
from ringback_policy.domain.subjects import (
    ActionSubject,
    Decision,
    Obligations,
    ReadBack,
    Request,
    ResultSubject,
)
from ringback_policy.domain.templates import Renderer
from ringback_policy.domain.vocabulary import Effect, Gate

__all__ = ["Change", "Diff", "diff"]


class Change(msgspec.Struct, frozen=True):
    """One decision that differs; an effect of None asks for facts that the recording does not hold."""

    decision_id: str
    session_id: str
    gate: Gate
    tool: str
    before: Effect | None
    after: Effect | None
    rule_before: str
    rule_after: str
    laxer: bool


class Diff(msgspec.Struct, frozen=True):
    """All changes over so many questions."""

    questions: int
    changes: tuple[Change, ...]

    @property
    def laxer(self) -> int:
        """How many decisions got laxer, or cannot be told."""
        return sum(1 for change in self.changes if change.laxer)


def diff(base: Bundle, candidate: Bundle, requests: Iterable[Request], *, renderer: Renderer) -> Diff:
    """Asks both bundles every question; one that neither can be asked is left out."""
    asked, changes = 0, []
    for request in requests:
        try:
            before = decide(base, request, renderer=renderer)
            after = decide(candidate, request, renderer=renderer)
        except InvalidInput:
            continue
        asked += 1
        change = _change(request, before, after)
        if change is not None:
            changes.append(change)
    return Diff(asked, tuple(changes))


def _change(request: Request, before: Decision, after: Decision) -> Change | None:
    weaker = _weaker(before.obligations, after.obligations) or _says_less(before.read_back, after.read_back)
    if (before.effect, before.rule) == (after.effect, after.rule) and not weaker:
        return None
    subject = request.subject
    return Change(
        request.decision_id,
        request.session.session_id,
        request.gate,
        subject.tool if isinstance(subject, ActionSubject | ResultSubject) else "",
        before.effect,
        after.effect,
        before.rule,
        after.rule,
        weaker or _laxer(before.effect, after.effect),
    )


def _laxer(before: Effect | None, after: Effect | None) -> bool:
    """What cannot be decided over the recording is no evidence, so it counts as laxer unless it was so before."""
    if before is None or after is None:
        return before is not after
    return after < before


def _says_less(before: ReadBack | None, after: ReadBack | None) -> bool:
    """Whether a yes would now be asked for without something that had to be heard before."""
    if before is None or after is None:
        return False
    heard = {(value.name, value.value) for value in after.must_contain}
    unheard = any((value.name, value.value) not in heard for value in before.must_contain)
    return unheard or before.states not in after.states


def _weaker(before: Obligations, after: Obligations) -> bool:
    """Whether something that had to be done besides no longer must be."""
    uncovered = any(
        not any(kept.start <= span.start and span.end <= kept.end for kept in after.redact)
        for span in before.redact
    )
    return (
        uncovered
        or (before.restate and not after.restate)
        or (before.forbid_irreversible and not after.forbid_irreversible)
        or (bool(before.escalate) and not after.escalate)
        or after.hold_audio_ms < before.hold_audio_ms
        or (before.words_max > 0 and not 0 < after.words_max <= before.words_max)
    )
