"""Asking policy: what it gets to see of an action, of an utterance."""

from __future__ import annotations

from typing import Any

import msgspec

from ringback_session.domain import freshness
from ringback_session.domain.effects import AskPolicy
from ringback_session.domain.inputs import Decided
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import Action, ActionPhase, ConsentPhase, Utterance
from ringback_session.domain.step import Step
from ringback_session.domain.view import facts_of, session_view, slots_before

__all__ = ["ask_about", "ask_about_utterance", "decide", "declared", "needs_slots", "publish"]


def decide(step: Step, action: Action, *, prepared: bool = False) -> None:
    """Ask policy, with the facts and the consent that there are; unless `prepared`, stale values first."""
    state = step.state
    if not prepared and freshness.prepare(step, action):
        return
    unwaited = freshness.ask_unwaited(step, action, prepared=prepared)
    action.phase = ActionPhase.DECIDING
    action.decision_id = state.new_id("dec_")
    action.asked_at_ms = step.at.now_ms
    given = state.consents.get(action.consent_id)
    proof_of_yes = None
    if given is not None and given.phase is ConsentPhase.GIVEN:
        proof_of_yes = {
            "consent_id": given.consent_id,
            "arguments_digest": given.arguments_digest,
            "given_at_ms": given.given_at_ms,
            "expires_at_ms": given.expires_at_ms,
        }
    step.effects.append(
        AskPolicy(
            decision_id=action.decision_id,
            gate="action",
            view=_view_for(step, action, unwaited=unwaited),
            facts=facts_of(state, step.at),
            subject={
                "action_id": action.action_id,
                "tool": action.tool,
                "tool_version": action.version,
                "arguments_json": action.arguments_json,
                "arguments_digest": action.arguments_digest,
                "side_effect": action.side_effect,
                "consent": proof_of_yes,
                "client_tool": action.client_tool,
            },
            timeout_ms=state.rules.decision_timeout_ms,
        )
    )
    # What could not be had counts for this decision; the next one asks for it again.
    for name in [fact.name for fact in state.facts.values() if fact.unavailable]:
        del state.facts[name]


def needs_slots(step: Step, action: Action) -> None:
    """Policy reads slots after all, by a bundle promoted over the pinned one: from now on every decision waits."""
    step.state.rules = msgspec.structs.replace(step.state.rules, slot_readers=None)
    decide(step, action)


def ask_about_utterance(step: Step, utterance: Utterance) -> None:
    """The input gate: may the conversation go on with what the caller said?"""
    state = step.state
    utterance.decision_id = state.new_id("dec_")
    step.effects.append(
        AskPolicy(
            decision_id=utterance.decision_id,
            gate="input",
            view=session_view(state, step.at, of_utterance=True),
            facts=facts_of(state, step.at),
            subject={"text": utterance.text, "confidence": utterance.confidence},
            timeout_ms=state.rules.decision_timeout_ms,
        )
    )


def ask_about(step: Step, gate: str, subject: dict[str, Any], *, timeout_ms: int = 0) -> str:
    """Ask at any other gate; returns the decision's id."""
    state = step.state
    decision_id = state.new_id("dec_")
    step.effects.append(
        AskPolicy(
            decision_id=decision_id,
            gate=gate,
            view=session_view(state, step.at),
            facts=facts_of(state, step.at),
            subject=subject,
            timeout_ms=timeout_ms or state.rules.decision_timeout_ms,
        )
    )
    return decision_id


def declared(step: Step, decision: Decided, gate: str) -> Decided:
    """The decision; without one (policy away, late, or in want of facts) what the bundle declares for this gate."""
    if decision.effect is not None and not decision.needs_facts:
        return decision
    fallback = step.state.rules.gate_fallback(gate)
    return msgspec.structs.replace(
        decision,
        effect=fallback.effect,
        say=fallback.say,
        layer=fallback.layer,
        rule=decision.rule or "session.facts_at_gate",
        source="fallback",
    )


def publish(step: Step, decision: Decided, gate: str, effect: Effect, action: Action | None = None) -> None:
    """The fact that something was decided; the audit of a fallback is made from it."""
    step.publish(
        "action_decided",
        decision_id=decision.decision_id,
        gate=gate,
        action_id=action.action_id if action else "",
        tool=action.tool if action else "",
        effect=effect.upper(),
        rule=decision.rule,
        layer=decision.layer,
        bundle_digest=decision.bundle_digest or step.state.bundle_digest,
        reason=decision.reason,
        source=decision.source,
        wait_ms=decision.wait_ms,
    )


def _view_for(step: Step, action: Action, *, unwaited: bool) -> dict[str, Any]:
    view = session_view(step.state, step.at, action=action)
    if action.agent:
        view["agent"] = action.agent
    if unwaited:
        view |= {"slots_behind": True, "slots_before": slots_before(step.state, step.at)}
    return view
