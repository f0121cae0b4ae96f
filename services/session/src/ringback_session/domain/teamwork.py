"""The inputs that belong to the call's agents: functions of the platform, hand-overs, and what follows from them."""

from __future__ import annotations

from ringback_session.domain import (
    actions,
    decisions,
    freshness,
    handoffs,
    inputs,
    notes,
    outcomes,
    recalling,
    supervising,
)
from ringback_session.domain.functions import CONSULT, HAND_OVER, NOTE, is_platform_function
from ringback_session.domain.inputs import CallRequested, ContextArrived, Input
from ringback_session.domain.state import Action, CallState
from ringback_session.domain.step import Step

__all__ = ["busy", "context_arrived", "go_on", "take"]


def take(step: Step, event: Input) -> bool:
    """Take an input that is about the agents. Returns False for every other one."""
    match event:
        case inputs.CallRequested():
            return _called(step, event)
        case inputs.Decided():
            return handoffs.decided(step, event)
        case inputs.FactFetched():
            return handoffs.fact_fetched(step, event)
        case inputs.AgentReady():
            return handoffs.ready(step, event) or supervising.ready(step, event)
        case inputs.TimerFired():
            name, _, consult_id = event.name.partition(":")
            if name != supervising.TIMER:
                return False
            supervising.deadline(step, consult_id)
        case _:
            return _answered(step, event)
    return True


def _answered(step: Step, event: Input) -> bool:
    match event:
        case inputs.TextAnswered():
            supervising.answered(step, event)
        case inputs.ValueRefreshed():
            _decide(step, freshness.refreshed(step, event))
        case inputs.ContextMissed():
            _decide(step, freshness.context_missed(step))
        case inputs.Recalled():
            recalling.recalled(step, event)
        case _:
            return False
    return True


def context_arrived(step: Step, event: ContextArrived) -> None:
    """Memory's slots are here: what waited for them is decided."""
    _decide(step, freshness.context_arrived(step, event))


def go_on(step: Step) -> None:
    """A new owner goes on with what was being arranged."""
    handoffs.go_on(step)
    supervising.go_on(step)


def busy(state: CallState) -> bool:
    """Is something being arranged that ends with a reply of its own?"""
    return state.team.handoff is not None or state.team.consultation is not None


def _called(step: Step, call: CallRequested) -> bool:
    state = step.state
    if call.interrupted:
        return False
    tool = state.tools.get(call.tool)
    made_up = tool is None and bool(state.agent) and not call.client_tool and is_platform_function(call.tool)
    if not made_up and not (tool is not None and tool.platform):
        return False
    if state.ended or actions.reported_already(step, call):
        return True
    actions.remember(step, call)
    if call.tool.startswith(HAND_OVER):
        handoffs.requested(step, call, tool)
    elif tool is not None and call.tool == NOTE:
        notes.requested(step, call, tool)
    elif tool is not None and call.tool == CONSULT:
        supervising.requested(step, call, tool)
    else:
        outcomes.answer(
            step, [call.call_id], outcomes.error("unknown_tool", f"There is no {call.tool} here.")
        )
    return True


def _decide(step: Step, ready: list[Action]) -> None:
    for action in ready:
        decisions.decide(step, action, prepared=True)
