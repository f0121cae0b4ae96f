"""Owns what conditions and templates may refer to at each gate, and the check that they refer to nothing else."""

from collections.abc import Iterable, Mapping

from ringback_policy.domain.suggesting import expected_one_of
from ringback_policy.domain.vocabulary import Gate

__all__ = ["ROOTS_BY_GATE", "Declared", "undeclared"]

_SESSION = frozenset(
    {"id", "pack", "agent", "turn", "epoch", "elapsed_ms", "actions", "totals", "consents", "open_breakers",
     "irreversible_forbidden"}
)  # fmt: skip
_TOTALS = frozenset({"requested", "succeeded", "failed", "sums"})
_FIELDS: Mapping[str, frozenset[str]] = {
    "session": _SESSION,
    "caller": frozenset({"id", "auth_level", "scopes", "tenant"}),
    "action": frozenset({"id", "tool", "version", "side_effect", "client_tool", "consented"}),
    "utterance": frozenset({"text", "confidence", "language"}),
    "speech": frozenset({"text", "final", "words", "questions"}),
    "result": frozenset({"tool", "action_id", "value"}),
    "handoff": frozenset({"from_agent", "to_agent", "reason", "depth"}),
}
_COMMON = frozenset({"session", "caller", "slots", "facts", "now"})
ROOTS_BY_GATE: Mapping[Gate, frozenset[str]] = {
    Gate.INPUT: _COMMON | {"utterance"},
    Gate.ACTION: _COMMON | {"action", "args"},
    Gate.RESULT: _COMMON | {"result"},
    Gate.OUTPUT: _COMMON | {"speech"},
    Gate.HANDOFF: _COMMON | {"handoff"},
}

Path = tuple[str, ...]
# Type names of CEL; conversions and comparisons may name them.
_TYPES = frozenset({"int", "uint", "double", "string", "bool", "bytes", "list", "map", "null_type"})


class Declared:
    """The names that this bundle declares: facts with fields, and arguments per action."""

    def __init__(
        self, facts: Mapping[str, Mapping[str, str]], arguments: Mapping[str, Mapping[str, str]]
    ) -> None:
        self.facts = facts
        self.arguments = arguments

    def problem(self, path: Path, *, gate: Gate, actions: Iterable[str]) -> str | None:
        """What is wrong with a reference, in words that say what was expected; None when it is fine."""
        root = path[0]
        roots = ROOTS_BY_GATE[gate]
        if len(path) == 1 and root in _TYPES:
            return None
        if root not in roots:
            return f"unknown variable {root!r}; at gate {gate} {expected_one_of(root, roots)}"
        if root == "facts":
            return self._fact_problem(path)
        if root == "args":
            return self._args_problem(path, actions)
        if root in _FIELDS and len(path) > 1 and path[1] not in _FIELDS[root]:
            return f"unknown field {root}.{path[1]}; {expected_one_of(path[1], _FIELDS[root])}"
        if path[:2] == ("session", "totals") and len(path) > 3 and path[3] not in _TOTALS:
            return f"unknown field {'.'.join(path)}; {expected_one_of(path[3], _TOTALS)}"
        return None

    def _fact_problem(self, path: Path) -> str | None:
        if len(path) == 1:
            return "expected facts.<name>"
        if path[1] not in self.facts:
            known = expected_one_of(path[1], self.facts, none="none (domain.yaml declares no facts)")
            return f"unknown fact {path[1]!r}; {known}"
        fields = self.facts[path[1]]
        if len(path) > 2 and fields and path[2] not in fields:
            return f"unknown field {'.'.join(path[:3])}; {expected_one_of(path[2], fields)}"
        return None

    def _args_problem(self, path: Path, actions: Iterable[str]) -> str | None:
        if len(path) == 1:
            return None
        for action in actions:
            fields = self.arguments.get(action)
            if fields and path[1] not in fields:
                return f"{action} has no argument {path[1]!r}; {expected_one_of(path[1], fields)}"
        return None


def undeclared(paths: Iterable[Path], declared: Declared, *, gate: Gate, actions: Iterable[str]) -> list[str]:
    """All problems of these references."""
    names = tuple(actions)
    found = (declared.problem(path, gate=gate, actions=names) for path in sorted(paths))
    return [problem for problem in found if problem]
