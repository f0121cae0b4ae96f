"""The rule `person_wait`: who waits for a person is told so, and in the end that nobody came."""

import pytest
from ringback.events.v1 import events_pb2 as pb
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect, TurnRules
from ringback_session.domain.state import SpeechKind, restore, snapshot
from ringback_session.domain.upkeep import (
    OperatorHandedBack,
    OperatorSaid,
    OperatorTookOver,
    OperatorTransferred,
)
from ringback_session.simulation.promises import broken_promises
from ringback_session.simulation.stores import Fact
from session_call_kit import World, append, check_chain
from session_core_kit import CoreCall, new_state

RULES = {"hold_prompts": ("Please hold.", "Still holding."), "person_wait_ms_max": 70_000}
ANNA = {"actor": "anna", "reason": "free now"}


@pytest.fixture
def waiting():
    return waits()


def waits(**rules):
    """A caller who asked for a person and was told that they will get one."""
    call = CoreCall(state=new_state(rules=TurnRules(**RULES | rules)))
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked", rule="safety.person")
    assert call.speaks().text == call.state.rules.say_person, "a sentence at once"
    return call


def prompts(call, ms):
    """Let time go by in which every word of ours is said; returns them."""
    until, said = call.now_ms + ms, []
    while call.now_ms < until:
        call.pass_ms(min(500, until - call.now_ms))
        if any(isinstance(effect, fx.RequestSpeech) for effect in call._fresh):
            said.append(call.speaks().text)
    return said


def test_the_caller_hears_again_and_again_that_a_person_is_sought(waiting):
    assert prompts(waiting, 16_000) == []
    assert prompts(waiting, 27_000) == ["Please hold.", "Still holding."]
    applied = [fact for fact in waiting.facts("turn_rule_applied") if fact["rule"] == "person_wait"]
    assert [(fact["outcome"], fact["count"]) for fact in applied] == [("said", 1), ("said", 2)]
    assert not waiting.new(fx.RequestReply), "the model is silent"


def test_the_model_is_not_told_of_each_prompt(waiting):
    waiting.new(fx.Note)
    prompts(waiting, 30_000)
    assert not waiting.new(fx.Note)


def test_a_callback_is_promised_when_nobody_came_and_the_agent_goes_on(waiting):
    said = prompts(waiting, 72_000)
    assert said[-1] == waiting.state.rules.say_callback
    (task,) = waiting.facts("task_opened")
    assert (task["title"], task["owed_by"], task["reason"]) == (
        "Call the caller back: asked",
        "person",
        "nobody_came",
    )
    assert "will call them back" in next(note.text for note in waiting.new(fx.Note) if note.role == "system")
    assert waiting.facts("operator_acted")[-1]["reason"] == "nobody_came"
    assert not waiting.state.handed_over
    assert prompts(waiting, 100_000) == []
    waiting.says("Then change my seat, please.")
    assert waiting.one(fx.RequestReply)


def test_the_agent_may_take_the_call_back_without_a_promise():
    call = waits(person_late="agent")
    assert prompts(call, 72_000)[-1] == call.state.rules.say_nobody_free
    assert not call.facts("task_opened")
    assert "call them back" not in next(note.text for note in call.new(fx.Note) if note.role == "system")
    assert not call.state.handed_over


def test_what_the_caller_says_meanwhile_is_kept_and_answered_in_the_end(waiting):
    waiting.says("It is about my refund.")
    assert waiting.facts("user_turn_ended")[-1]["text"] == "It is about my refund."
    assert not waiting.new(fx.RequestReply)
    prompts(waiting, 72_000)
    assert waiting.one(fx.RequestReply), "the agent answers what nobody else did"
    assert [entry.text for entry in waiting.state.history if entry.role == "user"][
        -1
    ] == "It is about my refund."


def test_nobody_is_prompted_into_their_own_words(waiting):
    waiting.pass_ms(15_000)
    waiting.starts_speaking()
    waiting.pass_ms(5_000)
    assert not waiting.new(fx.RequestSpeech)
    item_id = waiting.commits()
    waiting.do(ev.UtteranceHeard(item_id=item_id, text="Hello?"))
    waiting.gate()
    assert prompts(waiting, 21_000) == ["Please hold."]


def test_a_person_who_takes_the_call_up_ends_the_wait(waiting):
    waiting.pass_ms(10_000)
    waiting.do(OperatorTookOver(**ANNA))
    waiting.do(OperatorSaid(actor="anna", text="Anna here."))
    assert waiting.speaks().kind is SpeechKind.OPERATOR
    assert prompts(waiting, 200_000) == []
    assert not waiting.facts("task_opened")
    assert waiting.state.desk.actor == "anna"


def test_who_is_handed_back_before_anybody_came_waits_no_more(waiting):
    waiting.do(OperatorHandedBack(actor="anna"))
    assert prompts(waiting, 200_000) == []
    assert not waiting.facts("task_opened")


def test_a_person_may_be_awaited_without_end_and_without_a_word():
    assert len(prompts(waits(person_wait_ms_max=0), 600_000)) > 20
    silent = waits(person_wait_ms_max=0, hold_prompt_after_ms=0)
    assert prompts(silent, 600_000) == []
    assert silent.state.handed_over
    late = waits(hold_prompt_after_ms=0)
    assert prompts(late, 72_000) == [late.state.rules.say_callback]


def test_who_only_types_is_told_once_and_in_the_end():
    call = CoreCall(state=new_state(rules=TurnRules(**RULES)), audio=False)
    call.types("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked", rule="safety.person")
    assert call.speaks().text == call.state.rules.say_person
    assert prompts(call, 75_000) == [call.state.rules.say_callback]


@pytest.mark.parametrize("packet", [True, False])
def test_a_new_owner_goes_on_waiting_and_gathers_what_the_person_is_to_know(waiting, packet):
    waiting.one(fx.FetchPacket)
    if packet:
        waiting.do(ev.PacketReady(packet_json="{}"))
    prompts(waiting, 30_000)
    waiting.timers.clear()
    waiting.do(ev.Resumed(epoch=2, owner="session-1"))
    assert bool(waiting.new(fx.FetchPacket)) is not packet
    said = prompts(waiting, 45_000)
    assert said == ["Still holding.", waiting.state.rules.say_callback]
    assert len(waiting.facts("task_opened")) == 1


def kinds(call):
    """What was told of the hand-over, in its order."""
    of_it = ("escalated_to_person", "task_opened", "session_ended")
    return [e.kind for e in call.effects if isinstance(e, fx.Publish) and e.kind in of_it]


@pytest.mark.parametrize("reason", ["client_closed", "client_lost", "session_expired", "failed"])
@pytest.mark.parametrize("late", ["callback", "agent"])
def test_who_is_gone_before_a_person_came_is_to_be_called_back(reason, late):
    call = waits(person_late=late)
    call.do(ev.PacketReady(packet_json='{"reason":"asked"}'))
    call.do(ev.ClientGone(reason=reason))
    assert kinds(call) == ["escalated_to_person", "task_opened", "session_ended"]
    (task,) = call.facts("task_opened")
    assert (task["title"], task["owed_by"], task["reason"]) == (
        "Call the caller back: asked",
        "person",
        "hang_up",
    )
    assert prompts(call, 200_000) == []
    assert len(call.facts("task_opened")) == 1


def test_who_calls_back_learns_what_the_call_was_about_though_nothing_was_gathered_yet(waiting):
    waiting.do(ev.ClientGone(reason="client_closed"))
    assert kinds(waiting) == ["escalated_to_person", "task_opened", "session_ended"]
    (told,) = waiting.facts("escalated_to_person")
    assert "I want a person." in told["packet_json"]
    assert told["reason"] == "asked"
    waiting.do(ev.PacketReady(packet_json="{}"))
    assert len(waiting.facts("escalated_to_person")) == 1


@pytest.mark.parametrize(
    "meanwhile",
    [
        OperatorTookOver(**ANNA),
        OperatorHandedBack(actor="anna"),
        OperatorTransferred(actor="anna", reason="billing", agent="billing"),
    ],
)
def test_who_was_given_somebody_is_not_called_back(waiting, meanwhile):
    waiting.do(meanwhile)
    waiting.do(ev.ClientGone(reason="client_closed"))
    assert not waiting.facts("task_opened")
    waiting.do(ev.PacketReady(packet_json="{}"))
    assert len(waiting.facts("escalated_to_person")) == 1


def test_a_promised_callback_is_not_promised_again_at_the_end(waiting):
    prompts(waiting, 72_000)
    waiting.do(ev.ClientGone(reason="client_closed"))
    assert [task["reason"] for task in waiting.facts("task_opened")] == ["nobody_came"]


@pytest.mark.parametrize("written", ["before the end", "behind it"])
def test_a_crash_around_the_end_leaves_one_task(waiting, written):
    before = snapshot(waiting.state)
    waiting.do(ev.ClientGone(reason="client_closed"))
    record = before if written == "before the end" else snapshot(waiting.state)
    heir = CoreCall(state=restore(record), started=False)
    heir.do(ev.Resumed(epoch=2, owner="session-1"), ev.ClientGone(reason="expired"))
    opened = [*waiting.facts("task_opened"), *heir.facts("task_opened")]
    assert len({task["task_id"] for task in opened}) == 1
    assert len(heir.facts("task_opened")) == (1 if written == "before the end" else 0)
    assert kinds(heir)[-1] == "session_ended"


def test_the_promise_is_written_down_at_once(waiting):
    assert waiting.new(fx.Persist)


@pytest.mark.parametrize("by", ["a prompt", "the caller", "an operator"])
def test_the_time_to_the_next_prompt_counts_from_what_was_said_last(waiting, by):
    waiting.pass_ms(18_000)
    if by == "a prompt":
        assert prompts(waiting, 3_000) == ["Please hold."]
    elif by == "the caller":
        waiting.says("Are you there?")
    else:
        waiting.do(OperatorSaid(actor="anna", text="One minute, I am reading your case."))
        assert waiting.speaks().kind is SpeechKind.OPERATOR
    assert prompts(waiting, 16_500) == []
    assert len(prompts(waiting, 5_000)) == 1


def test_the_first_prompt_counts_from_the_end_of_the_sentence_that_promised_a_person():
    call = CoreCall(state=new_state(rules=TurnRules(**RULES)))
    call.says("I want a person.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked", rule="safety.person")
    call.pass_ms(8_000)
    assert call.speaks().text == call.state.rules.say_person, "the model took its time"
    assert prompts(call, 19_000) == []
    assert prompts(call, 2_000) == ["Please hold."]


def test_a_person_who_comes_before_it_was_gathered_still_gets_what_is_known(waiting):
    waiting.do(OperatorTookOver(**ANNA))
    waiting.new(fx.FetchPacket)
    waiting.do(ev.Resumed(epoch=2, owner="session-1"))
    assert waiting.one(fx.FetchPacket)
    waiting.do(ev.PacketReady(packet_json="{}"))
    assert [told["reason"] for told in waiting.facts("escalated_to_person")] == ["asked"]


async def test_a_whole_call_waits_hears_prompts_and_has_its_task():
    world = World()
    world.policy.rules = TurnRules(**RULES | {"input_gate": "off", "person_wait_ms_max": 35_000})
    call, client = await world.start()
    call.feed(OperatorTransferred(actor="anna", reason="billing"))
    heard = []
    for _ in range(4):
        await world.settle()
        asked = world.upstream.got("response.create")
        if len(asked) > len(heard):
            world.upstream.speaks()
            heard.append(asked[-1]["response"]["instructions"])
        for _ in range(15_000 // 40):
            call.client_frame(append())
        world.clock.advance(15_000)
    await world.settle()
    assert [word in said for word, said in zip(("colleague", "Please hold"), heard, strict=False)] == [
        True
    ] * 2
    assert len(client.of("response.done")) == len(heard)
    await world.until(lambda: world.facts("task_opened"))
    (opened,) = world.facts("task_opened")
    assert opened.task_opened.title == "Call the caller back: billing"
    assert not call.state.handed_over
    check_chain(client.frames)
    assert not world.tracing.errors
    await world.close()


PROMISED = ("escalated_to_person", pb.EscalatedToPerson(packet_json="{}"))
ENDED = ("session_ended", pb.SessionEnded())
TAKEN = ("operator_acted", pb.OperatorActed(action="take_over"))


def owed(task_id):
    return "task_opened", pb.TaskOpened(task_id=task_id, title="Call the caller back: asked")


@pytest.mark.parametrize(
    ("told", "broken"),
    [
        ([PROMISED, owed("task_1"), ENDED], 0),
        ([PROMISED, owed("task_1"), ENDED, owed("task_1"), ENDED], 0),
        ([PROMISED, TAKEN, ENDED], 0),
        ([PROMISED, ENDED], 1),
        ([PROMISED, owed("task_1"), owed("task_2"), ENDED], 1),
        ([("escalated_to_person", pb.EscalatedToPerson()), TAKEN, ENDED], 1),
    ],
)
def test_a_simulated_call_that_breaks_a_promise_is_found(told, broken):
    facts = [Fact(1, seq, kind, body) for seq, (kind, body) in enumerate(told, start=1)]
    assert len(list(broken_promises(facts))) == broken
