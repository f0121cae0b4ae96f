"""Owns when a second opinion on a yes is asked for, how long it may take, and what stands without it."""

from ringback_errors import DeadlineExceeded

from ringback_policy.domain.consent import ConsentAnswer, ConsentQuestion
from ringback_policy.domain.consent.opinion import with_opinion, without_opinion
from ringback_policy.domain.vocabulary import Reading, SideEffect
from ringback_policy.ports import SecondOpinion, UnusableOpinionError

__all__ = ["Reconsidering"]

# Kept of the caller's time for the audit and the way back.
REST_MS = 50
# With less than this no model has answered yet.
ASK_MS_MIN = 50
RUNNING_MAX = 32


class Reconsidering:
    """Has a second opinion on each yes within its time; without one the local reading stands, and says why."""

    def __init__(
        self, opinion: SecondOpinion, *, timeout_ms: int = 600, running_max: int = RUNNING_MAX
    ) -> None:
        self._opinion = opinion
        self._timeout_ms = timeout_ms
        self._running_max = running_max
        self._running = 0

    async def reconsidered(
        self, question: ConsentQuestion, local: ConsentAnswer, *, left_ms: int | None = None
    ) -> ConsentAnswer:
        """The reading after the second opinion; what is no yes is returned unasked. Never laxer than `local`."""
        if local.reading is not Reading.YES:
            return local
        timeout_ms = self._timeout_ms if left_ms is None else min(self._timeout_ms, left_ms - REST_MS)
        if timeout_ms < ASK_MS_MIN:
            return without_opinion(local, "no_time")
        if self._running >= self._running_max:
            return without_opinion(local, "busy")
        self._running += 1
        try:
            opinion = await self._opinion.read(
                read_back=question.read_back,
                utterance=question.utterance,
                irreversible=question.side_effect is SideEffect.IRREVERSIBLE,
                timeout_ms=timeout_ms,
            )
        except DeadlineExceeded:
            return without_opinion(local, "slow")
        except UnusableOpinionError:
            return without_opinion(local, "unusable")
        except Exception:
            return without_opinion(local, "unavailable")
        finally:
            self._running -= 1
        return with_opinion(local, opinion)

    async def close(self) -> None:
        """Close the connections."""
        await self._opinion.close()
