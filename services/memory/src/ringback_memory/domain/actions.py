"""Owns what the fold makes of actions, consents and facts: their states, and the slots that they give
evidence for.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.events import Event, Position
from ringback_memory.domain.schema import SlotSchema
from ringback_memory.domain.slots import (
    AGENT_CONFIDENCE,
    READ_BACK_CONFIDENCE,
    TOOL_CONFIDENCE,
    Evidence,
    leaves,
    parse,
    with_correction,
    with_evidence,
)
from ringback_memory.domain.state import (
    OPEN_STATUSES,
    TRUSTED_SOURCES,
    Action,
    Consent,
    Counts,
    Decision,
    Fact,
    State,
    pending_consents,
)
from ringback_memory.domain.summary import quoted
from ringback_memory.domain.tasks import dropped_by_caller, served

_SLOT_TEXT_CHARS_MAX = 160
"""Longer strings in arguments and results are prose, not values."""


def requested(state: State, event: Event, body: ev.ActionRequested, schema: SlotSchema) -> State:
    old = state.actions.get(body.action_id)
    call_ids = old.call_ids if old else ()
    if body.call_id and body.call_id not in call_ids:
        call_ids = (*call_ids, body.call_id)[-limits.CALL_IDS_MAX :]
    if old is not None and (body.attached or old.is_open):
        return _put_action(state, replace(old, call_ids=call_ids))
    action = Action(
        action_id=body.action_id,
        tool=body.tool,
        arguments_json=body.arguments_json,
        status="requested",
        position=event.position,
        side_effect=body.side_effect,
        call_ids=call_ids,
        model_bytes=len(body.arguments_json) + (old.model_bytes if old else 0),
    )
    state = _put_action(state, action)
    return _weigh_all(state, event, parse(body.arguments_json), source="agent", confidence=AGENT_CONFIDENCE)


def decided(state: State, event: Event, body: ev.ActionDecided, schema: SlotSchema) -> State:
    decision = Decision(
        body.decision_id, body.gate, body.tool, body.effect, body.rule, body.layer, event.position
    )
    state = replace(state, decisions=(*state.decisions, decision)[-limits.DECISIONS_MAX :])
    action = state.actions.get(body.action_id)
    if action is None or body.gate != "ACTION" or not action.is_open:
        return state
    status = {"ALLOW": "running", "CONFIRM": "confirming", "DENY": "not_started"}.get(
        body.effect, action.status
    )
    message = body.reason if body.effect == "DENY" else action.message
    action = replace(action, status=status, message=message)
    return served(_put_action(state, action), action)


def progressed(state: State, event: Event, body: ev.ActionProgressed, schema: SlotSchema) -> State:
    action = state.actions.get(body.action_id)
    if action is None or action.status not in ("requested", "confirming"):
        return state
    return _put_action(state, replace(action, status="running"))


def finished(state: State, event: Event, body: ev.ActionFinished, schema: SlotSchema) -> State:
    old = state.actions.get(body.action_id) or Action(
        action_id=body.action_id,
        tool=body.tool,
        arguments_json=body.arguments_json,
        status="requested",
        position=event.position,
        side_effect=body.side_effect,
    )
    result = parse(body.result_json) if body.result_json else None
    action = replace(
        old,
        status=body.status,
        message=body.message or body.error_code,
        result_json=body.result_json if len(body.result_json) <= limits.RESULT_BYTES_MAX else "",
        finished=event.position,
        model_bytes=old.model_bytes + len(body.result_json),
    )
    state = served(_put_action(state, action), action)
    if body.status != "ok":
        return state
    for name, value in _slot_like(result):
        plain = name.rsplit(".", 1)[-1]
        known = plain in schema.names
        evidence = Evidence(
            plain if known else f"{body.tool}.{name}",
            value,
            "tool",
            TOOL_CONFIDENCE,
            ttl_ms=schema.result_ttls.get(body.tool, 0),
        )
        state = weigh(state, event, evidence)
    return state


def asked(state: State, event: Event, body: ev.ConsentAsked, schema: SlotSchema) -> State:
    consent = Consent(body.consent_id, body.action_id, body.read_back, body.expires_at_ms, event.position)
    consents = {**state.consents, body.consent_id: consent}
    while len(consents) > limits.CONSENTS_MAX:
        del consents[min(consents.values(), key=lambda one: (one.is_pending, one.position)).consent_id]
    state = replace(state, consents=consents)
    action = state.actions.get(body.action_id)
    if action is None or action.status in ("ok", "unknown"):
        return state
    return _put_action(state, replace(action, status="confirming", consent_id=body.consent_id))


def answered(state: State, event: Event, body: ev.ConsentAnswered, schema: SlotSchema) -> State:
    consent = state.consents.get(body.consent_id)
    if consent is not None:
        consents = {**state.consents, body.consent_id: replace(consent, reading=body.reading)}
        state = replace(state, consents=consents)
    action = state.actions.get(body.action_id)
    match body.reading:
        case "yes" if action is not None:
            arguments = parse(action.arguments_json)
            return _weigh_all(state, event, arguments, source="read_back", confidence=READ_BACK_CONFIDENCE)
        case "correction":
            state = with_correction(
                replace(state, correcting=True), f"to the read-back: {quoted(body.utterance)}"
            )
        case "no" | "void":
            pass
        case _:
            return state
    if action is not None and action.status in ("requested", "confirming"):
        action = replace(action, status="not_started", consent_id="")
        state = _put_action(state, action)
        return dropped_by_caller(state, action) if body.reading == "no" else state
    return state


def facts(state: State, event: Event, body: ev.FactsFetched, schema: SlotSchema) -> State:
    key = limits.clip(f"{body.name}({body.arguments_json})", limits.LABEL_BYTES_MAX)
    value = body.value_json if len(body.value_json) <= limits.FACT_VALUE_BYTES_MAX else ""
    fact = Fact(body.name, body.tool, value, event.position, event.at_ms, body.ttl_ms, body.arguments_json)
    facts = {**state.facts, key: fact}
    while len(facts) > limits.FACTS_MAX:
        del facts[min(facts, key=lambda one: (facts[one].position, one))]
    state = replace(state, facts=facts)
    for name, value in _slot_like({body.name: parse(body.value_json)}):
        evidence = Evidence(name, value, "tool", TOOL_CONFIDENCE, ttl_ms=body.ttl_ms)
        state = weigh(state, event, evidence)
    return state


def slots_changed(state: State, event: Event, body: ev.SlotsChanged, schema: SlotSchema) -> State:
    """Notes; what they claim to be proved by a result or a consent counts as the agent's understanding."""
    for note in body.slots:
        value = parse(note.value_json)
        source = note.source if note.source == "caller" else "agent"
        if value is not None:
            evidence = Evidence(note.name, value, source, note.confidence, ttl_ms=note.ttl_ms)
            state = weigh(state, event, evidence)
        elif note.value_json.strip() == "null":
            state = _taken_back(state, note.name)
    return state


def weigh(state: State, event: Event, evidence: Evidence) -> State:
    return with_evidence(
        state, evidence, position=event.position, at_ms=event.at_ms, correcting=state.correcting
    )


def _weigh_all(state: State, event: Event, arguments: object, *, source: str, confidence: float) -> State:
    for name, value in _slot_like(arguments):
        state = weigh(state, event, Evidence(name, value, source, confidence))
    return state


def _taken_back(state: State, name: str) -> State:
    """Only what was noted or guessed can be taken back, not what is proved."""
    slot = state.slots.get(name)
    if slot is None or slot.source in TRUSTED_SOURCES:
        return state
    return replace(state, slots={key: one for key, one in state.slots.items() if key != name})


def _slot_like(value: object) -> list[tuple[str, Any]]:
    found = []
    for name, leaf in leaves(value):
        if isinstance(leaf, str) and not 0 < len(leaf) <= _SLOT_TEXT_CHARS_MAX:
            continue
        found.append((name, leaf))
        if len(found) == limits.SLOTS_PER_SOURCE_MAX:
            break
    return found


def _put_action(state: State, action: Action) -> State:
    actions = {**state.actions, action.action_id: action}
    dropped = 0
    while len(actions) > limits.ACTIONS_MAX:
        settled = [one for one in actions.values() if one.status not in OPEN_STATUSES]
        oldest = min(settled or actions.values(), key=_age)
        del actions[oldest.action_id]
        dropped += oldest.is_open
    return replace(state, actions=actions, counts=with_dropped(state.counts, dropped))


def _age(action: Action) -> tuple[Position, str]:
    return action.position, action.action_id


def void_consents(state: State) -> State:
    consents, actions = dict(state.consents), dict(state.actions)
    for consent in pending_consents(state):
        consents[consent.consent_id] = replace(consent, reading="void")
        action = actions.get(consent.action_id)
        if action is not None and action.status == "confirming":
            actions[action.action_id] = replace(action, status="not_started", consent_id="")
    return replace(state, consents=consents, actions=actions)


def with_dropped(counts: Counts, dropped: int) -> Counts:
    return replace(counts, dropped=counts.dropped + dropped) if dropped else counts


def without_calls(action: Action, gone: set[str]) -> Action:
    if gone.isdisjoint(action.call_ids):
        return action
    left = tuple(one for one in action.call_ids if one not in gone)
    return replace(action, call_ids=left, model_bytes=action.model_bytes if left else 0)
