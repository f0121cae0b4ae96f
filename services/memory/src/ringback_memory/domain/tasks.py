"""Owns what is owed in a call: tasks that the session opens, and those read from requests and promises.

A request is read when the caller's words match a tool of the pack, or take up the agent's offer of one. It is
done when that tool has succeeded, blocked when it was refused or failed, dropped when the caller lets go of it.
A promise of the agent stays open until something that looks like its keeping happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec.structs import replace

from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.cues import Cue
from ringback_memory.domain.events import Event
from ringback_memory.domain.requests import SENTENCE, requests_in, things_of
from ringback_memory.domain.schema import SlotSchema, ToolWords, all_words, stem, words_of
from ringback_memory.domain.state import Action, State, Task

_LETS_GO = Cue(
    r"\b(?:never ?mind|forget (?:it|about|that)|(?:don'?t|do not) (?:need|want) (?:it|that|to|this|you to)|no longer"
    r"|not (?:right )?now|changed my mind)\b",
    holds="never|forget|n't|do not|dont|no longer|not |my mind",
)
_KEPT = re.compile(r"\b(?:i|we)(?:'ve| have)(?: just| already)? (\w+)", re.I)
_PRESENT = {"sent": "send", "made": "make", "told": "tell", "paid": "pay", "let": "let", "gotten": "get"}
_LASTING = Cue(
    r"\bi(?:'m| am) (?:allergic|vegetarian|vegan|diabetic|deaf|blind|hard of hearing)\b|"
    r"\bi (?:always|usually|generally|never|prefer|can'?t (?:eat|use|have)|don'?t (?:eat|drink|use))\b|"
    r"\bcall me [A-Z]",
    holds="i'm |i am |always|usually|generally|never|prefer|can't|cant|don't|dont|call me",
)
_SHARED_WORDS = 2


def opened(state: State, event: Event, body: ev.TaskOpened, schema: SlotSchema) -> State:
    """`state` with a task that the session opened; what was read of the same matter before gives way to it."""
    heard = next((turn for turn in reversed(state.turns) if turn.speaker == "caller"), None)
    action = state.actions.get(body.action_id)
    task = Task(
        task_id=body.task_id,
        title=body.title,
        kind=body.kind,
        status="open",
        owed_by=body.owed_by,
        evidence=body.reason or (limits.clip(heard.text, limits.LABEL_BYTES_MAX) if heard else ""),
        action_id=body.action_id,
        position=event.position,
        item_id=heard.item_id if heard else "",
        tool=action.tool if action else "",
    )
    said = words_of(f"{body.title} {body.reason}")
    kept = {
        key: one
        for key, one in state.tasks.items()
        if not (
            one.inferred
            and one.status in ("open", "blocked")
            and ((one.tool and one.tool == task.tool) or len(words_of(one.title) & said) >= _SHARED_WORDS)
        )
    }
    return _bounded(replace(state, tasks=kept), task)


def closed(state: State, event: Event, body: ev.TaskClosed, schema: SlotSchema) -> State:
    """`state` with a task ended; one of an earlier call is noted, so that it is closed there too."""
    task = state.tasks.get(body.task_id)
    if task is None:
        known = tuple(one for one in state.closed_elsewhere if one != body.task_id)
        return replace(state, closed_elsewhere=(*known, body.task_id)[-limits.CLOSED_ELSEWHERE_MAX :])
    return replace(state, tasks={**state.tasks, body.task_id: replace(task, status=body.outcome or "done")})


def from_caller(
    state: State, event: Event, text: str, *, question: str, schema: SlotSchema, valued: bool = False
) -> State:
    """`state` with what the caller asked for, let go of, or said of lasting needs.

    `valued`: the words gave values of slots.
    """
    state = _with_statements(state, text)
    if _LETS_GO.search(text):
        state = _ended_newest(state)
    pending = [task for task in _open(state) if task.kind == "request"]
    for said, tool in requests_in(text, question, state, schema, valued=valued, pending=pending):
        state = _requested(_without_steps(state, tool, schema), event, said, tool)
    return state


def from_agent(state: State, event: Event, *, before: tuple[str, ...], heard: str) -> State:
    """`state` with the promises that the agent made since `before`, less those that it said were kept."""
    for found in _KEPT.finditer(heard):
        verb = stem(_PRESENT.get(found[1].lower(), found[1].lower()))[:4]
        state = _ended(
            state,
            "done",
            lambda t, v=verb: t.kind == "promise" and _has_verb(t.title, v),  # type: ignore[misc]
        )
    for number, promise in enumerate(one for one in state.promises if one not in before):
        if any(len(words_of(one.title) & words_of(promise)) >= _SHARED_WORDS for one in _open(state)):
            continue
        task = Task(
            task_id=_task_id(event, f"p{number}"),
            title=promise,
            kind="promise",
            status="open",
            owed_by="agent",
            evidence="",
            action_id="",
            position=event.position,
            inferred=True,
        )
        state = _bounded(state, task)
    return state


def served(state: State, action: Action) -> State:
    """`state` after an action came to `action.status`: what was asked of its tool is done, or blocked."""
    match action.status:
        case "ok":
            words = all_words(action.tool)
            # Looking for a thing is over once something was done with it.
            moot = things_of(action.tool) if action.side_effect != "read" else frozenset[str]()
            return _ended(
                state,
                "done",
                lambda task: (
                    task.tool == action.tool
                    or (task.kind == "request" and bool(moot & things_of(task.tool)))
                    or (task.kind == "promise" and len(words & all_words(task.title)) >= 1)
                ),
            )
        case "failed" | "not_started":
            return _ended(state, "blocked", lambda task: task.tool == action.tool and task.status == "open")
        case _:
            return state


def dropped_by_caller(state: State, action: Action) -> State:
    """`state` after the caller said no to an action's read-back."""
    return _ended(state, "dropped", lambda task: task.tool == action.tool)


def handed_over(state: State) -> State:
    """`state` after somebody else took the call: promises to pass the caller on are kept."""
    return _ended(
        state,
        "done",
        lambda task: task.kind == "promise" and bool(words_of(task.title) & _PASSING_ON),
    )


_PASSING_ON = frozenset(
    stem(word) for word in ["transfer", "connect", "person", "colleague", "someone", "agent"]
)


def _without_steps(state: State, tool: ToolWords, schema: SlotSchema) -> State:
    """Looking for a thing is a step on the way once something is to be done with it, and no task of its own."""
    if not tool.changes:
        return state
    things = things_of(tool.name)
    reads = {one.name: one for one in schema.tools if not one.changes}

    def is_step(task: Task) -> bool:
        read = reads.get(task.tool) if task.kind == "request" else None
        return read is not None and (
            bool(read.group and read.group == tool.group) or bool(things & things_of(read.name))
        )

    return _ended(state, "dropped", is_step)


def _requested(state: State, event: Event, said: str, tool: ToolWords) -> State:
    name = tool.name
    for task in _open(state):
        if task.kind == "request" and task.tool == name:
            return state if task.status == "open" else _put(state, replace(task, status="open"))
    if any(action.is_open for action in state.actions.values() if action.tool == name):
        return state
    task = Task(
        task_id=_task_id(event, name),
        title=limits.clip(said, limits.LABEL_BYTES_MAX // 2),
        kind="request",
        status="open",
        owed_by="agent",
        evidence="",
        action_id="",
        position=event.position,
        tool=name,
        inferred=True,
    )
    return _bounded(state, task)


def _with_statements(state: State, text: str) -> State:
    said = [
        limits.clip(sentence.strip(), limits.LABEL_BYTES_MAX // 2)
        for sentence in SENTENCE.findall(text)
        if _LASTING.search(sentence) and not sentence.rstrip().endswith("?")
    ]
    if not said:
        return state
    kept = tuple(one for one in state.statements if one not in said)
    return replace(state, statements=(*kept, *said)[-limits.STATEMENTS_MAX :])


def _open(state: State) -> list[Task]:
    return [task for task in state.tasks.values() if task.status in ("open", "blocked")]


def _ended_newest(state: State) -> State:
    mine = [task for task in _open(state) if task.inferred and task.kind == "request"]
    if not mine:
        return state
    newest = max(mine, key=lambda task: task.position)
    return _put(state, replace(newest, status="dropped"))


def _ended(state: State, status: str, which: Callable[[Task], bool]) -> State:
    """Only what was read from words is ended by what is read from events; the session ends its own."""
    ended = [task for task in _open(state) if task.inferred and which(task)]
    if not ended:
        return state
    return replace(
        state, tasks={**state.tasks, **{task.task_id: replace(task, status=status) for task in ended}}
    )


def _put(state: State, task: Task) -> State:
    return replace(state, tasks={**state.tasks, task.task_id: task})


def _bounded(state: State, task: Task) -> State:
    tasks = {**state.tasks, task.task_id: task}
    dropped = 0
    inferred = [one for one in tasks.values() if one.inferred]
    for surplus in sorted(inferred, key=_worth)[: max(0, len(inferred) - limits.INFERRED_TASKS_MAX)]:
        del tasks[surplus.task_id]
        dropped += surplus.status == "open"
    while len(tasks) > limits.TASKS_MAX:
        del tasks[min(tasks.values(), key=_worth).task_id]
        dropped += 1
    counts = replace(state.counts, dropped=state.counts.dropped + dropped) if dropped else state.counts
    return replace(state, tasks=tasks, counts=counts)


def _worth(task: Task) -> tuple[bool, bool, ev.Position, str]:
    return task.status == "open", not task.inferred, task.position, task.task_id


def _has_verb(title: str, verb: str) -> bool:
    return any(word.startswith(verb) for word in words_of(title))


def _task_id(event: Event, name: str) -> str:
    return limits.clip(f"said_{event.position.epoch}_{event.position.seq}_{name}", limits.ID_BYTES_MAX)
