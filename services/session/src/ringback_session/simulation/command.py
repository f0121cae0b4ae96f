"""The command line of the simulation: what is asked for, and what is printed."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from ringback_session.simulation.jobs import processors
from ringback_session.simulation.runner import explain, report, run_calls

__all__ = ["main"]

INTERRUPTED = 130
_ABOUT = """Run whole calls in virtual time, with scripted callers, models and services, losses, stalls and crashes.

Each call is drawn from its seed, and the same seed always gives the same call, in however many jobs.
Exit code 0: all went well; 1: a call went wrong, its seed and the shortest trace that still goes wrong are printed;
130: interrupted, what was done so far is told."""


def main(arguments: list[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    say = partial(print, flush=True)
    if asked.explain:
        say(explain(asked.seed))
        return 0
    jobs = asked.jobs or processors()
    summary = run_calls(seed=asked.seed, calls=asked.calls, minutes=asked.minutes, jobs=jobs, progress=say)
    for line in report(summary):
        say(line)
    return INTERRUPTED if summary.interrupted else min(1, len(summary.failures))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ringback simulate", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=_at_least(1), default=500, help="how many calls; default %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="of the first call; the next ones count up")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin none after so long; 0: no limit")
    parser.add_argument(
        "--jobs", type=_at_least(0), default=0, help="processes to share the calls; 0: one for each processor"
    )
    parser.add_argument("--explain", action="store_true", help="only the call of --seed: what happened in it")
    return parser


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if (value := int(text)) < least:
            raise argparse.ArgumentTypeError(f"{text}: at least {least} expected")
        return value

    return number
