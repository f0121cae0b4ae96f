"""Owns what is owed in a call: tasks that the session opens, and those read from requests and promises.

A request is read when the caller's words match a tool of the pack, or take up the agent's offer of one. It is
done when that tool has succeeded, blocked when it was refused or failed, dropped when the caller lets go of it.
A promise of the agent stays open until something that looks like its keeping happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from msgspec.structs import replace

from ringback_memory.domain import events as ev
from ringback_memory.domain import limits
from ringback_memory.domain.events import Event
from ringback_memory.domain.schema import SlotSchema, ToolWords, all_words, stem, words_of
from ringback_memory.domain.state import Action, State, Task

_ASKS_FOR = re.compile(
    r"\b(?:i(?:'d| would)?(?: really| also| just)? (?:want|need|like|love|wish)|i(?:'m| am) (?:looking|trying|planning|"
    r"interested|hoping)|looking (?:for|to)|(?:can|could|would|will) (?:you|i|we)|please|help me|let(?:'s| us)|"
    r"i(?:'ve| have) to|find me|get me|show me|give me|tell me|what(?:'s| is| are)|is there|are there|do you)\b",
    re.I,
)
_OFFERS = re.compile(
    r"\b(?:would you like|do you want|shall i|should i|want me to|can i|may i|are you interested|like me to)\b",
    re.I,
)
_ACCEPTS = re.compile(
    r"^\W*(?:(?:oh|ok(?:ay)?|alright|great|well)\W+)*(?:yes|yeah|yep|sure|please|go ahead|of course|ok(?:ay)?|that)\b",
    re.I,
)
_LETS_GO = re.compile(
    r"\b(?:never ?mind|forget (?:it|about|that)|(?:don'?t|do not) (?:need|want) (?:it|that|to|this|you to)|no longer"
    r"|not (?:right )?now|changed my mind)\b",
    re.I,
)
_KEPT = re.compile(r"\b(?:i|we)(?:'ve| have)(?: just| already)? (\w+)", re.I)
_PRESENT = {"sent": "send", "made": "make", "told": "tell", "paid": "pay", "let": "let", "gotten": "get"}
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_LASTING = re.compile(
    r"\bi(?:'m| am) (?:allergic|vegetarian|vegan|diabetic|deaf|blind|hard of hearing)\b|"
    r"\bi (?:always|usually|generally|never|prefer|can'?t (?:eat|use|have)|don'?t (?:eat|drink|use))\b|"
    r"\bcall me [A-Z]",
    re.I,
)
_SAME_VERBS = tuple(
    frozenset(stem(word) for word in group.split())
    for group in (
        "book reserve schedule arrange make buy purchase order",
        "find search look get show see check browse explore",
        "cancel stop drop refund",
        "change modify update move reschedule edit",
        "transfer send pay wire",
        "rent hire",
        "play listen hear watch",
        "add create set save",
        "call phone ring",
    )
)
_NEEDED_SCORE = 1.6
_SHARED_WORDS = 2
_PARTS_HELD_MAX = 256
_VERB_CHARS_LEAST = 5


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


def from_caller(state: State, event: Event, text: str, *, question: str, schema: SlotSchema) -> State:
    """`state` with what the caller asked for, let go of, or said of lasting needs."""
    state = _with_statements(state, text)
    if _LETS_GO.search(text):
        state = _ended_newest(state)
    for said, tool in _requests(text, question, state, schema):
        state = _requested(state, event, said, tool)
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
            moot = _things(action.tool) if action.side_effect != "read" else frozenset[str]()
            return _ended(
                state,
                "done",
                lambda task: (
                    task.tool == action.tool
                    or (task.kind == "request" and bool(moot & _things(task.tool)))
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


def _requests(
    text: str, question: str, state: State, schema: SlotSchema
) -> list[tuple[str, ToolWords | None]]:
    found: list[tuple[str, ToolWords | None]] = []
    for sentence in _SENTENCE.findall(text):
        tool = _tool_for(sentence, state, schema, asks=bool(_ASKS_FOR.search(sentence)))
        if tool is not None and all(tool is not one for _, one in found):
            found.append((sentence.strip(), tool))
    if not found and _ACCEPTS.match(text):
        for sentence in _SENTENCE.findall(question):
            if _OFFERS.search(sentence):
                tool = _tool_for(sentence, state, schema, asks=True)
                found += [(sentence.strip(), tool)] if tool is not None else []
    return found


def _tool_for(sentence: str, state: State, schema: SlotSchema, *, asks: bool) -> ToolWords | None:
    spoken = all_words(sentence)
    verbs = _verbs_spoken(spoken)
    served_before = {one.tool for one in state.actions.values() if one.status == "ok"}
    scored = []
    for tool in schema.tools:
        own_verbs, things = _parts(tool.named)
        verb = not own_verbs.isdisjoint(verbs)
        hits = len(things & spoken)
        score = 1.2 * verb + 1.2 * hits + 0.4 * len((tool.described - tool.named) & spoken)
        here = tool.group == state.focus
        score += 0.6 * here + 0.5 * asks
        # A tool that changes something is meant only by whoever says so; so is looking again for what was found.
        says_so = (verb and (asks or hits or here)) or hits >= _SHARED_WORDS
        if says_so or (asks and hits and not tool.changes and tool.name not in served_before):
            scored.append((score, tool.name, tool))
    best = max(scored, key=lambda one: (one[0], one[1]), default=None)
    return best[2] if best is not None and best[0] >= _NEEDED_SCORE else None


@lru_cache(maxsize=_PARTS_HELD_MAX)
def _parts(named: frozenset[str]) -> tuple[frozenset[int], frozenset[str]]:
    """The verbs of a tool's name, as numbers of `_SAME_VERBS`, and what is left of it."""
    verbs = frozenset(number for number, group in enumerate(_SAME_VERBS) if group & named)
    return verbs, named - {word for number in verbs for word in _SAME_VERBS[number]}


@lru_cache(maxsize=_PARTS_HELD_MAX)
def _verbs_spoken(spoken: frozenset[str]) -> frozenset[int]:
    return frozenset(
        number for number, group in enumerate(_SAME_VERBS) if group & spoken or _begins_as(group, spoken)
    )


def _begins_as(group: frozenset[str], spoken: frozenset[str]) -> bool:
    """A verb may come as a noun: a reservation, a booking, a payment."""
    return any(word.startswith(verb) for verb in group if len(verb) >= _VERB_CHARS_LEAST for word in spoken)


def _things(tool: str) -> frozenset[str]:
    """What a tool's name is about, without its verbs."""
    words = all_words(tool)
    return words - {word for group in _SAME_VERBS for word in group}


def _requested(state: State, event: Event, said: str, tool: ToolWords | None) -> State:
    name = tool.name if tool else ""
    for task in _open(state):
        if task.kind == "request" and task.tool == name:
            return state if task.status == "open" else _put(state, replace(task, status="open"))
    if any(action.is_open and action.tool == name for action in state.actions.values()):
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
        for sentence in _SENTENCE.findall(text)
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
