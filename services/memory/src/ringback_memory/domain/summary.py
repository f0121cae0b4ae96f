"""Owns the embedded summariser: deterministic, extractive, bounded.

It keeps the sentences that carry something (a request, an id, an amount, a promise, an outcome), each
quoted in its speaker's own words, and drops greetings and small talk. A quoted line is data: it is escaped
and never rephrased, so words in a transcript cannot instruct whoever reads the summary.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from ringback_memory.domain import limits
from ringback_memory.domain.state import Summary, SummaryLine, Turn

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]*)*[.!?]*")
_VALUE = re.compile(r"\d|[A-Z]{3,}|[$€£@%]")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_CUES = (
    (r"(?:i want|i'd like|i would like|i need|can you|could you|please|help me|looking for)\b", 2),
    (r"(?:i'll|i will|we'll|we will|going to|promise|call(?:ed)? you back)\b", 2),
    (r"(?:cancel|refund|book|reserv|chang|transfer|pay|order|confirm|schedul)\w*", 1),
    (r"(?:not|no|never|can't|cannot|won't|don't|wrong|problem|fail\w*|unable|sorry|instead)\b", 1),
    (r"(?:because|since|only|must|allergic|prefer\w*|always|deadline|before|after)\b", 1),
)
_CUED = re.compile(r"\b(?:" + "|".join(f"({cue})" for cue, _ in _CUES) + ")", re.I)
"""All cues in one pass; none begins within another's words. The number of the group tells which one it is."""
_EMPTY = re.compile(
    r"^\W*(hi|hello|hey|thanks?( you)?( very much| so much)?|thank you|ok(ay)?|yes|no|sure|great|bye|goodbye|"
    r"good day|you're welcome|mm-?hmm?|uh-?huh|alright|right|perfect|have a (good|nice|great) (day|one))\b"
    r"[\w\s,!.]{0,16}$",
    re.I,
)
_KEEP_FROM = 2
_GIVEN_WEIGHT = 4
_SENTENCES_PER_TURN = 2


def fold_turns(summary: Summary, turns: Iterable[Turn]) -> Summary:
    """`summary` with what is worth keeping of `turns`, oldest first."""
    lines = list(summary.lines)
    count, through = summary.turns, summary.through
    for turn in turns:
        count += 1
        through = max(through, turn.position)
        lines.extend(_worth_keeping(turn))
    return Summary(lines=_bounded(lines), turns=count, through=through)


def replaced_by(summary: Summary, text: str, turns: Sequence[Turn]) -> Summary:
    """The summary whose words are `text`, a line each, and which covers `turns` too."""
    through = max((turn.position for turn in turns), default=summary.through)
    lines = [
        SummaryLine(limits.clip(line.strip(), 2 * limits.SUMMARY_LINE_BYTES_MAX), through, _GIVEN_WEIGHT)
        for line in text.splitlines()
        if line.strip()
    ]
    return Summary(
        lines=_bounded(lines), turns=summary.turns + len(turns), through=max(summary.through, through)
    )


def quoted(text: str) -> str:
    """`text` as one escaped line in quotation marks, without control characters."""
    printable = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return json.dumps(" ".join(printable.split()), ensure_ascii=False)


def _worth_keeping(turn: Turn) -> list[SummaryLine]:
    sentences = [s.strip() for s in _SENTENCE.findall(turn.text) if s.strip()]
    weighed = [(_weight(s, speaker=turn.speaker), index, s) for index, s in enumerate(sentences)]
    best = sorted((w for w in weighed if w[0] >= _KEEP_FROM), key=lambda w: (-w[0], w[1]))[
        :_SENTENCES_PER_TURN
    ]
    who = "Caller" if turn.speaker == "caller" else "Agent"
    return [
        SummaryLine(f"{who}: {quoted(limits.clip(s, limits.SUMMARY_LINE_BYTES_MAX))}", turn.position, weight)
        for weight, _, s in sorted(best, key=lambda w: w[1])
    ]


def _weight(sentence: str, *, speaker: str) -> int:
    if _EMPTY.match(sentence):
        return 0
    weight = 1 if speaker == "caller" else 0
    if speaker == "agent" and sentence.endswith("?"):
        weight -= 1
    if _VALUE.search(sentence):
        weight += 2
    elif _NAME.search(sentence):
        weight += 1
    cues = {found.lastindex for found in _CUED.finditer(sentence)}
    return weight + sum(points for number, (_, points) in enumerate(_CUES, start=1) if number in cues)


def _bounded(lines: list[SummaryLine]) -> tuple[SummaryLine, ...]:
    """The newest wording of each line; of too many the lightest go, the oldest of these first."""
    newest = {line.text: line for line in lines}
    kept = sorted(newest.values(), key=lambda line: line.position)
    bytes_sum = sum(len(line.text.encode()) + 1 for line in kept)
    by_worth = sorted(kept, key=lambda line: (line.weight, line.position, line.text))
    gone: set[str] = set()
    for line in by_worth:
        if len(kept) - len(gone) <= limits.SUMMARY_LINES_MAX and bytes_sum <= limits.SUMMARY_BYTES_MAX:
            break
        gone.add(line.text)
        bytes_sum -= len(line.text.encode()) + 1
    return tuple(line for line in kept if line.text not in gone)
