"""However often a conversation is compacted, nothing that is live is lost; and four ways in which others lost it."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_memory.adapters.tokens import O200kTokens
from ringback_memory.domain import events as ev
from ringback_memory.domain.compaction import Rules, choose_cut, measure, still_exact
from ringback_memory.domain.context import build_context
from ringback_memory.domain.schema import EMPTY_SCHEMA
from ringback_memory.domain.state import open_tasks, pending_actions
from ringback_memory.domain.timeline import Record, Timeline

count = O200kTokens().count
RULES = Rules(above_tokens=600, keep_below_tokens=200, keep_turns=4)
DIALOGUES = Path(__file__).parents[4] / "shared" / "data" / "sgd" / "dialogues_dev.json"


def _apply(script, timeline, cut):
    timeline.add(script.add(ev.Compacted(cut.epoch, cut.covers, cut.item_ids, cut.call_ids)))


class Held:
    """The model's conversation as a session would keep it: what was added, and what plans took out."""

    def __init__(self):
        self.items = ["developer_prompt"]
        self.open_calls = set()

    def apply(self, cut):
        assert set(cut.item_ids) <= set(self.items), "a plan names an item that is not there"
        assert "developer_prompt" not in cut.item_ids
        assert self.open_calls.isdisjoint(cut.call_ids), "a plan takes a call that is open"
        self.items = [one for one in self.items if one not in set(cut.item_ids)]


def _stitched(turns_max):
    """Turns of real dialogues, one after the other, until there are enough."""
    if not DIALOGUES.exists():
        pytest.skip("the public dialogues are not here")
    turns = [turn for dialogue in json.loads(DIALOGUES.read_text()) for turn in dialogue["turns"]]
    return [(turn["speaker"], turn["utterance"]) for turn in turns[:turns_max]]


@pytest.mark.parametrize("compactions", [1, 5, 20])
def test_a_stitched_call_of_200_turns_loses_nothing_live_and_stays_flat(
    compactions, new_script, airline_schema
):
    script, timeline, held = new_script(), Timeline(Record(), schema=airline_schema), Held()
    plain = Timeline(Record(), schema=airline_schema)
    owed, running, known, done, last = set(), set(), {}, 0, 0
    # So few tokens that the wanted number of cuts falls due within the call.
    spoken = _stitched(200)
    total = sum(30 + 40 for _ in spoken) // 2
    above = max(260, total // (compactions + 1))
    rules = Rules(above_tokens=above, keep_below_tokens=above // 3, keep_turns=4)
    sizes = []

    def fold(event):
        timeline.add(event)
        plain.add(event)

    fold(script.started())
    for number, (speaker, text) in enumerate(spoken):
        event = script.caller(text) if speaker == "USER" else script.agent(text)
        fold(event)
        held.items.append(event.body.item_id)
        if number % 10 == 3:
            fold(script.add(ev.TaskOpened(f"task_{number}", f"Owed since turn {number}", "promise")))
            owed.add(f"task_{number}")
        if number % 40 == 7:
            call = f"call_{number}"
            fold(script.requested(f"act_{number}", tool="wait", arguments=f'{{"n":{number}}}', call_id=call))
            running.add(f"act_{number}")
            held.open_calls.add(call)
        if number % 25 == 9:
            fold(script.add(ev.SlotsChanged((ev.SlotNote(f"noted_{number}", str(number), "caller"),))))
            known[f"noted_{number}"] = str(number)
        cut = choose_cut(timeline.state, rules=rules, count=count) if done < compactions else None
        if cut is not None:
            held.apply(cut)
            timeline.add(event := script.add(ev.Compacted(cut.epoch, cut.covers, cut.item_ids, cut.call_ids)))
            done, last = done + 1, number
        sizes.append(measure(timeline.state, count=count))
    state, whole = timeline.state, plain.state
    assert done == compactions
    assert owed <= {task.task_id for task in open_tasks(state)}
    assert {task.task_id for task in open_tasks(state)} == {task.task_id for task in open_tasks(whole)}
    assert running == {action.action_id for action in pending_actions(state)}
    assert {name: state.slots[name].value_json for name in known} == known
    assert {n: s.value_json for n, s in state.slots.items()} == {
        n: s.value_json for n, s in whole.slots.items()
    }
    page = build_context(state, budget_tokens=30_000, count=count, now_ms=script.now_ms, turns=False)
    assert all(f"Owed since turn {one.removeprefix('task_')}" in page.text for one in owed)
    assert all(name in page.text for name in known)
    assert max(sizes[:last]) <= above + 120, "what is held grows with the call"


_STEP = st.sampled_from(
    ["caller", "agent", "ask", "task", "close", "call", "finish", "slot", "consent", "filler"]
)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(_STEP, min_size=20, max_size=160))
def test_whatever_happens_no_plan_takes_what_is_open_and_each_can_be_carried_out(steps, new_script):
    script, timeline, held = new_script(), Timeline(Record(), schema=EMPTY_SCHEMA), Held()
    seen, live_tasks, live_calls, slots = Counter(), {}, {}, {}
    rules = Rules(above_tokens=120, keep_below_tokens=60, keep_turns=2)
    for number, step in enumerate(steps):
        seen[step] += 1
        events = _events(script, step, number, live_tasks, live_calls, slots)
        for event in events:
            timeline.add(event)
            item = getattr(event.body, "item_id", "")
            if item and not isinstance(event.body, ev.Interrupted):
                held.items.append(item)
        held.open_calls = set(live_calls.values())
        cut = choose_cut(timeline.state, rules=rules, count=count)
        if cut is not None:
            assert still_exact(cut, timeline.state, generation=timeline.state.generation)
            held.apply(cut)
            _apply(script, timeline, cut)
    state = timeline.state
    assert set(live_tasks) <= {task.task_id for task in open_tasks(state)}
    assert set(live_calls) <= {action.action_id for action in pending_actions(state)}
    assert {name: state.slots[name].value_json for name in slots} == slots


def _events(script, step, number, live_tasks, live_calls, slots):
    spoken = {
        "caller": lambda: script.caller(f"I need {number} more of them."),
        "agent": lambda: script.agent(f"There are {number} of them."),
        "ask": lambda: script.agent(f"Do you want {number}?"),
        "filler": lambda: script.agent("One moment.", kind="filler"),
    }
    if step in spoken:
        return [spoken[step]()]
    while len(slots) > 60:
        slots.pop(next(iter(slots)))
    match step:
        case "task":
            live_tasks[f"task_{number}"] = True
            return [script.add(ev.TaskOpened(f"task_{number}", f"Thing {number}"))]
        case "close" if live_tasks:
            return [script.add(ev.TaskClosed(live_tasks.popitem()[0]))]
        case "call" if len(live_calls) < 20:
            live_calls[f"act_{number}"] = f"call_{number}"
            arguments = f'{{"n{number}":{number}}}'
            slots[f"n{number}"] = str(number)
            return [
                script.requested(f"act_{number}", tool="t", arguments=arguments, call_id=f"call_{number}")
            ]
        case "finish" if live_calls:
            action_id, _ = live_calls.popitem()
            return [script.finished(action_id=action_id, tool="t", result="{}")]
        case "slot":
            slots[f"s{number}"] = str(number)
            return [script.add(ev.SlotsChanged((ev.SlotNote(f"s{number}", str(number), "caller"),)))]
        case _:
            return []


# Failures that are known of another framework's compaction.


def _chat(script, rounds, *, start=0):
    for n in range(start, start + rounds):
        script.caller(f"Tell me about flight {n}, please.")
        script.agent(f"Flight {n} leaves at {n % 12} o'clock.")


def test_a_running_asynchronous_call_is_not_folded_into_the_summary(script, folded):
    script.started()
    script.caller("Please cancel my reservation.")
    script.requested(call_id="call_slow")
    script.decided("ALLOW")
    _chat(script, 20)
    state = folded(script.events).state
    cut = choose_cut(state, rules=RULES, count=count)
    assert cut is not None
    assert "call_slow" not in cut.call_ids
    script.add(ev.Compacted(cut.epoch, cut.covers, cut.item_ids, cut.call_ids))
    after = folded(script.events).state
    assert [action.action_id for action in pending_actions(after)] == ["act_1"]
    script.finished()
    assert folded(script.events).state.actions["act_1"].status == "ok"


def test_an_old_summary_is_not_applied_over_a_conversation_that_was_reset(script, folded):
    script.started()
    _chat(script, 20)
    state = folded(script.events).state
    old = choose_cut(state, rules=RULES, count=count)
    script.add(ev.Rotated("60 min", 2))
    rotated = folded(script.events).state
    assert not still_exact(old, rotated, generation=state.generation)
    newer = choose_cut(rotated, rules=RULES, count=count)
    script.add(ev.Compacted(newer.epoch, newer.covers, newer.item_ids, newer.call_ids))
    compacted = folded(script.events).state
    assert not still_exact(old, compacted, generation=compacted.generation)
    script.add(ev.Compacted(old.epoch, old.covers, old.item_ids, old.call_ids))
    again = folded(script.events).state
    assert (again.summary, again.turns) == (compacted.summary, compacted.turns)


def test_one_stuck_call_does_not_block_compaction_for_ever(script, folded):
    script.started()
    script.requested(call_id="call_stuck")
    epochs = 0
    for n in range(6):
        _chat(script, 20, start=20 * n)
        cut = choose_cut(folded(script.events).state, rules=RULES, count=count)
        if cut is not None:
            script.add(ev.Compacted(cut.epoch, cut.covers, cut.item_ids, cut.call_ids))
            epochs += 1
    state = folded(script.events).state
    assert epochs == 6
    assert measure(state, count=count) <= RULES.above_tokens
    assert state.actions["act_1"].call_ids == ("call_stuck",)


def test_a_leading_developer_prompt_is_never_part_of_a_plan(script, folded):
    script.started()
    _chat(script, 40)
    state = folded(script.events).state
    cut = choose_cut(state, rules=RULES, count=count)
    said = {event.body.item_id for event in script.events if hasattr(event.body, "item_id")}
    assert set(cut.item_ids) <= said


def test_a_question_that_nobody_answered_stays(script, folded):
    script.started()
    script.caller("Which card was it paid with?")
    for n in range(30):
        script.agent("One moment.", kind="filler")
        script.caller(f"And I need {n} bags.")
    cut = choose_cut(folded(script.events).state, rules=RULES, count=count)
    assert script.events[1].body.item_id not in cut.item_ids


def test_a_plans_own_summary_is_what_every_fold_has_afterwards(script, folded):
    script.started()
    _chat(script, 20)
    cut = choose_cut(folded(script.events).state, rules=RULES, count=count)
    script.add(ev.Compacted(cut.epoch, cut.covers, cut.item_ids, (), 'Caller: "flights"\nAgent: "times"'))
    assert folded(script.events).state.summary.text == 'Caller: "flights"\nAgent: "times"'
