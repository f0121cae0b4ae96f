"""Owns what a bundle as a whole means at the gates of words: which are asked at, and what holds with policy away."""

from collections.abc import Iterable, Mapping

import msgspec
from msgspec import UNSET

from ringback_policy.domain.files import AwayEntry, LayerFile, SafetyFile, TurnRulesEntry
from ringback_policy.domain.findings import Findings
from ringback_policy.domain.model import GateFallback, Rule, TurnRules
from ringback_policy.domain.vocabulary import Effect, Gate, Layer
from ringback_policy.domain.yaml_lines import LinedDict, line_at

__all__ = ["fallbacks", "gates_with_rules", "look_at", "turn_rules"]

_EFFECTS = {effect.name.lower(): effect for effect in Effect}


def gates_with_rules(rules: Iterable[Rule], safety: SafetyFile) -> frozenset[Gate]:
    """The gates at which this bundle has anything to say."""
    return frozenset({Gate(word) for word in _of_safety(safety)} | {rule.gate for rule in rules})


def turn_rules(given: TurnRules, speaks: frozenset[Gate]) -> TurnRules:
    """Nobody waits at a gate that has no rules."""
    return msgspec.structs.replace(
        given,
        output_gate=given.output_gate if Gate.OUTPUT in speaks else "off",
        result_gate="blocking" if Gate.RESULT in speaks else "off",
    )


def fallbacks(files: Mapping[str, LayerFile]) -> tuple[GateFallback, ...]:
    """Per gate the strictest of what the layers declare: nobody knows which of them would have spoken."""
    found: dict[Gate, GateFallback] = {}
    for name, file in files.items():
        layer = Layer(name.removesuffix(".yaml"))
        for word, entry in file.away.items():
            effect, say = (entry.effect, entry.say) if isinstance(entry, AwayEntry) else (entry, "")
            declared = GateFallback(Gate(word), _EFFECTS[effect], say, layer)
            known = found.get(declared.gate)
            if known is None or declared.effect > known.effect:
                found[declared.gate] = declared
    return tuple(found.values())


def look_at(
    rules: TurnRulesEntry, safety: SafetyFile, documents: Mapping[str, LinedDict], findings: Findings
) -> None:
    """Warn of what an author may not have meant."""
    document = documents["safety.yaml"]
    for gate in sorted(_of_safety(safety) - {"action", *safety.away}):
        line = line_at(document, f"$.{'phrases' if safety.phrases else 'redact'}")
        expected = f"expected away.{gate}: allow, escalate or deny"
        findings.warn("safety.yaml", line, f"with policy away gate {gate} stays open; {expected}")
    flows = rules.output_gate in (UNSET, "parallel") and rules.hold_audio_ms in (UNSET, 0)
    redacts = [entry for entry in safety.redact if entry.gate == "output"]
    if flows and redacts:
        line = line_at(document, "$.redact")
        expected = "expected output_gate: blocking, or a hold_audio_ms"
        findings.warn(
            "safety.yaml", line, f"redact at gate output: it is heard before it is found; {expected}"
        )


def _of_safety(safety: SafetyFile) -> set[str]:
    return {entry.gate for entry in safety.phrases} | {entry.gate for entry in safety.redact}
