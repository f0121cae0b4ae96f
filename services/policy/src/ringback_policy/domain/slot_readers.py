"""Owns which actions' decisions read slots: what a session waits for memory for, and for what it need not.

Slots come from memory, which is behind the caller's last words by a moment. A decision reads them in the condition of
a rule, in what a rule says or states, in a read-back, and in the arguments of a fact that any of these needs.
"""

from collections.abc import Iterable, Mapping

from ringback_policy.domain.conditions import Condition
from ringback_policy.domain.model import ANY_ACTION, ActionPolicy, Bundle, FactSpec, Rule, SlotReaders
from ringback_policy.domain.subjects import ActionSubject, Decision, Request
from ringback_policy.domain.templates import Template
from ringback_policy.domain.vocabulary import Gate

__all__ = ["slot_readers", "without_slots"]

_ROOT = "slots"


def slot_readers(
    rules: Iterable[Rule], actions: Mapping[str, ActionPolicy], facts: Mapping[str, FactSpec]
) -> SlotReaders:
    """By tool, of a bundle's parts."""
    reading = _reading_facts(facts)
    names = {name for rule in rules if _rule_reads(rule, reading) for name in rule.actions}
    names |= {name for name, action in actions.items() if _read_back_reads(action, reading)}
    return SlotReaders(every=ANY_ACTION in names, tools=frozenset(names - {ANY_ACTION}))


def without_slots(bundle: Bundle, request: Request) -> Decision | None:
    """The answer to a question about an action that came without its slots: they are needed. None: they are not."""
    if not request.session.slots_behind or not isinstance(request.subject, ActionSubject):
        return None
    if not bundle.slot_readers.reads(request.subject.tool):
        return None
    return Decision(None, reason="slots are needed", needs_slots=True)


def _reading_facts(facts: Mapping[str, FactSpec]) -> frozenset[str]:
    """Those that cannot be asked for without slots; of a fact that others take arguments from, these as well."""
    found = {name for name, spec in facts.items() if any(_reads(one) for one in spec.arguments.values())}
    while more := {name for name, spec in facts.items() if name not in found and found & set(spec.needs)}:
        found |= more
    return frozenset(found)


def _rule_reads(rule: Rule, reading: frozenset[str]) -> bool:
    if rule.gate is not Gate.ACTION:
        return False
    return bool(reading & set(rule.needs)) or any(
        _reads(part) for part in (rule.when, rule.say, rule.states) if part is not None
    )


def _read_back_reads(action: ActionPolicy, reading: frozenset[str]) -> bool:
    if action.consent is None:
        return False
    return bool(reading & set(action.consent.needs)) or _reads(action.consent.template)


def _reads(part: Condition | Template) -> bool:
    return any(path[0] == _ROOT for path in part.paths)
