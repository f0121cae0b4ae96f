"""What the caller said goes on record as policy left it: facts, history, recordings."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_session.adapters.recordings_file import SUFFIX, recorders
from ringback_session.domain import effects as fx
from ringback_session.domain import floor_inputs
from ringback_session.domain import inputs as ev
from ringback_session.domain.redacting import REDACTED
from ringback_session.domain.rules import Effect, TurnRules
from ringback_session.domain.state import Desk
from ringback_session.recordings import read, replay
from ringback_session.recordings.discretion import blotted
from session_call_kit import World, append, client_event
from session_core_kit import CoreCall

CARD = "4111 1111"
SAID = f"My card is {CARD}."
SPAN = (SAID.index(CARD), SAID.index(CARD) + len(CARD))


def on_record(call):
    return [fact["text"] for fact in call.facts("user_turn_ended")]


def everywhere(call):
    facts = [e.body for e in call.effects if isinstance(e, fx.Publish)]
    return f"{facts} {call.state.history} {call.state.utterance}"


@pytest.fixture
def call():
    return CoreCall(input_gate="blocking")


@pytest.mark.parametrize("gate", ["blocking", "parallel"])
def test_the_fact_of_a_turn_holds_what_the_gate_left_of_it(gate):
    call = CoreCall(input_gate=gate)
    call.says(SAID, gate=None)
    assert on_record(call) == []
    call.gate(Effect.ALLOW, redact=(SPAN,))
    assert on_record(call) == [f"My card is {REDACTED}."]
    assert CARD not in everywhere(call)
    kinds = [e.kind for e in call.effects if isinstance(e, fx.Publish)]
    assert kinds.index("user_turn_ended") < kinds.index("action_decided")


def test_typed_words_are_on_record_when_they_have_been_judged(call):
    call.types(SAID, gate=None)
    assert on_record(call) == []
    call.gate(Effect.ALLOW, redact=(SPAN,))
    assert on_record(call) == [f"My card is {REDACTED}."]


@pytest.mark.parametrize(("text", "failed"), [("", False), ("", True)])
def test_what_has_no_words_is_on_record_at_once(call, text, failed):
    call.says(text, failed=failed, gate=None)
    assert on_record(call) == [""]


def test_without_an_input_gate_words_are_on_record_as_they_were_said():
    call = CoreCall(input_gate="off")
    call.says(SAID, gate=None)
    assert on_record(call) == [SAID]


def test_a_turn_that_the_conversation_went_past_is_judged_for_the_record(call):
    call.do(ev.UtteranceHeard(item_id="item_1", text=SAID, typed=True))
    turn_id = call.state.turn_id
    call.do(ev.UtteranceHeard(item_id="item_2", text="Hello?", typed=True))
    question = call.question("input")
    assert question.subject["text"] == SAID
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.DENY, say="No.", redact=(SPAN,)))
    assert on_record(call) == [f"My card is {REDACTED}."]
    assert CARD not in everywhere(call)
    assert next(e for e in call.effects if getattr(e, "kind", "") == "user_turn_ended").turn_id == turn_id
    assert not call.new(fx.RequestSpeech), "only its record was asked about"
    call.do(ev.ReplyWanted(request_key="req_1"))
    call.gate(Effect.ALLOW)
    assert call.one(fx.RequestReply)


def test_the_answer_about_a_turn_that_was_overtaken_still_redacts_it(call):
    call.says(SAID, gate=None)
    first = call.question("input")
    call.says("Hello?", gate=None)
    call.do(ev.Decided(decision_id=first.decision_id, effect=Effect.ALLOW, redact=(SPAN,)))
    assert on_record(call) == [f"My card is {REDACTED}."]
    assert CARD not in everywhere(call)


def test_words_to_a_person_who_holds_the_call_are_judged_for_the_record(call):
    call.state.desk = Desk(actor="ann")
    call.says(SAID, gate=None)
    call.gate(Effect.ALLOW, redact=(SPAN,))
    assert on_record(call) == [f"My card is {REDACTED}."]


def test_words_that_nobody_judged_before_the_hang_up_are_on_no_record(call):
    call.says(SAID, gate=None)
    call.do(ev.ClientGone(reason="client_closed"))
    assert on_record(call) == [REDACTED]
    assert CARD not in everywhere(call)
    kinds = [e.kind for e in call.effects if isinstance(e, fx.Publish)]
    assert kinds.index("user_turn_ended") < kinds.index("session_ended")


def test_a_new_owner_has_what_waits_judged(call):
    call.says(SAID, gate=None)
    call.new(fx.AskPolicy)
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    question = call.question("input")
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW, redact=(SPAN,)))
    assert on_record(call) == [f"My card is {REDACTED}."]
    assert CARD not in everywhere(call)


def test_more_turns_than_may_wait_go_on_record_without_their_words(call):
    for number in range(30):
        call.do(ev.UtteranceHeard(item_id=f"item_{number}", text=f"{SAID} {number}", typed=True))
    assert len(call.state.heard) == 16
    assert set(on_record(call)) == {REDACTED}


def test_the_fact_of_a_sound_over_the_agent_holds_no_words_that_nobody_judged():
    call = CoreCall(input_gate="blocking", backchannel_window_ms=200, backchannel_words=("mm",))
    for number, said in enumerate((SAID, "Mm.")):
        call.sends_audio(f"item_m{number}", "x" * 200, kind="reply", in_model=True)
        item_id = f"item_o{number}"
        call.do(floor_inputs.CallerOverlaps(item_id=item_id))
        call.do(floor_inputs.OverlapWords(item_id=item_id, text=said, final=True, confidence=0.9))
    texts = [fact["text"] for fact in call.facts("turn_rule_applied") if fact["rule"] == "backchannel"]
    assert texts == ["", "Mm."]


# Recordings.


async def recorded(folder, *, ends=False):
    """A call in which a card number is said, over the agent too; the lines of its recording."""
    world = World()
    world.policy.rules = TurnRules(input_gate="blocking", backchannel_window_ms=200)
    world.recorder = recorders(folder)
    allows = world.policy.decide

    async def decide(question, pinned):
        decision = await allows(question, pinned)
        at = question.subject["text"].find(CARD) if question.gate == "input" else -1
        return decision if at < 0 else msgspec.structs.replace(decision, redact=((at, at + len(CARD)),))

    world.policy.decide = decide
    call, _client = await world.start(calls=world.replica("session-0"))
    call.client_frame(append())
    world.upstream.hears(SAID)
    if not ends:
        await world.settle()
        world.upstream.replies("Thanks.", chunks=4)
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": SAID}]}
        call.client_frame(client_event("conversation.item.create", item=item))
        call.client_frame(client_event("response.create"))
        await world.settle()
        world.upstream.replies("Noted.", chunks=2)
    call.end("client_closed")
    await world.settle()
    await world.close()
    (path,) = folder.glob(f"*{SUFFIX}")
    return path.read_bytes().splitlines()


@pytest.mark.parametrize("ends", [False, True])
async def test_a_recording_holds_no_words_that_were_taken_out_and_is_replayed_bit_for_bit(tmp_path, ends):
    lines = await recorded(tmp_path, ends=ends)
    text = b"\n".join(lines).decode()
    assert "4111" not in text
    assert "My card is" in text or ends
    replayed = replay(read(lines))
    assert replayed.difference is None, str(replayed.difference)
    assert replayed.whole


@given(text=st.text(max_size=30), start=st.integers(0, 30), length=st.integers(0, 30))
def test_what_is_blotted_out_keeps_its_place(text, start, length):
    left = blotted(text, [(start, start + length)])
    assert len(left) == len(text)
    assert (left[:start], left[start + length :]) == (text[:start], text[start + length :])
    assert not any(char.isalnum() and char != "x" for char in left[start : start + length])
