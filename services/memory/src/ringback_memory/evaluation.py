"""The command line of the extractor's measurement: `python -m ringback_memory.evaluation --data FOLDER`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from ringback_errors import InvalidInput

from ringback_memory.adapters.dialogues import read_dialogues
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.usecases.evaluate import Report, evaluate

EXIT_BAD_INPUT = 2
PROGRESS_S = 5.0


def main(argv: Sequence[str]) -> int:
    """Measure, print a table, write the figures; 2 for data that cannot be read."""
    parser = argparse.ArgumentParser(prog="ringback eval memory", description=__doc__)
    parser.add_argument(
        "--data", type=Path, required=True, help="folder with dialogues_*.json and schema_*.json"
    )
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(argv)
    try:
        if options.json:
            _check_writable(options.json)
        dialogues, services = read_dialogues(options.data)
        report = evaluate(
            dialogues, services, count=O200kTokens().count, progress=_Progress(total=len(dialogues))
        )
        print(_table(report))
        if options.json:
            options.json.write_text(json.dumps(report.as_json(), indent=2) + "\n")
    except (InvalidInput, OSError) as error:
        print(f"eval memory: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    return 0


class _Progress:
    """Says now and then on standard error how far the work is."""

    def __init__(self, *, total: int) -> None:
        self._total = total
        self._said_at = time.monotonic()

    def __call__(self, done: int) -> None:
        if time.monotonic() - self._said_at >= PROGRESS_S:
            self._said_at = time.monotonic()
            print(f"eval memory: {done} of {self._total} dialogues", file=sys.stderr, flush=True)


def _check_writable(path: Path) -> None:
    """Before the work, not after it. Raises InvalidInput."""
    try:
        with path.open("a"):
            pass
    except OSError as error:
        raise InvalidInput(
            f"{path}: a file that can be written expected: {error.strerror}", field="json"
        ) from error


def _table(report: Report) -> str:
    lines = [f"{report.dialogues} dialogues, {report.transcript.turns} annotated caller turns"]
    lines.append(
        f"{'':12}{'precision':>10}{'recall':>8}{'F1':>8}{'joint':>8}{'task recall':>13}{'task prec.':>12}"
    )
    for name, score in (
        ("transcript", report.transcript),
        ("with tools", report.with_tools),
        ("compacted", report.compacted),
    ):
        f = score.figures
        lines.append(
            f"{name:12}{f['precision']:>10.3f}{f['recall']:>8.3f}{f['f1']:>8.3f}{f['joint_accuracy']:>8.3f}"
            f"{f['task_recall']:>13.3f}{f['task_precision']:>12.3f}"
        )
    kept = f"{report.tokens_kept_share:.1%} of the tokens kept verbatim at the end"
    lines.append("a task is closed by what tools report; the row transcript has none of it")
    lines.append(f"compacted: {report.compactions} compactions, {kept}")
    spread = sorted(one["f1"] for one in report.transcript.services.values())
    if spread:
        lines.append(
            f"transcript, F1 by service: lowest {spread[0]:.3f}, median {spread[len(spread) // 2]:.3f}, "
            f"highest {spread[-1]:.3f} of {len(spread)}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
