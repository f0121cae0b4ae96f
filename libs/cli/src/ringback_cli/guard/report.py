"""Owns what a replay tells: what was executed, blocked and asked for, and what was blocked that is right."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ringback_cli.guard.replay import Judged

__all__ = ["blocked_wrongly", "table", "write_lines"]

BLOCKED = ("deny", "escalate")


def blocked_wrongly(judged: Sequence[Judged]) -> list[Judged]:
    """Correct actions of tasks that were not executed."""
    return [one for one in judged if one.story.source == "task" and not one.executed]


def table(judged: Sequence[Judged]) -> str:
    """For people."""
    runs = [one for one in judged if one.story.source == "run"]
    tasks = [one for one in judged if one.story.source == "task"]
    lines = [f"{'':34}{'runs':>8}{'tasks':>8}"]
    rows = {
        "write calls": lambda one: True,
        "executed": lambda one: one.executed,
        "blocked by a rule": lambda one: one.decision in BLOCKED,
        "asked for consent": lambda one: one.decision == "confirm",
        "allowed, refused by the system": lambda one: one.decision == "allow" and not one.executed,
        "undecidable: only told": lambda one: one.undecidable,
    }
    for name, matches in rows.items():
        lines.append(f"{name:34}{sum(map(matches, runs)):>8}{sum(map(matches, tasks)):>8}")
    done = [one for one in runs if one.write.succeeded]
    lines.append(
        f"of {len(done)} writes that the recordings did: executed {sum(1 for o in done if o.executed)}, "
        f"blocked {sum(1 for o in done if o.decision in BLOCKED)}, "
        f"asked for consent {sum(1 for o in done if o.decision == 'confirm')}"
    )
    lines += ["", "blocked, by rule:"]
    rules = Counter(rule for one in judged if one.decision in BLOCKED for rule in one.rules)
    lines += [f"  {rule:32}{count:>8}" for rule, count in rules.most_common()]
    lines += ["", "asked for consent, because:"]
    why = Counter(one.reason.split(":")[0] for one in judged if one.decision == "confirm")
    lines += [f"  {reason:60}{count:>8}" for reason, count in why.most_common()]
    wrong = blocked_wrongly(judged)
    lines += ["", f"correct actions of tasks that were not executed: {len(wrong)} of {len(tasks)}"]
    lines += [
        f"  task {o.story.index}: {o.write.tool}: {o.decision} {','.join(o.rules)}: {o.reason}" for o in wrong
    ]
    return "\n".join(lines)


def write_lines(path: Path, judged: Sequence[Judged]) -> None:
    """One JSON line per write, in recorded order."""
    path.write_text("".join(json.dumps(one.as_json(), ensure_ascii=False) + "\n" for one in judged))
