"""Owns a bundle's own tests: cases with a subject and facts, what they expect, and which rules they reach.

A file `tests/*.yaml` of a bundle holds `cases`. What a case leaves out is empty; facts are given by name.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from ringback_errors import InvalidInput
from ringback_identity import canonical_json, digest

from ringback_policy.domain.conditions import ConditionError, Environment
from ringback_policy.domain.environment import Variables, subject_values
from ringback_policy.domain.explaining import Explanation, Said, explain
from ringback_policy.domain.findings import BrokenBundleError, Finding
from ringback_policy.domain.model import Bundle, FactSpec
from ringback_policy.domain.subjects import (
    ActionSubject,
    ActionTotals,
    Caller,
    Consent,
    Fact,
    HandoffSubject,
    PastAction,
    PastConsent,
    Request,
    ResultSubject,
    SessionView,
    Slot,
    SpeechSubject,
    Subject,
    UtteranceSubject,
)
from ringback_policy.domain.templates import Renderer
from ringback_policy.domain.vocabulary import Gate, SideEffect
from ringback_policy.domain.yaml_lines import YamlError, line_at, read_yaml

__all__ = ["CaseResult", "Casebook", "run_cases"]

NOW_MS = 1_700_000_000_000
CASES_MAX = 2_000


class Expect(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a case expects; what is left out is not looked at."""

    effect: str = ""
    rule: str = ""
    say: str = ""
    needs: list[str] = []


class SessionEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The part of the session's view that a case sets."""

    agent: str = ""
    turn: int = 1
    caller_id: str = ""
    auth_level: int = 0
    scopes: list[str] = []
    actions: list[dict[str, Any]] = []
    totals: dict[str, dict[str, Any]] = {}
    slots: dict[str, Any] = {}
    open_breakers: list[str] = []
    irreversible_forbidden: bool = False


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One question to the bundle."""

    name: str
    gate: Gate
    expect: Expect
    action: str = ""
    side_effect: str = "irreversible"
    args: dict[str, Any] = {}
    consented: bool = False
    text: str = ""
    confidence: float | None = None
    final: bool = False
    result: Any = None
    to_agent: str = ""
    depth: int = 1
    facts: dict[str, Any] = {}
    unavailable: list[str] = []
    session: SessionEntry = SessionEntry()


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of cases."""

    cases: list[Case]


class CaseResult(msgspec.Struct, frozen=True):
    """How a case went; `problem` is empty when it went as expected."""

    file: str
    line: int
    name: str
    problem: str
    explanation: Explanation


class Casebook(msgspec.Struct, frozen=True):
    """All results, and how often each rule of the bundle fired."""

    results: tuple[CaseResult, ...]
    fired: Mapping[str, int]

    @property
    def failed(self) -> tuple[CaseResult, ...]:
        """The cases that did not go as expected."""
        return tuple(result for result in self.results if result.problem)

    @property
    def untested(self) -> tuple[str, ...]:
        """Rules that no case made fire."""
        return tuple(rule for rule, count in self.fired.items() if not count)


def run_cases(bundle: Bundle, files: Mapping[str, bytes], *, renderer: Renderer) -> Casebook:
    """Runs all cases of `tests/*.yaml`; raises BrokenBundleError for a file that is not one of cases."""
    results: list[CaseResult] = []
    fired = {rule.rule_id: 0 for rule in bundle.rules}
    fired |= {rule.rule_id: 0 for _, rules in bundle.phrase_sets.values() for rule in rules}
    for name in sorted(name for name in files if name.startswith("tests/")):
        for line, case in _cases(name, files[name]):
            result = _run(bundle, case, name, line, renderer)
            results.append(result)
            for step in result.explanation.steps:
                if step.said is Said.FIRED and step.rule in fired:
                    fired[step.rule] += 1
    return Casebook(tuple(results), fired)


def _cases(name: str, content: bytes) -> Sequence[tuple[int, Case]]:
    try:
        document = read_yaml(content)
        read = msgspec.convert(document, CaseFile, str_keys=True)
    except YamlError as error:
        raise BrokenBundleError([Finding(name, error.line, "", str(error))]) from None
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        raise BrokenBundleError([Finding(name, line_at(document, path.rstrip("`")), "", message)]) from None
    if len(read.cases) > CASES_MAX:
        raise BrokenBundleError([Finding(name, 1, "", f"expected at most {CASES_MAX} cases")])
    return [(line_at(document, f"$.cases[{at}]"), case) for at, case in enumerate(read.cases)]


def _run(bundle: Bundle, case: Case, file: str, line: int, renderer: Renderer) -> CaseResult:
    request = _request(bundle, case)
    explanation = explain(bundle, request, renderer=renderer)
    return CaseResult(file, line, case.name, _problem(case.expect, explanation), explanation)


def _problem(expect: Expect, explanation: Explanation) -> str:
    decision = explanation.decision
    got = {
        "effect": decision.effect.name.lower() if decision.effect else "needs_facts",
        "rule": decision.rule,
        "say": decision.say,
    }
    for name, value in got.items():
        wanted = getattr(expect, name)
        if wanted and wanted != value:
            return f"{name}: expected {wanted!r}, got {value!r}"
    needs = [need.name for need in decision.needs_facts]
    if expect.needs and expect.needs != needs:
        return f"needs: expected {expect.needs}, got {needs}"
    return ""


def _request(bundle: Bundle, case: Case) -> Request:
    request = Request("dec_case", case.gate, "case", bundle.digest, _view(case), _subject(case), (), NOW_MS)
    return msgspec.structs.replace(request, facts=_facts(bundle, case, request))


def _subject(case: Case) -> Subject:
    match case.gate:
        case Gate.ACTION:
            arguments = canonical_json(case.args)
            own = digest(arguments)
            consent = Consent("con_case", own, NOW_MS - 1, NOW_MS + 30_000) if case.consented else None
            side_effect = SideEffect[case.side_effect.upper()]
            return ActionSubject("act_case", case.action, "1.0", arguments, own, side_effect, consent)
        case Gate.INPUT:
            return UtteranceSubject(case.text, case.confidence)
        case Gate.OUTPUT:
            return SpeechSubject(case.text, case.final)
        case Gate.RESULT:
            return ResultSubject("act_case", case.action, canonical_json(case.result))
        case Gate.HANDOFF:
            return HandoffSubject(case.session.agent, case.to_agent, "", case.depth)


def _view(case: Case) -> SessionView:
    given = case.session
    actions = tuple(
        PastAction(
            f"act_{at}",
            str(a.get("tool", "")),
            str(a.get("status", "ok")),
            int(a.get("age_ms", 0)),
            canonical_json(a.get("args", {})),
        )
        for at, a in enumerate(given.actions)
    )
    return SessionView(
        "sess_case",
        tenant="case",
        agent=given.agent,
        turn=given.turn,
        caller=Caller(given.caller_id, given.auth_level, tuple(given.scopes)),
        actions=actions,
        consents=(PastConsent("con_case", "act_case", "yes"),) if case.consented else (),
        totals=tuple(ActionTotals(tool, **values) for tool, values in given.totals.items()),
        slots=tuple(Slot(name, canonical_json(value), 1, 0, 1.0) for name, value in given.slots.items()),
        open_breakers=tuple(given.open_breakers),
        irreversible_forbidden=given.irreversible_forbidden,
    )


def _facts(bundle: Bundle, case: Case, request: Request) -> tuple[Fact, ...]:
    """Given facts, under exactly the arguments that the bundle would ask for."""
    found: list[Fact] = []
    for name in (*case.facts, *case.unavailable):
        spec = bundle.facts.get(name)
        if spec is None:
            raise InvalidInput(f"case {case.name!r}: the bundle declares no fact {name!r}", field="facts")
        value = canonical_json(case.facts.get(name))
        arguments = _arguments(spec, case, request)
        found.append(Fact(name, spec.tool, arguments, value, 0, name in case.unavailable))
    return tuple(found)


def _arguments(spec: FactSpec, case: Case, request: Request) -> str:
    subject = subject_values(request)
    found = {}
    for name, condition in spec.arguments.items():
        values = Variables(request, subject=subject, facts=case.facts)
        try:
            found[name] = condition.value(Environment(values))
        except ConditionError:
            continue
    return canonical_json(found)
