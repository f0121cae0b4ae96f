"""Simulates calls: `python -m ringback_session.simulation --calls N --seed S [--minutes M] [--explain]`."""

import argparse
import sys

from ringback_session.simulation.runner import explain, run_calls


def main() -> int:
    parser = argparse.ArgumentParser(prog="ringback simulate", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="how many calls")
    parser.add_argument(
        "--seed", type=int, default=1, help="the seed of the first one; the next ones count up"
    )
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long")
    parser.add_argument("--explain", action="store_true", help="only the call of --seed, with what happened")
    asked = parser.parse_args()
    if asked.explain:
        print(explain(asked.seed))
        return 0
    summary = run_calls(seed=asked.seed, calls=asked.calls, minutes=asked.minutes, progress=print)
    print(summary)
    for seed, what in summary.failures.items():
        print(f"seed {seed}: {what}")
    if summary.failures:
        print(explain(next(iter(summary.failures))))
    return 1 if summary.failures else 0


sys.exit(main())
