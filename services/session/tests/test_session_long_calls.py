"""Calls that outgrow what is kept: ordinals go on, rules still count, the record is written whatever is said."""

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.past_actions import ORDINALS_KEPT, PastActions
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ACTIONS_KEPT, HistoryItem, PlayedItem
from ringback_session.usecases.keeping import load_saved
from ringback_session.usecases.trimming import SNAPSHOT_BYTES_MAX, outbox_part
from session_call_kit import client_event
from session_core_kit import PROOF, CoreCall


@pytest.fixture
def call():
    return CoreCall(input_gate="off")


def acts(call, number, tool="get_reservation", *, status="ok", reservation=None):
    """One action from the model's call to its end; returns policy's question about it."""
    call.calls(f"call_{number}", tool, {"reservation": reservation or f"{number}"})
    question = call.question()
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW, proof=PROOF))
    for asked in call.new(fx.Journal):
        call.do(ev.Journalled(action_id=asked.action_id))
    call.runs(status, **({} if status == "ok" else {"error_code": "busy"}))
    call.new(fx.RequestReply)
    return question


def fills(call, *, since=1_000):
    """So many other actions that all before are dropped from the list."""
    for number in range(since, since + ACTIONS_KEPT):
        acts(call, number)
    call.says("And?")


def test_an_action_that_failed_and_was_dropped_is_a_new_one_when_it_is_tried_again(call):
    failed = acts(call, 1, "add_note", status="failed")
    fills(call)
    assert failed.subject["action_id"] not in call.state.actions
    again = acts(call, 2, "add_note", reservation="1")
    assert again.subject["action_id"] != failed.subject["action_id"], "its failure is stored under that id"
    assert call.state.actions[again.subject["action_id"]].ordinal == 2


def test_an_action_that_was_done_and_dropped_is_met_again_under_its_own_id(call):
    done = acts(call, 1, "add_note")
    fills(call)
    again = acts(call, 2, "add_note", reservation="1")
    assert again.subject["action_id"] == done.subject["action_id"], (
        "tools have its outcome: it is not done twice"
    )


def test_reads_never_share_an_id_however_often_they_are_made(call):
    ids = [
        acts(call, number, reservation="482915").subject["action_id"] for number in range(2 * ACTIONS_KEPT)
    ]
    for _ in range(2):
        call.says("Again?")
        ids.append(acts(call, len(ids), reservation="482915").subject["action_id"])
    assert len(set(ids)) == len(ids)


def test_rules_count_what_was_dropped_too(call):
    for number in range(3):
        acts(call, number, "add_note")
    fills(call)
    totals = {row["tool"]: row for row in acts(call, 5_000).view["totals"]}
    assert (totals["add_note"]["requested"], totals["add_note"]["succeeded"]) == (3, 3)
    assert totals["get_reservation"]["requested"] == ACTIONS_KEPT + 1


def test_what_is_kept_of_dropped_actions_is_bounded():
    past = PastActions()
    for number in range(ORDINALS_KEPT + 50):
        past.drop("t", f"sha256:{number:024}", 1, status="failed", stands=False, arguments_json="{}")
    assert len(past.ordinals) == ORDINALS_KEPT
    assert past.totals["t"].requested == ORDINALS_KEPT + 50


# The record.


async def test_a_call_that_outgrows_its_record_is_still_written_down_and_resumed(world):
    call, _client = await world.start()
    world.upstream.hears("Cancel 482915.")
    await world.settle()
    world.upstream.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    text = "ü" * 16_000
    for number in range(60):
        item = {"id": f"i{number}", "type": "message", "role": "user"}
        content = [{"type": "input_text", "text": text}]
        call.client_frame(client_event("conversation.item.create", item=item | {"content": content}))
    for number in range(30):
        played = PlayedItem(item_id=f"p{number}", starts_at=0, text=text, finished=True, reported=True)
        call.state.playback.items.append(played)
    await world.settle()
    await call.keeper.write()
    record = await world.record()
    assert len(record.snapshot) <= SNAPSHOT_BYTES_MAX
    saved = load_saved(record.snapshot)
    assert saved.core.open_actions(), "what decides is never left out"
    assert saved.core.history[-1].item_id == "i59"
    other = world.replica("session-1")
    resumed, _ = await world.resume(calls=other)
    assert resumed.state.epoch == 2
    assert resumed.state.open_actions()


async def test_a_call_of_ordinary_size_leaves_nothing_out(world):
    call, _client = await world.start()
    call.state.remember(HistoryItem(item_id="i", kind="message", role="user", text="Hello."))
    saved = load_saved(call.snapshot())
    assert saved.core == call.state
    assert saved.client == call.view.saved()


def test_facts_that_do_not_fit_into_a_record_are_left_out_the_oldest_first():
    facts = [
        fx.Publish(
            kind="user_turn_ended", seq=n, epoch=1, turn_id="t", agent="a", at_ms=n, body={"text": "x" * 400}
        )
        for n in range(20)
    ]
    kept = outbox_part(facts, bytes_max=5_000)
    assert 5 < len(kept) < 12
    assert kept == facts[-len(kept) :]
    assert outbox_part(facts) == facts
