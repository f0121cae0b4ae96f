"""The same change wanted once more: met as the one that was done, until the caller can be asked for another.

A model that calls again means the same effect. It is told that it is done; only when the caller has spoken since, and
it calls again, is policy asked about a second effect. That one starts on a yes of its own, to words that say so.
"""

from __future__ import annotations

from typing import Final

from ringback_session.domain.inputs import Decided
from ringback_session.domain.rules import Effect, SideEffect
from ringback_session.domain.state import Action, CallState, ConsentPhase

__all__ = ["CANNOT", "TOLD", "done_like", "may_be_asked_for", "met", "spoken", "told", "unaskable", "wanted"]

TOLD: Final = (
    "This was done before in this call, and was not done again now. If it is wanted once more, have the caller say so, "
    "then call it again: they will be asked to confirm it."
)
CANNOT: Final = (
    "This was done before in this call, and was not done again now. It cannot be done once more in this call; a person "
    "can help."
)


def met(state: CallState, tool: str, arguments_digest: str) -> Action | None:
    """The action that a call means: the one that is open, else the newest that took effect or may have.

    Reads are new each time they are done.
    """
    like_it = [
        action
        for action in reversed(state.actions.values())
        if (action.tool, action.arguments_digest) == (tool, arguments_digest)
    ]
    under_way = next((action for action in like_it if action.open), None)
    return under_way or next((action for action in like_it if _stands(action)), None)


def spoken(state: CallState) -> None:
    """The caller has said something that the model answers: no noise, and no answer to a read-back."""
    state.spoke_turn = state.turn


def told(state: CallState, action: Action) -> None:
    """The model is told that it was done."""
    action.told_in_turn = state.turn


def wanted(state: CallState, action: Action) -> bool:
    """Is it to be asked for once more? The model knows that it is done, and the caller has spoken since."""
    done = not action.open and action.status == "ok" and action.side_effect is not SideEffect.READ
    return done and action.told_in_turn is not None and action.told_in_turn < state.spoke_turn


def done_like(state: CallState, action: Action) -> Action | None:
    """The newest other action that did the same."""
    for other in reversed(state.actions.values()):
        same = (other.tool, other.arguments_digest) == (action.tool, action.arguments_digest)
        if same and other is not action and other.status == "ok" and not other.open:
            return other
    return None


def may_be_asked_for(state: CallState, action: Action, decision: Decided) -> bool:
    """Of one that repeats another: only words that say so ask for it, and only the yes to them begins it."""
    match decision.effect:
        case Effect.ALLOW:
            given = state.consents.get(action.consent_id)
            return given is not None and given.phase is ConsentPhase.GIVEN and given.once_more
        case Effect.CONFIRM:
            return decision.read_back is not None and bool(decision.read_back.once_more)
        case _:
            return True


def unaskable(state: CallState, action: Action, decision: Decided) -> bool:
    """Does it end with what came of the one before, because nobody can ask for it?"""
    if decision.done_already:
        return True
    return action.once_more and not may_be_asked_for(state, action, decision)


def _stands(action: Action) -> bool:
    return action.side_effect is not SideEffect.READ and action.status in ("ok", "unknown")
