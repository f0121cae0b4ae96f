"""The list of checks, their promises, and one run of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ringback_errors import InvalidInput, RingbackError

from ringback_cli.conformance.lab import CheckFailedError, CheckSkippedError, Lab
from ringback_cli.conformance.probe import MissingError

__all__ = ["Check", "Outcome", "Result", "check", "choose", "run_check"]

CHECK_S = 120.0
Run = Callable[[Lab], Awaitable[str]]


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """One promise of the protocol; `run` returns what was seen, or raises."""

    id: str
    promise: str
    run: Run


@dataclass(frozen=True)
class Result:
    """What came of a check; `seen` is what was seen, what was wrong, or why it was not made."""

    id: str
    promise: str
    outcome: Outcome
    seen: str


_CHECKS: dict[str, Check] = {}


def check(id: str, promise: str) -> Callable[[Run], Run]:
    """Register a check under its number."""

    def register(run: Run) -> Run:
        assert id not in _CHECKS, f"{id} is taken"
        _CHECKS[id] = Check(id, promise, run)
        return run

    return register


def choose(only: Sequence[str] = ()) -> list[Check]:
    """The checks with these numbers, or all, in order. Raises InvalidInput for a number that there is not."""
    wanted = {number.strip().upper() for number in only if number.strip()}
    unknown = sorted(wanted - set(_CHECKS))
    if unknown:
        last = max(_CHECKS)
        raise InvalidInput(f"only: no check {', '.join(unknown)}; expected C01 to {last}", field="only")
    return [_CHECKS[id] for id in sorted(_CHECKS) if not wanted or id in wanted]


async def run_check(check: Check, lab: Lab) -> Result:
    """Run one check to its result; its fault is its own."""
    try:
        async with asyncio.timeout(CHECK_S):
            seen = await check.run(lab)
    except CheckSkippedError as skipped:
        return Result(check.id, check.promise, Outcome.SKIPPED, str(skipped))
    except (CheckFailedError, MissingError) as failed:
        return Result(check.id, check.promise, Outcome.FAILED, str(failed))
    except (KeyError, TypeError, IndexError) as malformed:
        seen = f"an event lacks what it must have: {malformed!r}"
        return Result(check.id, check.promise, Outcome.FAILED, seen)
    except TimeoutError:
        return Result(check.id, check.promise, Outcome.FAILED, f"not over within {CHECK_S:.0f} s")
    except RingbackError as error:
        return Result(check.id, check.promise, Outcome.FAILED, str(error))
    return Result(check.id, check.promise, Outcome.PASSED, seen)
