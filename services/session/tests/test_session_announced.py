"""What a decision reads is brought up to date while the model still writes the call's arguments."""

import asyncio
import json

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.known import StaleValue
from ringback_session.domain.state import SlotValue
from ringback_session.ports import Remembered
from session_call_kit import MemoryTwin, World, append
from session_core_kit import CoreCall

HOOK = StaleValue(name="city", tool="get_reservation", arguments_json='{"reservation":"482915"}')


def told(call, value="Lisbon", *, stale=(), as_of=None):
    """Memory answers, by default as of now."""
    slot = SlotValue(name="city", value_json=json.dumps(value), as_of_seq=1, at_ms=call.now_ms)
    call.do(ev.ContextArrived(slots=(slot,), as_of=as_of or (call.state.epoch, call.state.seq), stale=stale))


def announces(call, tool="refund"):
    return call.do(ev.CallAnnounced(tool=tool))


def calls(call, tool="refund"):
    call.reply("", calls=[("c1", tool, {"reservation": "482915"})])


def pulls(call):
    return [pull for pull in call.new(fx.PullContext) if pull.at_once]


def questions(call):
    return [effect for effect in call.new(fx.AskPolicy) if effect.gate == "action"]


def known_city(question):
    return [json.loads(slot["value_json"]) for slot in question.view["slots"]]


@pytest.fixture
def call():
    """A call whose bundle reads slots for refunds alone; memory has told of a city, and the caller spoke since."""
    call = CoreCall(slot_readers=("refund",))
    told(call)
    call.says("Not Lisbon, Porto. Refund it.")
    call.new(fx.PullContext)
    return call


def test_memory_is_asked_while_the_arguments_come_and_the_decision_waits_for_nothing_more(call):
    announces(call)
    (pull,) = pulls(call)
    assert (pull.min_epoch, pull.min_seq) == call.state.known.heard_at
    told(call, "Porto")
    calls(call)
    (question,) = questions(call)
    assert known_city(question) == ["Porto"]
    assert not pulls(call)


def test_a_call_that_is_there_before_memory_waits_for_the_question_that_is_under_way(call):
    announces(call)
    pulls(call)
    calls(call)
    assert not questions(call)
    assert not pulls(call), "it is asked once"
    told(call, "Porto")
    assert known_city(questions(call)[0]) == ["Porto"]


def test_a_stale_value_is_read_again_while_the_arguments_come(call):
    told(call, stale=(HOOK,))
    announces(call)
    refresh = call.one(fx.RefreshValue)
    call.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=True, data_json='{"city":"Porto"}'))
    calls(call)
    assert known_city(questions(call)[0]) == ["Porto"]
    assert not call.new(fx.RefreshValue)


def test_a_value_that_memory_calls_stale_is_read_again_as_soon_as_it_says_so(call):
    announces(call)
    told(call, stale=(HOOK,))
    refresh = call.one(fx.RefreshValue)
    calls(call)
    assert not questions(call)
    assert not call.new(fx.RefreshValue), "one reading serves both"
    call.do(ev.ValueRefreshed(refresh_id=refresh.refresh_id, ok=True, data_json='{"city":"Porto"}'))
    assert known_city(questions(call)[0]) == ["Porto"]


def test_what_the_caller_says_after_the_announcement_is_asked_for_anew(call):
    announces(call)
    pulls(call)
    call.says("No, Faro.")
    calls(call)
    assert pulls(call)
    assert not questions(call)


def test_an_answer_that_is_older_than_the_callers_words_leaves_the_action_its_own_question(call):
    announces(call)
    pulls(call)
    told(call, as_of=(1, 1))
    calls(call)
    assert pulls(call)


def test_without_memory_the_announced_call_is_decided_as_any_other(call):
    announces(call)
    pulls(call)
    calls(call)
    call.do(ev.ContextMissed())
    assert known_city(questions(call)[0]) == []
    announces(call)
    assert pulls(call), "the next one asks again"


@pytest.mark.parametrize("tool", ["cancel_reservation", "get_reservation", "unheard_of"])
def test_nothing_is_asked_for_a_call_whose_decision_reads_no_slots(call, tool):
    assert announces(call, tool) == []


def test_an_announcement_with_nothing_following_leaves_nothing_behind(call):
    announces(call)
    told(call, "Porto")
    assert call.state.known.announced == []
    call.do(ev.ClientGone(reason="client_closed"))
    assert announces(call) == []


def test_a_new_owner_asks_anew(call):
    announces(call)
    pulls(call)
    call.do(ev.Resumed(epoch=2, owner="session-2"))
    assert call.state.known.announced == []


class SlowMemory(MemoryTwin):
    """Knows a city from the start; of what the caller says later it tells when it is let."""

    def __init__(self):
        self.asked = 0
        self.may_tell = asyncio.Event()
        self.may_tell.set()

    async def context(self, pinned, *, min_epoch, min_seq):
        self.asked += 1
        await self.may_tell.wait()
        city = SlotValue(name="city", value_json='"Porto"', as_of_seq=1, at_ms=1)
        return Remembered(text="", slots=(city,), as_of_epoch=min_epoch, as_of_seq=min_seq)


async def test_the_model_has_not_finished_its_call_when_memory_is_asked_for_it():
    world = World()
    memory = world.memory = SlowMemory()
    call, _client = await world.start(calls=world.replica("session-0"))
    call.client_frame(append())
    up = world.upstream
    up.hears("Hello.")
    await world.settle()
    up.replies("Where to?")
    await world.settle()
    assert call.state.slots
    memory.may_tell.clear()
    up.hears("Porto. Cancel 482915.")
    await world.settle()
    asked = memory.asked
    response_id = up.begins()
    named = {"id": "item_c1", "call_id": "call_c1", "name": "cancel_reservation"}
    began = {"type": "function_call", "status": "in_progress", "arguments": "", **named}
    up.emit(up.events.output_item_added(response_id, output_index=0, item=began))
    await world.settle()
    assert memory.asked == asked + 1
    memory.may_tell.set()
    await world.settle()
    asked = memory.asked
    body = '{"reservation":"482915"}'
    done = {"type": "function_call", "status": "completed", "arguments": body, **named}
    up.emit(up.events.output_item_done(response_id, output_index=0, item=done))
    await world.settle()
    (question,) = [question for question in world.policy.questions if question.gate == "action"]
    assert known_city(question) == ["Porto"]
    assert memory.asked == asked
    assert not world.tracing.errors
    await world.close()
