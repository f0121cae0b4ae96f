"""Looking up again what is out of date, before it is used for a decision.

Before anything is decided that changes the world, memory is asked for what the caller
just said, and stale slots with a refresh hook are read again: where the decision reads
slots at all. That begins when the model names the tool, while its arguments still come.
Nothing that changes the world is ever a hook.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from ringback_session.domain import facts
from ringback_session.domain.effects import PullContext, RefreshValue
from ringback_session.domain.inputs import ContextArrived, FactFetched, ValueRefreshed
from ringback_session.domain.judged import Reading
from ringback_session.domain.known import Refresh, StaleValue
from ringback_session.domain.rules import SideEffect
from ringback_session.domain.state import Action, ActionPhase, CallState, SlotValue
from ringback_session.domain.step import Step

__all__ = [
    "announced",
    "ask_unwaited",
    "context_arrived",
    "context_missed",
    "prepare",
    "refreshed",
    "turn_heard",
    "turn_on_record",
]

REFRESHES_MAX: Final = 4
_CONTEXT: Final = "context"


def turn_heard(step: Step) -> None:
    """The caller said something: what memory held before may be contradicted by it, once that is on record."""
    state = step.state
    state.known.heard_before = state.known.heard_at
    state.known.heard_at = (state.epoch, state.seq + 1)
    # What was asked for before does not tell of it.
    state.known.announced = []


def turn_on_record(step: Step) -> None:
    """The stream was just told of it: from there on memory can know."""
    state = step.state
    state.known.heard_at = max(state.known.heard_at, (state.epoch, state.seq))
    step.effects.append(PullContext(min_epoch=state.epoch, min_seq=state.seq))


def announced(step: Step, tool: str) -> None:
    """The model begins to call a tool: what its decision may rest on is brought up to date meanwhile."""
    state, called = step.state, step.state.tools.get(tool)
    if called is None or called.platform or not state.rules.reads_slots(tool):
        return
    if not _kept_fresh(state, called.side_effect):
        return
    if not _behind(step):
        _read_again(step)
    elif tool not in state.known.announced:
        state.known.announced.append(tool)
        _pull_at_once(step)


def prepare(step: Step, action: Action) -> bool:
    """Bring up to date what the decision may rest on. True: the action waits for that."""
    state = step.state
    if not _kept_fresh(state, action.side_effect) or not state.rules.reads_slots(action.tool):
        return False
    if _behind(step):
        action.phase = ActionPhase.FETCHING
        state.known.waiting[action.action_id] = [_CONTEXT]
        if action.tool not in state.known.announced:
            _pull_at_once(step)
        return True
    return _refresh(step, action)


def ask_unwaited(step: Step, action: Action, *, prepared: bool) -> bool:
    """Is policy asked without what waiting would bring, since the rules are known not to read it? Kept in `known`."""
    state = step.state
    if state.known.unwaited:
        state.known.unwaited = [one for one in state.known.unwaited if _still_asked(state, one, action)]
    if prepared or not _kept_fresh(state, action.side_effect) or state.rules.reads_slots(action.tool):
        return False
    if not (_behind(step) or any(stale.tool for stale in state.known.stale.values())):
        return False
    state.known.unwaited.append(action.action_id)
    return True


def context_arrived(step: Step, event: ContextArrived) -> list[Action]:
    """Memory's slots are here. Returns the actions that may be decided now."""
    state = step.state
    if event.as_of >= state.known.as_of:
        state.known.as_of = event.as_of
        state.known.stale = {stale.name: stale for stale in event.stale}
    called, state.known.announced = state.known.announced, []
    if state.known.behind:
        return []
    if called:
        _read_again(step)
    return _settled(step, _CONTEXT, refresh=True)


def context_missed(step: Step) -> list[Action]:
    """Memory is away or behind: decided without it. Returns the actions that may be decided now."""
    step.state.known.announced = []
    return _settled(step, _CONTEXT, refresh=False)


def refreshed(step: Step, event: ValueRefreshed) -> list[Action]:
    """A reading tool answered, or did not. Returns the actions that may be decided now."""
    refresh = step.state.known.refreshing.pop(event.refresh_id, None)
    if refresh is None:
        return []
    if event.ok:
        _take(step, refresh, event.data_json)
    return _settled(step, event.refresh_id, refresh=False)


def _kept_fresh(state: CallState, side_effect: SideEffect) -> bool:
    """Is it about a change of the world, with something known that may be out of date?"""
    return side_effect is not SideEffect.READ and bool(state.slots) and not state.ended


def _still_asked(state: CallState, action_id: str, asking: Action) -> bool:
    other = state.actions.get(action_id)
    return other is not None and other is not asking and other.phase is ActionPhase.DECIDING


def _behind(step: Step) -> bool:
    """Does only memory know what holds now?"""
    state = step.state
    unhooked = any(
        slot.expired(step.at.now_ms) and name not in state.known.stale for name, slot in state.slots.items()
    )
    return state.known.behind or unhooked


def _pull_at_once(step: Step) -> None:
    """Of what came after the caller's last words the decision is told by the call itself."""
    state = step.state
    epoch, seq = min(max(state.known.heard_at, state.known.as_of), (state.epoch, state.seq))
    step.effects.append(PullContext(min_epoch=epoch, min_seq=seq, at_once=True))


def _refresh(step: Step, action: Action) -> bool:
    """Have the stale slots read again. True: there is something to wait for."""
    tokens = _read_again(step)
    if not tokens:
        return False
    action.phase = ActionPhase.FETCHING
    step.state.known.waiting[action.action_id] = tokens
    return True


def _read_again(step: Step) -> list[str]:
    """One call for all slots of a hook; returns what is under way, also of before."""
    known = step.state.known
    hooks: dict[tuple[str, str, str], list[StaleValue]] = {}
    for stale in known.stale.values():
        if stale.tool:
            hooks.setdefault((stale.tool, stale.arguments_json, stale.fact), []).append(stale)
    tokens = []
    for (tool, arguments, fact), values in list(hooks.items())[:REFRESHES_MAX]:
        under_way = next(
            (one for one in known.refreshing.values() if (one.tool, one.arguments_json) == (tool, arguments)),
            None,
        )
        refresh = under_way or Refresh(
            refresh_id=step.state.new_id("fresh_"),
            tool=tool,
            arguments_json=arguments,
            fact=fact,
            names=[value.name for value in values],
            ttl_ms=values[0].ttl_ms,
            asked_at_ms=step.at.now_ms,
        )
        tokens.append(refresh.refresh_id)
        if under_way is None:
            known.refreshing[refresh.refresh_id] = refresh
            step.effects.append(
                RefreshValue(refresh_id=refresh.refresh_id, tool=tool, arguments_json=arguments)
            )
    return tokens


def _settled(step: Step, token: str, *, refresh: bool) -> list[Action]:
    """Nobody waits for `token` any more; returns the actions that wait for nothing else."""
    state = step.state
    ready = []
    for action_id, tokens in list(state.known.waiting.items()):
        if token not in tokens:
            continue
        tokens.remove(token)
        if tokens:
            continue
        del state.known.waiting[action_id]
        action = state.actions.get(action_id)
        if action is None or action.phase is not ActionPhase.FETCHING:
            continue
        if not (refresh and _refresh(step, action)):
            ready.append(action)
    return ready


def _take(step: Step, refresh: Refresh, data_json: str) -> None:
    state = step.state
    _publish(step, refresh, data_json)
    data = _decoded(data_json)
    for name in refresh.names:
        value = _at(data, _path(name, refresh))
        if value is None or name not in state.slots:
            continue
        state.known.stale.pop(name, None)
        state.slots[name] = SlotValue(
            name=name,
            value_json=msgspec.json.encode(value).decode(),
            as_of_seq=state.seq,
            at_ms=step.at.now_ms,
            ttl_ms=refresh.ttl_ms,
        )


def _publish(step: Step, refresh: Refresh, data_json: str) -> None:
    """Memory learns it the way it learnt the value first: as a fact, or as the result of a reading tool."""
    if refresh.fact:
        fact = FactFetched(
            action_id=refresh.refresh_id,
            name=refresh.fact,
            tool=refresh.tool,
            arguments_json=refresh.arguments_json,
            value_json=data_json,
            ttl_ms=refresh.ttl_ms,
        )
        facts.keep(step, fact)
        return
    body: dict[str, str | int | float] = {
        "action_id": f"act_{refresh.refresh_id.removeprefix('fresh_')}",
        "status": "ok",
        "arguments_json": refresh.arguments_json,
        "side_effect": SideEffect.READ,
        "attempts": 1,
        "duration_ms": float(max(0, step.at.now_ms - refresh.asked_at_ms)),
    }
    reading = Reading(kind="action_finished", tool=refresh.tool, value_json=data_json, body=body)
    facts.record(step, reading)


def _path(name: str, refresh: Refresh) -> str:
    for prefix in (refresh.fact, refresh.tool):
        if prefix and name.startswith(f"{prefix}."):
            return name[len(prefix) + 1 :]
    return name


def _at(data: Any, path: str) -> Any:
    """A plain value by its dotted path; by its last name anywhere at the top, as memory names known arguments."""
    for step in path.split("."):
        if not isinstance(data, dict) or step not in data:
            return None
        data = data[step]
    return None if isinstance(data, dict | list) else data


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
