"""The conformance checks of the Realtime protocol, for any server that speaks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ringback_cli.conformance import (
    connection,
    endings,
    hearing,
    interop,
    items,
    responses,
    session,
    turns,
)
from ringback_cli.conformance.lab import Lab, Target
from ringback_cli.conformance.registry import Check, Outcome, Result, choose, run_check

__all__ = ["GROUPS", "Check", "Lab", "Outcome", "Result", "Target", "choose", "run_all", "run_check"]

GROUPS = (connection, session, items, hearing, turns, responses, endings, interop)


async def run_all(
    target: Target, *, only: Sequence[str] = (), on_result: Callable[[Result], None] = lambda _: None
) -> list[Result]:
    """Run the checks one after another, each on connections of its own. Raises InvalidInput."""
    chosen = choose(only)
    lab = Lab(target)
    results = []
    for each in chosen:
        result = await run_check(each, lab)
        on_result(result)
        results.append(result)
    return results
