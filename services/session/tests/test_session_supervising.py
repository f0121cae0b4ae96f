"""Asking a text agent: capped, in time, with a filler; its tools pass policy and run like any other."""

import json

import msgspec
import pytest
from ringback_session import wire
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.consultation import TextCall
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import restore, snapshot
from ringback_session.domain.upkeep import UsageReported
from ringback_session.domain.usage import Budget, Budgets, Tokens
from session_agents_kit import card, team_state
from session_core_kit import CoreCall

QUESTION = {"question": "What is the refund window?", "context": "Bought in May."}
LOOK_UP = TextCall("call_a", "get_reservation", '{"reservation":"482915"}')
CANCEL = TextCall("call_b", "cancel_reservation", '{"reservation":"482915"}')


@pytest.fixture
def team():
    return CoreCall(state=team_state())


def asks(call, *, call_id="s1", **changes):
    """The model asks the supervisor, whose instructions and tools arrive."""
    call.says("Can I still get a refund?")
    call.reply("", calls=[(call_id, "consult_supervisor", QUESTION | changes)])
    fetch = call.one(fx.FetchAgent)
    call.do(ev.AgentReady(ask_id=fetch.ask_id, card=card(fetch.agent), context="What is known: …"))
    return call.one(fx.AskText)


def answers(call, asked, text="Thirty days.", *, calls=(), **more):
    call.do(
        ev.TextAnswered(
            consult_id=asked.consult_id, number=asked.number, text=text, calls=tuple(calls), **more
        )
    )


def test_the_text_agent_gets_its_instructions_the_question_and_what_was_said(team):
    asked = asks(team)
    system, user = asked.messages
    assert system.text.startswith("You are backroom.")
    assert '"question":"What is the refund window?"' in user.text
    assert '{"who":"caller","said":"Can I still get a refund?"}' in user.text
    assert user.text.endswith("What is known: …")
    assert {tool.name for tool in asked.tools} == {"get_reservation", "add_note", "cancel_reservation"}
    assert 0 < asked.timeout_ms <= 15_000


def test_its_answer_is_the_functions_result_and_is_spoken_of(team):
    asked = asks(team)
    answers(team, asked, model="m", input_tokens=90, output_tokens=9)
    assert team.results()["s1"] == {"status": "ok", "message": "Thirty days."}
    team.one(fx.RequestReply)
    (fact,) = team.facts("consulted")
    assert (fact["agent"], fact["outcome"], fact["steps"], fact["calls"]) == ("backroom", "answered", 1, 0)
    assert (fact["input_tokens"], fact["output_tokens"], fact["model"]) == (90, 9, "m")
    published = [e for e in team.effects if isinstance(e, fx.Publish) and e.kind == "consulted"]
    assert wire.event(published[0], "local", "sess_1").consulted.question == "What is the refund window?"


def test_the_caller_hears_a_filler_while_it_thinks(team):
    asked = asks(team)
    team.pass_ms(team.state.rules.filler_after_ms + 10)
    assert team.one(fx.RequestSpeech).kind == "filler"
    answers(team, asked)
    assert team.new(fx.CancelSpeech), "not heard yet, not needed any more"


def test_the_caller_hears_a_filler_while_it_thinks_on_behind_a_tool(team):
    asked = asks(team)
    answers(team, asked, "", calls=[LOOK_UP])
    team.decides(Effect.ALLOW)
    team.runs()
    assert team.one(fx.AskText)
    team.pass_ms(team.state.rules.filler_after_ms + 10)
    assert team.one(fx.RequestSpeech).kind == "filler"


def test_its_tools_pass_policy_and_are_run(team):
    asked = asks(team)
    answers(team, asked, "", calls=[LOOK_UP])
    question = team.decides(Effect.ALLOW)
    assert question.subject["tool"] == "get_reservation"
    assert question.view["agent"] == "backroom"
    team.runs(data_json='{"status":"confirmed"}')
    again = team.one(fx.AskText)
    assert again.number == 2
    assistant, tool = again.messages[-2:]
    assert assistant.calls == (LOOK_UP,)
    assert (tool.role, tool.call_id) == ("tool", "call_a")
    assert '"confirmed"' in tool.text
    assert "s1" not in team.results()
    answers(team, again, "It is confirmed.")
    assert team.results() == {"s1": {"status": "ok", "message": "It is confirmed."}}


def test_what_policy_denies_the_supervisor_cannot_do_either(team):
    asked = asks(team)
    answers(team, asked, "", calls=[CANCEL])
    team.decides(Effect.DENY, say="That cannot be cancelled.")
    again = team.one(fx.AskText)
    assert "denied_by_policy" in again.messages[-1].text
    assert not team.new(fx.Execute)


def test_a_change_that_it_wants_is_read_back_to_the_caller_first(team):
    asked = asks(team)
    answers(team, asked, "", calls=[CANCEL])
    team.decides(Effect.CONFIRM)
    team.speaks()
    team.pass_ms(team.state.team.consult.deadline_ms + 1_000)
    assert team.state.team.consultation is not None, "the caller's time is not its own"
    team.says("Yes.")
    team.reads("yes")
    team.decides(Effect.ALLOW)
    team.journals()
    team.runs()
    answers(team, team.one(fx.AskText), "It is cancelled.")
    assert team.results()["s1"]["message"] == "It is cancelled."


def test_several_calls_at_once_are_answered_together(team):
    asked = asks(team)
    other = TextCall("call_c", "get_reservation", '{"reservation":"290754"}')
    unknown = TextCall("call_d", "no_such_tool", "{}")
    broken = TextCall("call_e", "get_reservation", "{")
    answers(team, asked, "", calls=[LOOK_UP, unknown, other, broken])
    for question in [e for e in team.new(fx.AskPolicy) if e.gate == "action"]:
        team.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW))
    for execute in team.new(fx.Execute):
        assert not team.new(fx.AskText)
        team.do(ev.ActionResult(action_id=execute.action_id, status="ok", data_json="{}"))
    again = team.one(fx.AskText)
    told = {message.call_id: message.text for message in again.messages if message.role == "tool"}
    assert set(told) == {"call_a", "call_c", "call_d", "call_e"}
    assert "unknown_tool" in told["call_d"]
    assert "invalid_arguments" in told["call_e"]


def test_the_last_step_has_no_tools_and_must_answer(team):
    asked = asks(team)
    for number in range(2, 7):
        call = TextCall(f"c{number}", "no_such_tool", "{}")
        answers(team, asked, "", calls=[call])
        asked = team.one(fx.AskText)
        assert asked.number == number
        assert bool(asked.tools) is (number < 6)
    answers(team, asked, "", calls=[LOOK_UP])
    assert team.results()["s1"]["error_code"] == "supervisor_unavailable"
    assert team.facts("consulted")[0]["outcome"] == "steps"


@pytest.mark.parametrize("error", ["unavailable", "deadline", "unusable"])
def test_without_an_answer_the_declared_words_are_told(team, error):
    answers(team, asks(team), "", error=error)
    told = team.results()["s1"]
    assert (told["status"], told["message"]) == ("error", "I could not find that out.")
    assert team.facts("consulted")[0]["outcome"] == error
    team.one(fx.RequestReply)


def test_an_empty_answer_is_none(team):
    answers(team, asks(team), "  ")
    assert team.facts("consulted")[0]["outcome"] == "unusable"


def test_its_time_is_bounded_whatever_the_endpoint_does(team):
    asked = asks(team)
    team.pass_ms(team.state.team.consult.deadline_ms + 10)
    assert team.facts("consulted")[0]["outcome"] == "deadline"
    before = snapshot(team.state)
    answers(team, asked)
    assert snapshot(team.state) == before, "a late answer changes nothing"


def test_a_text_agent_that_cannot_be_had_is_no_answer(team):
    team.says("Can I still get a refund?")
    team.reply("", calls=[("s1", "consult_supervisor", QUESTION)])
    fetch = team.one(fx.FetchAgent)
    team.do(ev.AgentReady(ask_id=fetch.ask_id, card=None))
    assert team.results()["s1"]["error_code"] == "supervisor_unavailable"


def test_a_pack_may_declare_a_person_as_the_fallback():
    state = team_state()
    state.team.consult = msgspec.structs.replace(state.team.consult, to_person=True)
    call = CoreCall(state=state)
    answers(call, asks(call), "", error="unavailable")
    assert call.state.handed_over
    assert call.one(fx.RequestSpeech).text == "I could not find that out."


def test_a_change_that_outlives_the_consultation_is_told_to_the_model(team):
    asked = asks(team)
    note = TextCall("call_n", "add_note", '{"reservation":"482915"}')
    answers(team, asked, "", calls=[note])
    team.decides(Effect.ALLOW)
    team.journals()
    team.pass_ms(team.state.team.consult.deadline_ms + 10)
    assert team.facts("consulted")[0]["outcome"] == "deadline"
    team.new(fx.Note)
    team.runs()
    told = team.one(fx.Note)
    assert "add_note" in told.text
    assert not team.state.team.late_calls


def test_the_same_question_twice_is_asked_once(team):
    asked = asks(team)
    team.calls("s2", "consult_supervisor", QUESTION)
    team.calls("s3", "consult_supervisor", {"question": "Something else?"})
    assert team.results()["s3"]["error_code"] == "busy"
    answers(team, asked)
    assert team.results()["s2"] == team.results()["s1"]


@pytest.mark.parametrize("stage", ["fetching", "asking", "acting"])
def test_a_new_owner_goes_on_with_a_consultation(team, stage):
    if stage == "fetching":
        team.says("Can I still get a refund?")
        team.reply("", calls=[("s1", "consult_supervisor", QUESTION)])
    else:
        asked = asks(team)
        if stage == "acting":
            answers(team, asked, "", calls=[LOOK_UP])
            team.decides(Effect.ALLOW)
    other = CoreCall(state=restore(snapshot(team.state)), started=False)
    other.now_ms = team.now_ms + 1_000
    other.do(ev.Resumed(epoch=2, owner="session-1"))
    if stage == "fetching":
        fetch = other.one(fx.FetchAgent)
        other.do(ev.AgentReady(ask_id=fetch.ask_id, card=card("backroom")))
    if stage == "acting":
        other.runs()
    again = other.one(fx.AskText)
    assert again.number == (2 if stage == "acting" else 1)
    answers(other, again)
    assert other.results()["s1"]["message"] == "Thirty days."


def test_a_consultation_goes_with_the_caller(team):
    asked = asks(team)
    team.do(ev.ClientGone(reason="client_closed"))
    answers(team, asked, "", calls=[LOOK_UP])
    assert not [e for e in team.new(fx.AskPolicy) if e.gate == "action"]


def test_who_hangs_up_while_its_read_back_is_said_has_it_asked_nothing_more(team):
    asked = asks(team)
    answers(team, asked, "", calls=[CANCEL])
    team.decides(Effect.CONFIRM)
    team.do(ev.ClientGone(reason="client_closed"))
    assert not team.new(fx.AskText), "nobody would hear the answer"


def test_what_it_is_told_is_bounded(team):
    asked = asks(team)
    for number in range(2, 6):
        calls = []
        for place in range(8):
            arguments = json.dumps({"reservation": f"{number}{place}"})
            calls.append(TextCall(f"c{number}{place}", "get_reservation", arguments))
        answers(team, asked, "", calls=calls)
        for question in [e for e in team.new(fx.AskPolicy) if e.gate == "action"]:
            team.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW))
        for execute in team.new(fx.Execute):
            data = json.dumps({"text": "x" * 20_000})
            team.do(ev.ActionResult(action_id=execute.action_id, status="ok", data_json=data))
        asked = team.one(fx.AskText)
    assert sum(len(message.text) for message in asked.messages) < 80_000


def spends(call, tokens):
    call.do(
        UsageReported(
            key=f"c:{tokens}", model="m", tokens=Tokens(text_in=tokens), unpriced=tokens, consult_id="sup_1"
        )
    )


def test_a_consultation_that_uses_up_the_budget_ends_without_asking_further(team):
    team.state.account.budgets = Budgets(session=Budget(hard_tokens=100))
    asked = asks(team)
    spends(team, 150)
    answers(team, asked, "", calls=[LOOK_UP])
    assert team.facts("consulted")[0]["outcome"] == "budget"
    assert not team.new(fx.AskText) + team.new(fx.Execute)
    assert team.results()["s1"]["error_code"] == "supervisor_unavailable"


def test_an_answer_whose_usage_nobody_tells_counts_as_unreported(team):
    answers(team, asks(team), input_tokens=0)
    assert team.state.account.usage.unreported == 1


def test_a_consultation_that_nobody_began_to_answer_used_nothing(team):
    answers(team, asks(team), "", error="unavailable")
    assert team.state.account.usage.unreported == 0
