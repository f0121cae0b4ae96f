"""Owns the fold: `apply(state, event) → state`. Pure, total, deterministic; it never raises, whatever the
event says.

The caller hands the events over in order of (epoch, seq), each once; `timeline` sees to that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from msgspec.structs import replace

from ringback_memory.domain import actions, limits, tasks, turns
from ringback_memory.domain import events as ev
from ringback_memory.domain.actions import void_consents, weigh, without_calls
from ringback_memory.domain.cues import Cue
from ringback_memory.domain.entities import with_mentions, with_slot_entities
from ringback_memory.domain.events import Event, LateFact
from ringback_memory.domain.extraction import read_caller
from ringback_memory.domain.schema import EMPTY_SCHEMA, SlotSchema
from ringback_memory.domain.slots import Evidence
from ringback_memory.domain.state import State, Summary, Turn
from ringback_memory.domain.summary import fold_turns, replaced_by

_CORRECTS = Cue(
    r"\b(actually|i meant?|i said|rather|instead|sorry|wait|not that|wrong|correction|make (it|that)|"
    r"change (it|that)|no[,.]? (it'?s|that'?s|the|i|not)|scratch that)\b",
    holds="actually|i mean|i said|rather|instead|sorry|wait|not that|wrong|correction|make |change |no |no,|no."
    "|scratch",
)
_Handler = Callable[[State, Event, Any, SlotSchema], State]


def apply(state: State, event: Event, *, schema: SlotSchema = EMPTY_SCHEMA) -> State:
    """The state after one more fact, the next in order."""
    handler = _HANDLERS.get(type(event.body))
    counts = state.counts
    counts = replace(
        counts,
        folded=counts.folded + 1,
        unknown_kinds=counts.unknown_kinds + (handler is None),
        newer_schemas=counts.newer_schemas + (event.schema_version > ev.NEWEST_SCHEMA),
    )
    state = replace(
        state,
        position=max(state.position, event.position),
        started_ms=state.started_ms or event.at_ms,
        last_ms=max(state.last_ms, event.at_ms),
        agent=event.agent or state.agent,
        counts=counts,
    )
    if handler is None:
        return state
    return with_slot_entities(handler(state, event, event.body, schema), state, position=event.position)


def apply_late(state: State, fact: LateFact, *, schema: SlotSchema = EMPTY_SCHEMA) -> State:
    """The state with what a service learnt late; it may settle an open action, never reopen a settled one."""
    outcome = fact.outcome
    if outcome is None:
        return state
    known = state.actions.get(outcome.action_id)
    if known is not None and not known.is_open:
        return state
    position = known.position if known else state.position
    event = Event(position=position, at_ms=fact.at_ms, body=outcome)
    return actions.finished(state, event, outcome, schema)


def _started(state: State, event: Event, body: ev.Started, schema: SlotSchema) -> State:
    return replace(
        state,
        pack=body.pack,
        pack_digest=body.pack_digest,
        bundle_digest=body.bundle_digest,
        caller_id=body.caller_id,
        started_ms=event.at_ms,
    )


def _caller_spoke(state: State, event: Event, body: ev.CallerSpoke, schema: SlotSchema) -> State:
    question = turns.last_agent_text(state)
    state = turns.with_caller_turn(state, event.position, body)
    correcting = not body.failed and bool(_CORRECTS.search(body.text))
    state = replace(state, correcting=correcting)
    if body.failed:
        return state
    state = with_mentions(state, body.text, position=event.position)
    if not schema.slots:
        return tasks.from_caller(state, event, body.text, question=question, schema=schema)
    certainty = 1.0 if body.confidence is None else body.confidence
    reading = read_caller(schema, body.text, question=question, state=state)
    state = replace(state, focus=reading.focus)
    valued = bool(reading.found)
    state = tasks.from_caller(state, event, body.text, question=question, schema=schema, valued=valued)
    for found in reading.found:
        ttl_ms = schema.ttls.get(found.name, 0)
        evidence = Evidence(found.name, found.value, "caller", found.confidence * certainty, ttl_ms=ttl_ms)
        state = weigh(state, event, evidence)
    return state


def _agent_spoke(state: State, event: Event, body: ev.AgentSpoke, schema: SlotSchema) -> State:
    before = state.promises
    state = turns.with_agent_turn(state, event.position, body)
    if body.kind == "filler":
        return state
    state = with_mentions(state, body.heard, position=event.position)
    return tasks.from_agent(state, event, before=before, heard=body.heard)


def _interrupted(state: State, event: Event, body: ev.Interrupted, schema: SlotSchema) -> State:
    return turns.cut_short(state, item_id=body.item_id, heard_ms=body.heard_ms)


def _handed_off(state: State, event: Event, body: ev.HandedOff, schema: SlotSchema) -> State:
    line = limits.clip(f"{body.from_agent} → {body.to_agent}: {body.reason}", limits.LABEL_BYTES_MAX)
    state = replace(state, agent=body.to_agent, handoffs=(*state.handoffs, line)[-limits.HANDOFFS_MAX :])
    return tasks.handed_over(void_consents(state))


def _handoff_refused(state: State, event: Event, body: ev.HandoffRefused, schema: SlotSchema) -> State:
    line = limits.clip(
        f"{body.from_agent} kept the call, not {body.asked_for}: {body.outcome}", limits.LABEL_BYTES_MAX
    )
    return replace(state, handoffs=(*state.handoffs, line)[-limits.HANDOFFS_MAX :])


def _consulted(state: State, event: Event, body: ev.Consulted, schema: SlotSchema) -> State:
    return state


def _escalated(state: State, event: Event, body: ev.Escalated, schema: SlotSchema) -> State:
    line = limits.clip(f"a person: {body.reason}", limits.LABEL_BYTES_MAX)
    return replace(tasks.handed_over(state), handoffs=(*state.handoffs, line)[-limits.HANDOFFS_MAX :])


def _compacted(state: State, event: Event, body: ev.Compacted, schema: SlotSchema) -> State:
    """An epoch that was seen already is an old plan: it changes nothing."""
    if body.epoch <= state.summary_epoch:
        return state
    gone_items, gone_calls = set(body.item_ids), set(body.call_ids)
    covered = tuple(turn for turn in state.turns if turn.item_id in gone_items)
    kept = tuple(turn for turn in state.turns if turn.item_id not in gone_items)
    known = state.actions
    if gone_calls:
        known = {key: without_calls(action, gone_calls) for key, action in known.items()}
    return replace(
        state,
        turns=kept,
        turns_bytes=sum(len(turn.text.encode()) for turn in kept),
        spilled_item_ids=tuple(one for one in state.spilled_item_ids if one not in gone_items),
        summary=_summed_up(state, body, covered),
        summary_epoch=body.epoch,
        actions=known,
    )


def _summed_up(state: State, body: ev.Compacted, covered: tuple[Turn, ...]) -> Summary:
    if body.summary:
        return replaced_by(state.summary, body.summary, covered)
    return fold_turns(state.summary, covered)


def _rotated(state: State, event: Event, body: ev.Rotated, schema: SlotSchema) -> State:
    return replace(state, generation=max(state.generation, body.generation))


def _ended(state: State, event: Event, body: ev.Ended, schema: SlotSchema) -> State:
    return replace(state, ended=body.reason or "ended")


def _resumed(state: State, event: Event, body: ev.Resumed, schema: SlotSchema) -> State:
    return replace(state, ended="")


_HANDLERS = cast(
    dict[type, _Handler],
    {
        ev.Started: _started,
        ev.CallerSpoke: _caller_spoke,
        ev.AgentSpoke: _agent_spoke,
        ev.Interrupted: _interrupted,
        ev.ActionRequested: actions.requested,
        ev.ActionDecided: actions.decided,
        ev.ActionProgressed: actions.progressed,
        ev.ActionFinished: actions.finished,
        ev.ConsentAsked: actions.asked,
        ev.ConsentAnswered: actions.answered,
        ev.FactsFetched: actions.facts,
        ev.SlotsChanged: actions.slots_changed,
        ev.TaskOpened: tasks.opened,
        ev.TaskClosed: tasks.closed,
        ev.HandedOff: _handed_off,
        ev.HandoffRefused: _handoff_refused,
        ev.Consulted: _consulted,
        ev.Escalated: _escalated,
        ev.Compacted: _compacted,
        ev.Rotated: _rotated,
        ev.Resumed: _resumed,
        ev.Ended: _ended,
    },
)
