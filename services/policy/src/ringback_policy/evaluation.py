"""The command line that measures consent reading and the finding of personal data: `… consent --data FILE`, `… pii`."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
from ringback_errors import InvalidInput
from ringback_serving import settle

from ringback_policy.adapters.spoken_values import says_value
from ringback_policy.domain.vocabulary import Reading
from ringback_policy.usecases.contrasts import contrasts
from ringback_policy.usecases.measuring import (
    ConsentFigures,
    FamilyFigures,
    Pair,
    Share,
    measure_contrasts,
    measure_pairs,
)
from ringback_policy.usecases.personal_data import Found, measure_samples, samples

__all__ = ["main"]

EXIT_BAD_INPUT = 2
PAIRS_MAX = 1_000_000
SHOWN_MAX = 10
LABELS = ("affirm", "negate")
# The columns that other collections of read-backs use for the same two texts.
_READ_BACK_KEYS = ("assistant", "read_back", "system", "prompt")
_ANSWER_KEYS = ("user", "utterance", "answer", "caller")
_FITTING = """\
Nothing is fitted: the reader has word classes and rules, no weights and no thresholds. The first rules were written
with sight of the whole public dev split, so its share of recognised yes is an upper figure. Later ones were made with
sight of the dialogues whose CRC-32 of the id is even alone: on those the share rose from 97.6 to 98.2 %, on the
others from 97.6 to 97.9 %, with no refusal read as a yes on either. The same data's train split (15,148 pairs) was new
to these rules: 96.4 % of its yes was recognised and 2 of its 2,764 refusals read as one. The last rules were made with
sight of seven eighths of it (98.5 %, 1 of 2,383); the eighth that nobody looked at (1,550 and 381 pairs) rose from 96.1
to 97.0 % with no refusal read as a yes, and that is what to expect of new data. A quarter of what is missed only asks.
What kept the rules general: word classes are closed lists of English or stems of the read-back itself, no sentence of
the data is listed, each rule must hold on the contrast set, whose answers are made, and what no rule places is
unclear, never a yes."""


_PII_SOURCE = """\
The texts are made: issuers' ranges with a check digit, numbers of ranges set aside for fiction, example domains, in six
frames each, written and spoken; and twenty texts with numbers that are none of these. Who made them made the detector,
so the figures say which forms are known and not how often callers use another. One in ten long numbers passes the check
digit of a card by chance and is redacted."""


def main(argv: Sequence[str]) -> int:
    """Measure, print the table, write one line per pair; 2 for data that cannot be read."""
    parser = argparse.ArgumentParser(prog="ringback eval", description=__doc__)
    parser.add_argument("what", choices=("consent", "pii"))
    parser.add_argument("--data", type=Path, help="JSON lines: assistant, user, label (affirm, negate)")
    parser.add_argument("--json", type=Path, help="file for one line per pair: label and read")
    options = parser.parse_args(argv)
    if options.what == "pii":
        print(_pii_table(measure_samples(samples())))
        return 0
    if options.data is None:
        parser.error("consent: expected --data")
    try:
        pairs, rows = _pairs(options.data)
    except InvalidInput as error:
        print(f"eval consent: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    settle()  # as a service does, so that a reading pays for itself alone
    figures = measure_pairs(pairs, contains=says_value, clock=time.thread_time)
    print(_table(figures))
    print(_contrast_table(measure_contrasts(contrasts(), contains=says_value)))
    print(_FITTING)
    if options.json:
        options.json.write_bytes(_lines(rows, figures))
    return 0


def _pairs(path: Path) -> tuple[list[Pair], list[Mapping[str, Any]]]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInput(f"cannot be read: {error.strerror}", field=str(path)) from None
    rows = [_row(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not 0 < len(rows) <= PAIRS_MAX:
        raise InvalidInput(f"expected 1 to {PAIRS_MAX} pairs", field=str(path))
    return [pair for pair, _ in rows], [row for _, row in rows]


def _row(path: Path, number: int, line: bytes) -> tuple[Pair, Mapping[str, Any]]:
    where = f"{path}:{number}"
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise InvalidInput("expected a JSON object on each line", field=where) from None
    if not isinstance(row, dict):
        raise InvalidInput("expected a JSON object on each line", field=where)
    if row.get("label") not in LABELS:
        raise InvalidInput(f"label: expected affirm or negate, got {row.get('label')!r}", field=where)
    fields = {
        "read_back": _first(row, _READ_BACK_KEYS, where),
        "answer": _first(row, _ANSWER_KEYS, where),
        "label": row["label"],
        "confidence": row.get("confidence"),
    }
    try:
        return msgspec.convert(fields, Pair), row
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error), field=where) from None


def _first(row: Mapping[str, Any], keys: Sequence[str], where: str) -> Any:
    for key in keys:
        if key in row:
            return row[key]
    raise InvalidInput(f"expected the field {keys[0]}", field=where)


def _lines(rows: Sequence[Mapping[str, Any]], figures: ConsentFigures) -> bytes:
    return b"".join(
        orjson.dumps({**row, "read": reading.value}, option=orjson.OPT_APPEND_NEWLINE)
        for row, reading in zip(rows, figures.readings, strict=True)
    )


def _table(figures: ConsentFigures) -> str:
    names = [reading.value for reading in Reading]
    lines = [f"{'':10}{'pairs':>8}" + "".join(f"{name:>12}" for name in names)]
    for label in LABELS:
        shares = [figures.share(label, reading) for reading in Reading]
        lines.append(f"{label:10}{shares[0].total:>8}" + "".join(f"{share.count:>12}" for share in shares))
    lines += [
        f"refusals read as a yes: {_said(figures.share('negate', Reading.YES))}",
        f"yes recognised:         {_said(figures.share('affirm', Reading.YES))}",
        f"one reading: p50 {figures.ms_p50:.2f} ms, p99 {figures.ms_p99:.2f} ms of processor time",
        "",
    ]
    return "\n".join(lines)


def _contrast_table(families: Sequence[FamilyFigures]) -> str:
    total = sum(figures.right.total for figures in families)
    lines = [f"contrast set, {total} made answers{'':13}{'made':>8}{'right':>8}{'false yes':>11}"]
    lines += [
        f"  {figures.family:40}{figures.right.total:>8}{figures.right.count:>8}{figures.false_yes:>11}"
        for figures in families
    ]
    refused = [figures for figures in families if not figures.wants_yes]
    wanted = [figures for figures in families if figures.wants_yes]
    no_yes = Share(sum(f.false_yes for f in refused), sum(f.right.total for f in refused))
    yes = Share(sum(f.right.count for f in wanted), sum(f.right.total for f in wanted))
    return "\n".join([*lines, f"read as a yes: {_said(no_yes)}", f"yes recognised: {_said(yes)}", ""])


def _pii_table(found: Sequence[Found]) -> str:
    lines = [f"{'':8}{'there':>7}{'found whole':>13}{'findings':>10}{'right':>7}"]
    for one in found:
        lines.append(
            f"{one.kind:8}{one.recall.total:>7}{one.recall.count:>13}{one.precision.total:>10}{one.precision.count:>7}"
        )
        lines += [f"  missed: {text}" for text in one.missed[:SHOWN_MAX]]
        lines += [f"  wrong:  {text}" for text in one.wrong[:SHOWN_MAX]]
        lines.append(f"  recall {_said(one.recall)}\n  precision {_said(one.precision)}")
    return "\n".join([*lines, _PII_SOURCE])


def _said(share: Share) -> str:
    low, high = share.bounds
    return (
        f"{share.count} of {share.total}, {share.value:.2%} (95 %, Clopper–Pearson: {low:.2%} to {high:.2%})"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
