"""Owns what is kept of a caller over calls: what each call contributes, how it is merged, when it goes.

Nothing is kept without the caller's consent. A call contributes what the caller prefers (slots that the pack marks
with `x-remember`, notes named `preference.…`, lasting statements in the caller's words), what is still owed, and how
its changes ended. A contribution replaces the same session's earlier one, so folding a fact twice changes nothing.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from ringback_memory.domain import limits
from ringback_memory.domain.schema import SlotSchema
from ringback_memory.domain.slots import parse
from ringback_memory.domain.state import Action, State, open_tasks
from ringback_memory.domain.summary import quoted

CALLS_MAX = 16
PREFERENCES_MAX = 32
TASKS_MAX = 32
OUTCOMES_MAX = 16
RECORD_BYTES_MAX = 64 * 1024
CONSENT_SLOT = "memory_consent"
PREFERENCE = "preference."
SAID = "said"

GIVEN, REFUSED, UNKNOWN = "given", "refused", ""


class Preference(msgspec.Struct, frozen=True, array_like=True):
    name: str
    value_json: str
    at_ms: int
    session_id: str


class OwedTask(msgspec.Struct, frozen=True, array_like=True):
    task_id: str
    session_id: str
    title: str
    kind: str
    status: str
    owed_by: str
    at_ms: int


class Outcome(msgspec.Struct, frozen=True, array_like=True):
    action_id: str
    session_id: str
    tool: str
    arguments_json: str
    status: str
    message: str
    at_ms: int


class Contribution(msgspec.Struct, frozen=True, array_like=True):
    """What one call left, as of its `folded`th fact."""

    session_id: str
    at_ms: int
    folded: int
    preferences: tuple[Preference, ...] = ()
    tasks: tuple[OwedTask, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    closed: tuple[str, ...] = ()
    """Tasks of earlier calls that this one closed."""


class Caller(msgspec.Struct, frozen=True, array_like=True):
    """One caller of one tenant; `calls` are the newest, oldest first."""

    tenant: str
    caller_id: str
    consent: str = UNKNOWN
    consent_at_ms: int = 0
    consent_source: str = ""
    calls: tuple[Contribution, ...] = ()

    @property
    def may_be_kept(self) -> bool:
        """Whether the caller agreed."""
        return self.consent == GIVEN


class Recall(msgspec.Struct, frozen=True):
    """What earlier calls left, merged: the newest word on each matter, newest first."""

    calls: int = 0
    preferences: tuple[Preference, ...] = ()
    tasks: tuple[OwedTask, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


def consent_in(state: State) -> str:
    """What the caller said in this call about being remembered; UNKNOWN if nothing."""
    slot = state.slots.get(CONSENT_SLOT)
    value = parse(slot.value_json) if slot else None
    if value is None:
        return UNKNOWN
    return GIVEN if value is True or str(value).casefold() in ("true", "yes", GIVEN) else REFUSED


def with_consent(caller: Caller, consent: str, *, at_ms: int, source: str) -> Caller:
    """`caller` after a decision about consent; a refusal keeps nothing but itself."""
    calls = caller.calls if consent == GIVEN else ()
    return replace(caller, consent=consent, consent_at_ms=at_ms, consent_source=source, calls=calls)


def with_call(caller: Caller, state: State, *, schema: SlotSchema) -> Caller:
    """`caller` with what this call leaves; unchanged without consent, or if a newer state was merged before."""
    said = consent_in(state)
    if said != UNKNOWN and state.last_ms > caller.consent_at_ms and said != caller.consent:
        caller = with_consent(caller, said, at_ms=state.last_ms, source=state.session_id)
    if not caller.may_be_kept:
        return caller
    left = contribution(state, schema=schema)
    known = next((one for one in caller.calls if one.session_id == state.session_id), None)
    if known is not None and (known == left or known.folded > left.folded):
        return caller
    others = tuple(one for one in caller.calls if one.session_id != state.session_id)
    calls = sorted((*others, left), key=lambda one: (one.at_ms, one.session_id))
    return _bounded(replace(caller, calls=tuple(calls)))


def contribution(state: State, *, schema: SlotSchema) -> Contribution:
    """What a call leaves behind."""
    session, at_ms = state.session_id, state.last_ms
    preferences = [
        Preference(slot.name.removeprefix(PREFERENCE), slot.value_json, slot.at_ms, session)
        for slot in state.slots.values()
        if slot.name.startswith(PREFERENCE) or (slot.name in schema.remembered and slot.source != "tool")
    ]
    preferences += [
        Preference(SAID, msgspec.json.encode(one).decode(), at_ms, session) for one in state.statements
    ]
    tasks = [
        OwedTask(task.task_id, session, task.title, task.kind, task.status, task.owed_by, at_ms)
        for task in open_tasks(state)
    ]
    changes = [action for action in state.actions.values() if action.side_effect != "read"]
    changes.sort(key=lambda action: action.finished or action.position)
    return Contribution(
        session_id=session,
        at_ms=at_ms,
        folded=state.counts.folded,
        preferences=tuple(preferences[-PREFERENCES_MAX:]),
        tasks=tuple(tasks[-TASKS_MAX:]),
        outcomes=tuple(_outcome(action, session, at_ms) for action in changes[-OUTCOMES_MAX:]),
        closed=state.closed_elsewhere,
    )


def without_expired(caller: Caller, *, now_ms: int, retention_ms: int) -> Caller:
    """`caller` without what is older than the retention."""
    kept = tuple(one for one in caller.calls if now_ms - one.at_ms <= retention_ms)
    return caller if len(kept) == len(caller.calls) else replace(caller, calls=kept)


def is_empty(caller: Caller) -> bool:
    """Whether nothing is kept, not even a decision about consent."""
    return not caller.calls and caller.consent == UNKNOWN


def recall(caller: Caller, *, but: str = "") -> Recall:
    """What the calls left, merged; `but` is the session that asks."""
    calls = [one for one in caller.calls if one.session_id != but]
    closed = {task_id for one in calls for task_id in one.closed}
    preferences: dict[str, Preference] = {}
    for one in calls:
        for found in one.preferences:
            key = f"{SAID}:{found.value_json}" if found.name == SAID else found.name
            preferences[key] = found
    tasks = {task.task_id: task for one in calls for task in one.tasks if task.task_id not in closed}
    outcomes = {outcome.action_id: outcome for one in calls for outcome in one.outcomes}
    return Recall(
        calls=len(calls),
        preferences=tuple(sorted(preferences.values(), key=lambda one: -one.at_ms))[:PREFERENCES_MAX],
        tasks=tuple(sorted(tasks.values(), key=lambda one: -one.at_ms))[:TASKS_MAX],
        outcomes=tuple(sorted(outcomes.values(), key=lambda one: -one.at_ms))[:OUTCOMES_MAX],
    )


def recall_lines(known: Recall) -> list[str]:
    """What was kept, for the model, in order of worth: what is owed, what the caller prefers, how changes ended."""
    lines = [f"- still {task.status}: {quoted(task.title)}" for task in known.tasks]
    lines += [
        f"- the caller said: {quoted(str(parse(one.value_json)))}"
        if one.name == SAID
        else f"- prefers {one.name}: {one.value_json}"
        for one in known.preferences
    ]
    return lines + [f"- {_outcome_text(one)}" for one in known.outcomes]


def _outcome_text(one: Outcome) -> str:
    said = f": {quoted(one.message)}" if one.message else ""
    return f"{one.tool} {one.arguments_json or '{}'} was {one.status.replace('_', ' ')}{said}"


def _outcome(action: Action, session: str, at_ms: int) -> Outcome:
    arguments = action.arguments_json if len(action.arguments_json) <= limits.LABEL_BYTES_MAX else ""
    message = limits.clip(action.message, limits.LABEL_BYTES_MAX // 2)
    return Outcome(action.action_id, session, action.tool, arguments, action.status, message, at_ms)


def _bounded(caller: Caller) -> Caller:
    """The oldest calls go first; what is still owed, and what the caller prefers, goes over to the next one."""
    while len(caller.calls) > 1 and (
        len(caller.calls) > CALLS_MAX or len(msgspec.json.encode(caller)) > RECORD_BYTES_MAX
    ):
        oldest, heir, *rest = caller.calls
        done = {task_id for one in caller.calls for task_id in one.closed}
        owed = tuple(task for task in oldest.tasks if task.task_id not in done)
        renewed = {one.name for one in heir.preferences if one.name != SAID}
        liked = tuple(one for one in oldest.preferences if one.name not in renewed)
        heir = replace(
            heir,
            tasks=(*owed, *heir.tasks)[-TASKS_MAX:],
            preferences=(*liked, *heir.preferences)[-PREFERENCES_MAX:],
        )
        caller = replace(caller, calls=(heir, *rest))
    return caller
