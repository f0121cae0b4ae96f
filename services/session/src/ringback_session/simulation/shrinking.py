"""Makes a failing plan small: leaves out moves and settings as long as the same thing goes wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec.structs import replace

from ringback_session.simulation.plan import Plan
from ringback_session.simulation.world import simulate

__all__ = ["kind_of", "shortest"]

RUNS_MAX = 400
_PLAIN: Final[dict[str, Any]] = {
    "jitter": False,
    "gate": "off",
    "client_tools": "allow",
    "model_lasts_ms": 0,
    "output": "off",
    "slow_after_ms": 0,
    "window_ms": 0,
    "budget_tokens": 0,
    "manual": False,
    "text": False,
    "sound": "pcm",
    "recorded": False,
    "slots": "any",
    "stale": False,
    "results": "off",
    "idle_ms": 0,
    "resume_ms": 0,
    "person_ms": 0,
    "garbles": False,
    "voice": "",
}
_NAMES = re.compile(r"\b(item|resp|call|event|act|con|speech|reply)_\w+|\d+")


def kind_of(violation: str) -> str:
    """What went wrong, without the ids and numbers of this one call."""
    return _NAMES.sub("…", violation)


def shortest(plan: Plan, *, runs_max: int = RUNS_MAX) -> Plan:
    """The smallest plan found that fails as this one does. Deterministic; the plan itself if it does not fail."""
    violations = simulate(plan).violations
    if not violations:
        return plan
    wanted = kind_of(violations[0])
    runs = 0
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(plan):
            runs += 1
            if runs > runs_max:
                return plan
            if any(kind_of(found) == wanted for found in simulate(candidate).violations):
                plan, smaller = candidate, True
                break
    return plan


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with less in them: halves first, then single moves, then plainer settings."""
    moves = plan.moves
    size = len(moves) // 2
    while size:
        for start in range(0, len(moves), size):
            yield replace(plan, moves=moves[:start] + moves[start + size :])
        size //= 2
    yield from _plainer(plan)
    for at, move in enumerate(moves):
        if move.for_ms > 1_000:
            shorter = replace(move, for_ms=move.for_ms // 2)
            yield replace(plan, moves=(*moves[:at], shorter, *moves[at + 1 :]))


def _plainer(plan: Plan) -> Iterator[Plan]:
    if plan.answers:
        yield replace(plan, answers=())
        yield replace(plan, answers=plan.answers[:-1])
    for at, answer in enumerate(plan.answers):
        if answer != "yes":
            yield replace(plan, answers=(*plan.answers[:at], "yes", *plan.answers[at + 1 :]))
    plain = {name: default for name, default in _PLAIN.items() if getattr(plan, name) != default}
    for name, default in plain.items():
        yield replace(plan, **{name: default})
