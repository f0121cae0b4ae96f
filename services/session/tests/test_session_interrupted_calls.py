"""What simulated calls found: calls in replies that were cut off, a yes into a read-back, an owner that ends late."""

import asyncio

import pytest
from ringback_session.domain import client_calls
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import ConsentPhase, HistoryItem
from ringback_session.ports import Term
from ringback_session.usecases.model_link import ModelLink
from session_call_kit import append, client_event
from session_core_kit import CoreCall


def outputs(world):
    created = [event["item"] for event in world.upstream.got("conversation.item.create")]
    return {item["call_id"]: item["output"] for item in created if item["type"] == "function_call_output"}


async def test_a_call_in_a_reply_that_was_cut_off_is_answered_and_not_begun(world):
    call, client = await world.start()
    call.client_frame(append())
    up = world.upstream
    up.hears("Look up 482915.")
    await world.settle()
    response_id = up.begins()
    up.message(response_id, "Let me see.")
    up.emit(up.events.speech_started("item_next", audio_start_ms=900))
    call_id = up.function_call(response_id, "get_reservation", {"reservation": "482915"}, 1)
    up.ends(response_id)
    await world.settle()
    assert '"error_code":"interrupted"' in outputs(world)[call_id]
    assert not world.tools.executed
    assert len(up.got("response.create")) == 1, "nobody is asked to speak of it"
    assert client.of("response.done")[-1]["response"]["status"] == "cancelled"


async def test_a_hand_over_in_a_reply_that_was_cut_off_does_not_happen():
    call = CoreCall()
    event = ev.CallRequested(
        reply_id="reply",
        call_id="call_1",
        tool="hand_over_to_billing",
        arguments_json="{}",
        item_id="item_1",
        interrupted=True,
    )
    made = call.do(event)
    assert [effect.call_id for effect in made if isinstance(effect, fx.ReturnResult)] == ["call_1"]
    assert not any(isinstance(effect, fx.AskPolicy) for effect in made)
    assert [entry.kind for entry in call.state.history] == ["function_call", "function_call_output"]


async def test_a_call_in_an_out_of_band_response_of_the_client_is_not_run(world):
    call, _client = await world.start()
    call.client_frame(client_event("response.create", response={"conversation": "none", "input": []}))
    world.upstream.replies("", calls=[("get_reservation", {"reservation": "482915"})])
    await world.settle()
    assert not world.tools.executed
    assert not outputs(world), "its conversation holds no such call"


def test_a_yes_into_the_read_back_does_not_make_it_be_said_twice_more():
    call = CoreCall(audio=False)
    call.asks_to_cancel()
    call.decides(Effect.CONFIRM)
    call.speaks(heard=False)
    call.types("Yes.")
    call.reads("yes")
    again = call.one(fx.RequestSpeech)
    call.types("Yes, I said.")
    call.reads("yes")
    assert call.consent().phase is ConsentPhase.READING_BACK
    call.do(ev.SpeechText(speech_id=again.speech_id, transcript=again.text, item_id="item_again"))
    call.sends_audio("item_again", again.text, kind="read_back", in_model=False)
    call.do(ev.SpeechEnded(speech_id=again.speech_id, status="completed"))
    call.listens()
    assert not call.new(fx.RequestSpeech), "it was being said already"
    assert call.consent().phase is ConsentPhase.WAITING
    call.types("Yes!")
    call.reads("yes")
    assert call.question().subject["consent"] is not None


def test_what_the_client_ran_is_written_soon():
    call = CoreCall()
    item = HistoryItem(item_id="item_1", kind="function_call_output", call_id="call_1", data="{}")
    assert any(isinstance(effect, fx.Persist) for effect in call.do(ev.ItemNoted(item=item)))


async def test_an_owner_that_ends_a_call_which_another_one_holds_leaves_without_a_word(world):
    call, client = await world.start()
    other, _ = await world.resume(calls=world.replica("session-1"))
    call.end("client_lost")
    await world.settle()
    assert call.over
    assert client.closed is not None
    assert not world.tracing.errors
    assert not other.over


def test_a_client_that_never_answers_its_own_call_does_not_keep_the_caller_waiting_for_ever():
    call = CoreCall(client_tools="confirm", audio=False)
    call.calls("call_1", "dim", "{}", client_tool=True)
    call.decides(Effect.ALLOW)
    call.journals()
    call.pass_ms(client_calls.DEADLINE_MS + 1)
    assert (call.action().open, call.action().status) == (False, "unknown")
    assert not call.results(), "the call stays the client's to answer"
    call.new(fx.RequestSpeech)
    call.do(ev.ClientCallOutput(call_id="call_1", output="{}"))
    assert call.action().status == "unknown"


def test_a_client_call_that_was_lost_with_its_line_has_an_end_too():
    call = CoreCall(client_tools="confirm", audio=False)
    call.calls("call_1", "dim", "{}", client_tool=True)
    call.decides(Effect.ALLOW)
    call.journals()
    call.timers.clear()
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    call.pass_ms(client_calls.DEADLINE_MS + 1)
    assert not call.action().open


async def test_a_connection_in_the_hands_of_a_call_that_ends_is_closed():
    sockets = []

    class Socket:
        term = Term()
        closed = False

        def send(self, frame):
            pass

        def close(self):
            self.closed = True

    class Models:
        async def connect(self, **_named):
            sockets.append(Socket())
            return sockets[-1]

    async def never():
        await asyncio.Event().wait()

    link = ModelLink(
        models=Models(), model=str, opening=lambda context: [], on_frame=print, on_lost=lambda reason: None
    )
    reconnecting = asyncio.ensure_future(link.reconnect(never))
    while not sockets:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    reconnecting.cancel()
    link.close()
    with pytest.raises(asyncio.CancelledError):
        await reconnecting
    assert [socket.closed for socket in sockets] == [True]
