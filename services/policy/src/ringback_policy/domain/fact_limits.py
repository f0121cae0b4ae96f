"""Owns what an author is told of facts that no session could ever bring along: too many at once, or too far away."""

from collections.abc import Mapping

from ringback_policy.domain.facts import FACTS_MAX
from ringback_policy.domain.findings import Findings
from ringback_policy.domain.model import ANY_ACTION, FactSpec, RuleSet
from ringback_policy.domain.vocabulary import Gate
from ringback_policy.domain.yaml_lines import LinedDict, line_at

__all__ = ["look_at"]

# A session fetches what a decision needs, asks again, fetches what that one needs, and asks for the last time.
ROUNDS_MAX = 2


def look_at(
    index: Mapping[tuple[Gate, str], RuleSet], documents: Mapping[str, LinedDict], findings: Findings
) -> None:
    """An error where one decision needs more than a question may hold; a warning where one fact needs another round."""
    rounds: dict[str, int] = {}
    for (gate, name), rules in index.items():
        count = len(rules.facts_read_back)
        if count > FACTS_MAX:
            what = f"gate {gate.value}" if name == ANY_ACTION else f"gate {gate.value}, action {name}"
            findings.error(
                "domain.yaml", 0, f"{what}: its rules need {count} facts; expected at most {FACTS_MAX}"
            )
        for spec in rules.facts_read_back:
            rounds[spec.name] = _round(spec, rounds)
    for name, needed in rounds.items():
        if needed > ROUNDS_MAX:
            line = line_at(documents["domain.yaml"], f"$.facts.{name}")
            message = f"it is had in round {needed}, but a session fetches {ROUNDS_MAX} times for a decision"
            findings.warn("domain.yaml", line, f"fact {name}: {message}")


def _round(spec: FactSpec, rounds: Mapping[str, int]) -> int:
    """Facts stand after those that they take arguments from."""
    return 1 + max((rounds[name] for name in spec.needs), default=0)
