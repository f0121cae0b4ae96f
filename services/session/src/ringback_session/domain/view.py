"""What policy and a person get to see of the call: bounded, plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from ringback_session.domain.inputs import At
from ringback_session.domain.once_more import done_like
from ringback_session.domain.past_actions import Totals
from ringback_session.domain.state import Action, ActionPhase, CallState, ConsentPhase, SlotValue

__all__ = ["facts_json", "facts_of", "own_packet", "session_view", "slots_before", "usable_slots"]

ACTIONS_SHOWN = 32
TURNS_SHOWN = 24


def session_view(
    state: CallState, at: At, *, of_utterance: bool = False, action: Action | None = None
) -> dict[str, Any]:
    """Shape: policy.v1.SessionView, as plain data; `of_utterance`: it is the caller's last turn that is judged.

    `action`: the one that is judged; what it repeats is always among those shown.
    """
    return {
        "session_id": state.session_id,
        "tenant": state.tenant,
        "pack": state.pack,
        "agent": state.agent,
        "turn": state.turn,
        "epoch": state.epoch,
        "as_of_seq": state.seq,
        "elapsed_ms": max(0, at.now_ms - state.started_at_ms),
        "caller_id": state.caller_id,
        "actions": [_past(shown, at) for shown in _shown(state, action)],
        "totals": _totals(state),
        "slots": _slots(usable_slots(state, at, of_utterance=of_utterance), at),
        "consents": [
            {"consent_id": consent.consent_id, "action_id": consent.action_id, "reading": consent.reading}
            for consent in list(state.consents.values())[-ACTIONS_SHOWN:]
        ],
        "open_breakers": list(state.open_breakers),
        "irreversible_forbidden": state.irreversible_forbidden,
    }


def slots_before(state: CallState, at: At) -> list[dict[str, Any]]:
    """All that memory told of last, for a replay of a question that was decided without it."""
    return _slots(state.slots, at)


def usable_slots(state: CallState, at: At, *, of_utterance: bool = False) -> dict[str, SlotValue]:
    """The slots that a decision may rest on now.

    One past its time to live counts as missing, and all of them do while memory has not told of the caller's last turn
    (`of_utterance`: of the turn before, since it is this one that is judged).
    """
    known = state.known
    if known.as_of < (known.heard_before if of_utterance else known.heard_at):
        return {}
    return {
        name: slot
        for name, slot in state.slots.items()
        if name not in state.known.stale and not slot.expired(at.now_ms)
    }


def facts_of(state: CallState, at: At) -> tuple[dict[str, Any], ...]:
    """The facts that the session holds, with their age."""
    return tuple(
        {
            "name": fact.name,
            "tool": fact.tool,
            "arguments_json": fact.arguments_json,
            "value_json": fact.value_json,
            "age_ms": max(0, at.now_ms - fact.at_ms),
            "unavailable": fact.unavailable,
        }
        for fact in state.facts.values()
    )


def facts_json(state: CallState) -> str:
    """The newest value of each fact as one JSON object, for the model to answer questions from: what it may see."""
    values = {
        fact.name: msgspec.json.decode(fact.shown_json)
        for fact in state.facts.values()
        if not fact.unavailable and fact.shown_json
    }
    return msgspec.json.encode(values).decode()


def own_packet(state: CallState, reason: str) -> dict[str, Any]:
    """A handoff packet from the core's own bounded view, for when memory is away."""
    return {
        "session_id": state.session_id,
        "tenant": state.tenant,
        "caller_id": state.caller_id,
        "reason": reason,
        "as_of_epoch": state.epoch,
        "as_of_seq": state.seq,
        "tasks": [msgspec.to_builtins(task) | {"status": "open"} for task in state.tasks.values()],
        "actions": [
            {
                "action_id": action.action_id,
                "tool": action.tool,
                "arguments_json": action.arguments_json,
                "status": action.status or "open",
                "message": action.message,
                "result_json": action.data_json,
            }
            for action in list(state.actions.values())[-ACTIONS_SHOWN:]
        ],
        "pending_consents": [
            {
                "consent_id": consent.consent_id,
                "action_id": consent.action_id,
                "read_back": consent.read_back,
            }
            for consent in state.consents.values()
            if consent.phase is not ConsentPhase.ENDED
        ],
        "turns": [
            {
                "speaker": "caller" if entry.role == "user" else "agent",
                "text": entry.text,
                "item_id": entry.item_id,
            }
            for entry in state.history[-TURNS_SHOWN:]
            if entry.kind == "message" and entry.role in ("user", "assistant")
        ],
        "left_out": ["slots", "decisions", "summary"],
    }


def _slots(slots: Mapping[str, SlotValue], at: At) -> list[dict[str, Any]]:
    return [
        {
            "name": slot.name,
            "value_json": slot.value_json,
            "as_of_seq": slot.as_of_seq,
            "age_ms": max(0, at.now_ms - slot.at_ms),
            "confidence": slot.confidence,
        }
        for slot in slots.values()
    ]


def _shown(state: CallState, judged: Action | None) -> list[Action]:
    shown = list(state.actions.values())[-ACTIONS_SHOWN:]
    done = done_like(state, judged) if judged is not None and judged.once_more else None
    if done is not None and not any(action is done for action in shown):
        shown[0] = done
    return shown


def _past(action: Action, at: At) -> dict[str, Any]:
    since = action.finished_at_ms or action.requested_at_ms
    return {
        "action_id": action.action_id,
        "tool": action.tool,
        "status": "open" if action.phase is not ActionPhase.DONE else action.status,
        "age_ms": max(0, at.now_ms - since),
        "arguments_json": action.arguments_json,
    }


def _totals(state: CallState) -> list[dict[str, Any]]:
    totals = {tool: replace(past, sums=dict(past.sums)) for tool, past in state.past.totals.items()}
    for action in state.actions.values():
        row = totals.get(action.tool)
        if row is None:
            row = totals[action.tool] = Totals()
        row.count(action.status, action.arguments_json, action.arguments_digest)
    return [{"tool": tool, **msgspec.structs.asdict(row)} for tool, row in totals.items()]
