"""Owns the measuring of the embedded extractor: annotated dialogues replayed as calls, slots compared turn by turn.

A dialogue's services become the schema (slot names, descriptions, possible values; nothing of their data). Figures are
per turn of the caller and service: precision and recall of slots, and joint accuracy (every slot right, none too many).
A value counts as right if it equals one of the annotated spellings, or stands for the same canonical value, after
lower-casing and trimming; there is no fuzzy matching.

A task is open, by the annotation, from the turn in which the caller has an intent until the service is called for it,
and in a turn that the service is called in answer to, as when a caller asks for other results; memory's is right if it
is an open task of that intent. Turns of abandoned intents are not told apart by the annotation
and count against precision, not recall.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any

from ringback_memory.domain import events as ev
from ringback_memory.domain.compaction import Rules, choose_cut, measure
from ringback_memory.domain.context import Count
from ringback_memory.domain.events import Body, Event, Position
from ringback_memory.domain.schema import (
    SlotSchema,
    SlotSpec,
    ToolWords,
    kind_by_words,
    schema_of,
    tool_words,
    words_of,
)
from ringback_memory.domain.slots import normalise, parse
from ringback_memory.domain.state import State, open_tasks
from ringback_memory.domain.timeline import Record, Timeline

COMPACTED_SHARE = 8
"""The compacted run keeps an eighth of the tokens."""


@dataclass(slots=True)
class Score:
    """Counts over caller turns; a turn with two services counts twice."""

    turns: int = 0
    joint_right: int = 0
    right: int = 0
    predicted: int = 0
    annotated: int = 0
    missed_by_slot: dict[str, int] = field(default_factory=dict)
    wrong_by_slot: dict[str, int] = field(default_factory=dict)
    by_service: dict[str, list[int]] = field(default_factory=dict)
    """Per service: right, predicted, annotated, turns, turns that are right as a whole."""
    tasks_open: int = 0
    tasks_found: int = 0
    tasks_right: int = 0

    @property
    def services(self) -> dict[str, dict[str, float]]:
        """F1 and joint accuracy of each service."""
        return {
            name: {
                "f1": round(2 * right / (predicted + annotated), 4) if predicted + annotated else 0.0,
                "joint_accuracy": round(joint / turns, 4) if turns else 0.0,
                "turns": turns,
            }
            for name, (right, predicted, annotated, turns, joint) in sorted(self.by_service.items())
        }

    @property
    def figures(self) -> dict[str, float]:
        """Precision, recall, F1 and joint accuracy."""
        precision = self.right / self.predicted if self.predicted else 0.0
        recall = self.right / self.annotated if self.annotated else 0.0
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {
            "precision": round(precision, 4),
            "recall": round(recall, 4),
            "f1": round(f1, 4),
            "joint_accuracy": round(self.joint_right / self.turns, 4) if self.turns else 0.0,
            "task_recall": round(self.tasks_right / self.tasks_open, 4) if self.tasks_open else 0.0,
            "task_precision": round(self.tasks_right / self.tasks_found, 4) if self.tasks_found else 0.0,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """`transcript`: words alone; `with_tools`: service calls and results too; `compacted`: the latter, cut to 1/8."""

    dialogues: int
    transcript: Score
    with_tools: Score
    compacted: Score
    compactions: int
    tokens_kept_share: float

    def as_json(self) -> dict[str, Any]:
        """The report for files."""
        runs = {name: getattr(self, name) for name in ("transcript", "with_tools", "compacted")}
        return {
            "dialogues": self.dialogues,
            "compactions": self.compactions,
            "tokens_kept_share": round(self.tokens_kept_share, 4),
            **{name: {**run.figures, **asdict(run), "services": run.services} for name, run in runs.items()},
        }


def evaluate(
    dialogues: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    *,
    count: Count,
    progress: Callable[[int], None] = lambda done: None,
) -> Report:
    """Replay `dialogues` (schema-guided dialogue format) and compare slots with the annotated ones.

    `progress` is told how many dialogues are done.
    """
    by_name = {str(service["service_name"]): service for service in services}
    transcript, with_tools, compacted = Score(), Score(), Score()
    compactions, held, whole = 0, 0, 0
    for number, dialogue in enumerate(dialogues):
        progress(number)
        schema = service_schema([by_name[name] for name in dialogue["services"] if name in by_name])
        for score, tools in ((transcript, False), (with_tools, True)):
            for _ in _replayed(dialogue, schema, score, tools=tools, rules=None, count=count):
                pass
        total = sum(count(str(turn["utterance"])) for turn in dialogue["turns"])
        limit = max(1, total // COMPACTED_SHARE)
        rules = Rules(above_tokens=limit, keep_below_tokens=limit // 2, keep_turns=2)
        states = list(_replayed(dialogue, schema, compacted, tools=True, rules=rules, count=count))
        state = states[-1] if states else State()
        compactions += state.summary_epoch
        held, whole = held + measure(state, count=count), whole + total
    return Report(
        len(dialogues), transcript, with_tools, compacted, compactions, held / whole if whole else 0.0
    )


def service_schema(services: Iterable[Mapping[str, Any]]) -> SlotSchema:
    """The slots that the services' intents take, as tools take arguments; each service is a group of its own."""
    specs: list[SlotSpec] = []
    tools: list[ToolWords] = []
    group_words: dict[str, frozenset[str]] = {}
    for service in services:
        group = str(service["service_name"])
        intents = " ".join(f"{i['name']} {i.get('description', '')}" for i in service.get("intents", ()))
        group_words[group] = words_of(f"{group.split('_')[0]} {service.get('description', '')} {intents}")
        tools += [
            tool_words(
                str(i["name"]),
                str(i.get("description", "")),
                changes=bool(i.get("is_transactional")),
                group=group,
            )
            for i in service["intents"]
        ]
        taken = {
            name for i in service.get("intents", ()) for name in (*i["required_slots"], *i["optional_slots"])
        }
        needed = {
            name for i in service["intents"] if i.get("is_transactional") for name in i["required_slots"]
        }
        sought = {
            name
            for i in service["intents"]
            if not i.get("is_transactional")
            for name in (*i["required_slots"], *i["optional_slots"])
        }
        specs.extend(
            _spec(group, slot, needed=slot["name"] in needed, sought=slot["name"] in sought)
            for slot in service["slots"]
            if slot["name"] in taken
        )
    return schema_of(specs, group_words=group_words, tools=tools)


def _spec(group: str, slot: Mapping[str, Any], *, needed: bool, sought: bool) -> SlotSpec:
    name, description = str(slot["name"]), str(slot.get("description", ""))
    values = tuple(str(one) for one in slot.get("possible_values", ()) if slot.get("is_categorical"))
    truth = {"True", "False"}
    kind = kind_by_words(name, description)
    if values:
        kind = "flag" if set(values) <= truth else "category"
    words = words_of(f"{name} {description}")
    return SlotSpec(
        f"{group}/{name}",
        kind,
        description,
        values,
        words=words,
        needed=needed,
        sought=sought,
        group=group,
    )


def _replayed(
    dialogue: Mapping[str, Any],
    schema: SlotSchema,
    score: Score,
    *,
    tools: bool,
    rules: Rules | None,
    count: Count,
) -> Iterator[State]:
    timeline = Timeline(Record(), schema=schema)
    meanings = _meanings(dialogue)
    wanted: dict[str, str] = {}
    seq = 0

    def fold(body: Body) -> None:
        nonlocal seq
        seq += 1
        timeline.add(Event(Position(1, seq), seq * 1_000, body))

    for number, turn in enumerate(dialogue["turns"]):
        if turn["speaker"] == "USER":
            fold(ev.CallerSpoke(f"item_{number}", str(turn["utterance"])))
            for frame in turn["frames"]:
                if frame.get("state"):
                    _compare(score, frame, timeline.state, meanings)
                    _note_intent(wanted, frame)
            _compare_tasks(
                score, {*wanted.values(), *_answered_by(dialogue["turns"], number)}, timeline.state
            )
        else:
            called = {
                frame["service_call"]["method"] for frame in turn["frames"] if frame.get("service_call")
            }
            wanted = {service: intent for service, intent in wanted.items() if intent not in called}
            for body in _called(turn, number, schema) if tools else ():
                fold(body)
            fold(ev.AgentSpoke(f"item_{number}", str(turn["utterance"]), str(turn["utterance"])))
        cut = choose_cut(timeline.state, rules=rules, count=count) if rules else None
        if cut is not None:
            fold(ev.Compacted(cut.epoch, cut.covers, cut.item_ids, cut.call_ids))
        yield timeline.state


def _note_intent(wanted: dict[str, str], frame: Mapping[str, Any]) -> None:
    """A new intent of a service takes the place of the one before; one that was served is not wanted again."""
    intent = frame["state"].get("active_intent", "NONE")
    informed = any(one["act"] in ("INFORM_INTENT", "AFFIRM_INTENT") for one in frame.get("actions", ()))
    if wanted.get(frame["service"]) not in (None, intent):
        del wanted[frame["service"]]
    if intent != "NONE" and informed:
        wanted[frame["service"]] = intent


def _answered_by(turns: Sequence[Mapping[str, Any]], number: int) -> set[str]:
    """The intents that the service is called for in answer to a turn."""
    answer = turns[number + 1 : number + 2]
    return {f["service_call"]["method"] for turn in answer for f in turn["frames"] if f.get("service_call")}


def _compare_tasks(score: Score, wanted: Set[str], state: State) -> None:
    mine = {task.tool for task in open_tasks(state) if task.kind == "request"}
    score.tasks_open += len(wanted)
    score.tasks_found += len(mine)
    score.tasks_right += len(mine & wanted)


def _called(turn: Mapping[str, Any], number: int, schema: SlotSchema) -> Iterator[Body]:
    changes = {tool.name for tool in schema.tools if tool.changes}
    for frame in turn["frames"]:
        call = frame.get("service_call")
        if not call:
            continue
        group, action_id = frame["service"], f"act_{number}_{frame['service']}"
        arguments = json.dumps({f"{group}/{key}": value for key, value in call["parameters"].items()})
        results = json.dumps(frame.get("service_results", [])[:10])
        effect = "write" if call["method"] in changes else "read"
        yield ev.ActionRequested(action_id, f"call_{number}", call["method"], arguments, effect)
        yield ev.ActionFinished(action_id, call["method"], "ok", results)


def _compare(score: Score, frame: Mapping[str, Any], state: State, meanings: Mapping[str, str]) -> None:
    group = frame["service"]
    annotated: Mapping[str, Sequence[str]] = frame["state"]["slot_values"]
    predicted = {
        slot.name.removeprefix(f"{group}/"): normalise(parse(slot.value_json))
        for slot in state.slots.values()
        if slot.name.startswith(f"{group}/") and slot.source != "tool"
    }
    right = 0
    for name, spellings in annotated.items():
        wanted = {_meaning(one, meanings) for one in spellings}
        if name in predicted and _meaning(predicted[name], meanings) in wanted:
            right += 1
        elif name in predicted:
            score.wrong_by_slot[f"{group}/{name}"] = score.wrong_by_slot.get(f"{group}/{name}", 0) + 1
        else:
            score.missed_by_slot[f"{group}/{name}"] = score.missed_by_slot.get(f"{group}/{name}", 0) + 1
    for name in predicted.keys() - annotated.keys():
        score.wrong_by_slot[f"{group}/{name}"] = score.wrong_by_slot.get(f"{group}/{name}", 0) + 1
    score.turns += 1
    score.right += right
    score.predicted += len(predicted)
    score.annotated += len(annotated)
    whole = right == len(annotated) == len(predicted)
    score.joint_right += whole
    counts = (right, len(predicted), len(annotated), 1, int(whole))
    before = score.by_service.get(group, [0] * len(counts))
    score.by_service[group] = [old + new for old, new in zip(before, counts, strict=True)]


def _meanings(dialogue: Mapping[str, Any]) -> dict[str, str]:
    """What each spelling of this dialogue stands for, as annotated."""
    meanings: dict[str, str] = {}
    for turn in dialogue["turns"]:
        for frame in turn["frames"]:
            for action in frame.get("actions", ()):
                for spelling, meaning in zip(
                    action.get("values", ()), action.get("canonical_values", ()), strict=False
                ):
                    meanings[normalise(spelling)] = meanings[_plain(str(spelling))] = normalise(meaning)
    return meanings


def _meaning(value: str, meanings: Mapping[str, str]) -> str:
    return meanings.get(normalise(value), meanings.get(_plain(value), _plain(value)))


def _plain(value: str) -> str:
    return normalise(value).removeprefix("the ")
