"""Calls of the client's own tools whose client was cut off: answered in its place, and what it says after all."""

import json

import msgspec
import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.client_calls import LOST_AFTER_MS
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import HistoryItem, restore, snapshot
from ringback_session.simulation import Move, Plan, simulate
from session_call_kit import client_event
from session_core_kit import CoreCall

TOOL = {"type": "function", "name": "dim", "description": "d", "parameters": {"type": "object"}}


def handed(client_tools="allow", **rules):
    """A call whose client was handed a call of its own tool and has not answered it."""
    call = CoreCall(client_tools=client_tools, audio=False, **rules)
    if client_tools == "confirm":
        call.calls("call_1", "dim", {"level": 3}, client_tool=True)
        call.decides(Effect.ALLOW)
        call.journals()
    else:
        item = HistoryItem(item_id="i", kind="function_call", call_id="call_1", name="dim", data="{}")
        call.do(ev.ItemNoted(item=item))
    return call


def resumed(call):
    other = CoreCall(state=restore(snapshot(call.state)), started=False, audio=False)
    other.now_ms = call.now_ms + 2_000
    other.do(ev.Resumed(epoch=call.state.epoch + 1, owner="session-1"))
    return other


@pytest.mark.parametrize("client_tools", ["allow", "confirm"])
def test_a_call_that_the_client_does_not_answer_after_a_resume_is_answered_in_its_place(client_tools):
    call = resumed(handed(client_tools))
    call.pass_ms(LOST_AFTER_MS - 1)
    assert not call.results()
    call.pass_ms(1)
    told = call.results()
    assert {call_id: output["error_code"] for call_id, output in told.items()} == {"call_1": "client_silent"}
    assert call.new(fx.RequestReply), "the caller is told"
    assert not call.state.open_actions()


@pytest.mark.parametrize("client_tools", ["allow", "confirm"])
def test_a_client_that_answers_after_a_resume_answers_its_call_itself(client_tools):
    call = resumed(handed(client_tools))
    output = HistoryItem(item_id="o", kind="function_call_output", call_id="call_1", data="{}")
    call.do(ev.ItemNoted(item=output), ev.ClientCallOutput(call_id="call_1", output="{}", item_id="o"))
    call.pass_ms(LOST_AFTER_MS * 2)
    assert not call.results()


def test_an_answer_that_is_being_judged_is_waited_for():
    call = resumed(handed(result_gate="blocking"))
    call.do(ev.ClientCallOutput(call_id="call_1", output="{}", item_id="o", withheld=True))
    call.pass_ms(LOST_AFTER_MS)
    assert not call.results()


def test_a_call_that_waits_for_policy_or_for_a_yes_is_not_the_clients_to_answer():
    call = CoreCall(client_tools="confirm", audio=False)
    call.calls("call_1", "dim", {"level": 3}, client_tool=True)
    other = resumed(call)
    other.pass_ms(LOST_AFTER_MS)
    assert not other.results()


def test_a_call_that_the_client_may_have_been_handed_is_never_handed_to_it_again():
    call = CoreCall(client_tools="confirm", audio=False)
    call.calls("call_1", "dim", {"level": 3}, client_tool=True)
    call.decides(Effect.ALLOW)
    other = resumed(call)
    assert not [*other.new(fx.DeliverClientCall), *other.new(fx.AskPolicy), *other.new(fx.Execute)]
    other.pass_ms(LOST_AFTER_MS)
    assert other.results()["call_1"]["error_code"] == "client_silent"


@pytest.mark.parametrize("gate", ["off", "blocking"])
def test_what_the_client_says_after_all_is_told_to_the_model_in_other_words(gate):
    call = resumed(handed("confirm", result_gate=gate))
    call.pass_ms(LOST_AFTER_MS)
    assert [action["status"] for action in call.facts("action_finished")] == ["unknown"]
    call.do(ev.ClientCallOutput(call_id="call_1", output='{"dimmed":true}', item_id="o", withheld=True))
    if gate != "off":
        judged = call.question("result")
        call.do(ev.Decided(decision_id=judged.decision_id, effect=Effect.ALLOW))
    assert call.results().keys() == {"call_1"}, "a call has one output"
    notes = [note.text for note in call.new(fx.Note)]
    assert notes == ['The application has answered after all. dim: {"dimmed":true}']
    assert [action["status"] for action in call.facts("action_finished")] == ["unknown", "ok"]


async def test_a_late_output_is_the_clients_item_and_never_a_second_output_for_the_model(world):
    world.policy.rules = msgspec.structs.replace(world.policy.rules, client_tools="allow")
    call, _client = await world.start(pack="passthrough")
    call.client_frame(client_event("session.update", session={"type": "realtime", "tools": [TOOL]}))
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies("I will dim.", calls=[("dim", {})])
    await call.keeper.write()
    call, client = await world.resume(calls=world.replica("session-1"))
    world.clock.advance(LOST_AFTER_MS)
    await world.settle()
    outputs = outputs_of(world)
    assert [json.loads(output["output"])["error_code"] for output in outputs] == ["client_silent"]
    client.news()
    item = {"type": "function_call_output", "call_id": outputs[0]["call_id"], "output": "dimmed", "id": "own"}
    call.client_frame(client_event("conversation.item.create", item=item))
    assert client.types() == ["conversation.item.added", "conversation.item.done"]
    assert len(outputs_of(world)) == 1
    told = world.upstream.got("conversation.item.create")[-1]["item"]
    assert (told["role"], told["content"][0]["text"].endswith("dim: dimmed")) == ("system", True)
    call.client_frame(client_event("conversation.item.delete", item_id="own"))
    assert not world.upstream.got("conversation.item.delete"), "the model never held it"


def outputs_of(world):
    created = [event["item"] for event in world.upstream.got("conversation.item.create")]
    return [item for item in created if item["type"] == "function_call_output"]


DIM = Move(18_500, "caller", "says", "Dim 1.")
STALLED = (Move(40_739, "owner", "stalls", "17", 3_750), Move(43_500, "caller", "says", "Dim 1."))


@pytest.mark.parametrize(
    "plan",
    [
        Plan(seed=5_446, typed=True, moves=STALLED),
        Plan(seed=9_404, moves=(DIM, Move(19_700, "line", "goes_dead", for_ms=1_000))),
    ],
    ids=["a stalled owner", "a dead line"],
)
def test_calls_whose_client_was_asked_on_a_line_that_led_nowhere_end_well(plan):
    outcome = simulate(plan, keeps_log=True)
    assert not outcome.violations, "\n".join(outcome.log)
    assert any("client_silent" in line for line in outcome.log)
