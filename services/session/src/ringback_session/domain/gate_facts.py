"""Facts that rules about words and results need: fetched once for each of them, within a bound, then asked again.

Nothing of an utterance goes on before the input gate has answered, and the model sees no result before its gate has:
both can wait for a fact, as long as a caller waits without a filler. What comes later, or is asked for again, is
decided as the bundle declares. Sentences of a reply do not wait: see docs/adding-a-pack.md.
"""

from __future__ import annotations

from typing import Final

from ringback_session.domain import decisions, facts, results
from ringback_session.domain.decided import Decided
from ringback_session.domain.effects import StartTimer, StopTimer
from ringback_session.domain.inputs import FactFetched
from ringback_session.domain.judged import FactWait
from ringback_session.domain.state import ActionPhase, CallState
from ringback_session.domain.step import Step

__all__ = ["TIMER", "fetched", "late", "wants"]

TIMER: Final = "gate_facts"
# Questions that wait for facts at once; beyond it the bundle's declared fallback decides.
WAITS_MAX: Final = 8
_INPUT, _ACTION, _OUTPUT = "input:", "action:", "output:"


def wants(step: Step, decision: Decided) -> bool:
    """Does policy want facts for this question, and are they being fetched now? False: the answer counts as it is."""
    state = step.state
    asks = bool(decision.needs_facts) and decision.source == "policy"
    if not asks and not state.fact_waits:
        return False
    key = _key(state, decision.decision_id)
    if not key:
        return False
    if not asks or key in state.fact_waits or len(state.fact_waits) >= WAITS_MAX or state.ended:
        _over(step, key)
        return False
    state.fact_waits[key] = FactWait(
        decision_id=decision.decision_id,
        awaited=facts.fetch(step, decision.needs_facts, for_id=decision.decision_id),
    )
    wait_ms = max(state.rules.decision_timeout_ms, state.rules.filler_after_ms)
    step.effects.append(StartTimer(name=f"{TIMER}:{decision.decision_id}", delay_ms=wait_ms))
    return True


def fetched(step: Step, fact: FactFetched) -> bool:
    """A fact came, or could not be had. Returns False when it is for something else."""
    for key, wait in step.state.fact_waits.items():
        if wait.decision_id == fact.action_id and fact.name in wait.awaited:
            wait.awaited.remove(fact.name)
            facts.keep(step, fact)
            if not wait.awaited:
                step.effects.append(StopTimer(name=f"{TIMER}:{wait.decision_id}"))
                wait.decision_id = ""
                _ask_again(step, key)
            return True
    return False


def late(decision_id: str) -> Decided:
    """The facts of a question did not come in time: it is decided without policy."""
    return Decided(
        decision_id=decision_id,
        rule="session.facts_at_gate",
        reason="the facts came too late",
        source="fallback",
    )


def _key(state: CallState, decision_id: str) -> str:
    """What a question is about; empty for one that cannot wait."""
    utterance = state.utterance
    if utterance is not None and utterance.decision_id == decision_id and not utterance.cleared:
        return _INPUT + utterance.item_id
    for turn in state.heard:
        if turn.decision_id == decision_id:
            return _INPUT + turn.item_id
    for action in state.actions.values():
        if action.phase is ActionPhase.CHECKING and action.decision_id == decision_id:
            return _ACTION + action.action_id
    for output in state.client_outputs:
        if output.decision_id == decision_id:
            return _OUTPUT + output.item_id
    return ""


def _ask_again(step: Step, key: str) -> None:
    """The same question, with the facts that there are now."""
    state = step.state
    about = key.partition(":")[2]
    utterance, action = state.utterance, state.actions.get(about)
    if key.startswith(_INPUT):
        for turn in state.heard:
            if turn.item_id == about:
                turn.decision_id = ""
        if utterance is not None and utterance.item_id == about and not utterance.cleared:
            decisions.ask_about_utterance(step, utterance)
    elif key.startswith(_ACTION) and action is not None and action.phase is ActionPhase.CHECKING:
        results.ask(step, action)
    for output in state.client_outputs:
        if key == _OUTPUT + output.item_id:
            output.decision_id = ""


def _over(step: Step, key: str) -> None:
    """It is decided. What could not be had counted for this alone, unless others still wait for facts."""
    state = step.state
    if state.fact_waits.pop(key, None) is None or state.fact_waits:
        return
    if any(action.phase is ActionPhase.FETCHING for action in state.actions.values()):
        return
    for name in [fact.name for fact in state.facts.values() if fact.unavailable]:
        del state.facts[name]
