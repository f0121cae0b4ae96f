"""Facts for rules about words and results: fetched within a bound, asked again with them, else as declared."""

import json

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect, GateFallback
from session_core_kit import CoreCall

NEED = ev.FactNeed(
    name="account", tool="get_reservation", arguments_json='{"reservation":"1"}', ttl_ms=60_000
)
CLOSED = {
    "input": GateFallback(effect=Effect.DENY, say="I can't hear that now."),
    "result": GateFallback(effect=Effect.DENY, say="I can't show that now."),
}


def call_with(**rules):
    return CoreCall(gate_fallbacks=CLOSED, filler_after_ms=700, decision_timeout_ms=300, **rules)


def wants_facts(call, question):
    """Policy wants a fact; returns what is to be fetched."""
    call.do(ev.Decided(decision_id=question.decision_id, needs_facts=(NEED,)))
    return call.one(fx.FetchFact)


def comes(call, fetch, value="7", **more):
    call.do(
        ev.FactFetched(
            action_id=fetch.action_id,
            name=fetch.name,
            tool=fetch.tool,
            arguments_json=fetch.arguments_json,
            value_json=value,
            ttl_ms=fetch.ttl_ms,
            **more,
        )
    )


@pytest.fixture
def heard():
    call = call_with(input_gate="blocking")
    call.says("What do I owe?", gate=None)
    return call, call.question("input")


@pytest.fixture
def returned():
    call = call_with(input_gate="off", result_gate="blocking")
    call.says("What is 482915?")
    call.reply("", calls=[("c1", "get_reservation", {"reservation": "482915"})])
    call.decides(Effect.ALLOW)
    call.runs(data_json='{"owner":"Ann"}')
    return call, call.question("result")


def test_words_wait_for_the_fact_that_a_rule_needs_and_are_asked_about_with_it(heard):
    call, question = heard
    fetch = wants_facts(call, question)
    assert not call.new(fx.RequestReply)
    comes(call, fetch)
    again = call.question("input")
    assert [(fact["name"], fact["value_json"]) for fact in again.facts] == [("account", "7")]
    assert not call.facts("user_turn_ended"), "words are on record only when they are judged"
    call.do(ev.Decided(decision_id=again.decision_id, effect=Effect.ALLOW))
    assert call.one(fx.RequestReply)
    assert call.facts("user_turn_ended")[0]["text"] == "What do I owe?"
    assert not call.state.fact_waits


def test_a_turn_that_is_denied_with_the_fact_is_not_answered(heard):
    call, question = heard
    comes(call, wants_facts(call, question))
    call.do(ev.Decided(decision_id=call.question("input").decision_id, effect=Effect.DENY, say="No."))
    assert call.one(fx.RequestSpeech).text == "No."
    assert not call.new(fx.RequestReply)


def test_words_wait_no_longer_than_a_caller_does_without_a_filler(heard):
    call, question = heard
    fetch = wants_facts(call, question)
    call.pass_ms(699)
    assert not call.new(fx.RequestSpeech)
    call.pass_ms(1)
    assert call.one(fx.RequestSpeech).text == CLOSED["input"].say
    decided = call.facts("action_decided")[-1]
    assert (decided["rule"], decided["source"]) == ("session.facts_at_gate", "fallback")
    comes(call, fetch)
    assert not call.new(fx.AskPolicy)


def test_facts_are_fetched_once_for_a_question_then_the_declared_fallback_decides(heard):
    call, question = heard
    comes(call, wants_facts(call, question))
    again = call.question("input")
    call.do(ev.Decided(decision_id=again.decision_id, needs_facts=(NEED,)))
    assert not call.new(fx.FetchFact)
    assert call.one(fx.RequestSpeech).text == CLOSED["input"].say


def test_a_fact_that_cannot_be_had_is_told_to_policy_and_asked_for_anew_the_next_time(heard):
    call, question = heard
    comes(call, wants_facts(call, question), "", unavailable=True)
    again = call.question("input")
    assert again.facts[0]["unavailable"]
    call.do(ev.Decided(decision_id=again.decision_id, effect=Effect.ALLOW))
    assert not call.state.facts


def test_a_new_turn_does_not_wait_for_the_facts_of_the_one_before(heard):
    call, question = heard
    fetch = wants_facts(call, question)
    call.says("And when?", gate=None, ms=300)
    call.do(ev.Decided(decision_id=call.question("input").decision_id, effect=Effect.ALLOW))
    assert call.one(fx.RequestReply)
    comes(call, fetch)
    # For the record alone.
    call.do(ev.Decided(decision_id=call.question("input").decision_id, effect=Effect.ALLOW))
    assert [fact["text"] for fact in call.facts("user_turn_ended")] == ["And when?", "What do I owe?"]


def test_a_result_waits_for_the_fact_that_a_rule_needs(returned):
    call, question = returned
    fetch = wants_facts(call, question)
    assert not call.results()
    comes(call, fetch)
    readings = [e for e in call.new(fx.AskPolicy) if e.subject.get("action_id") == ""]
    again = [e for e in call.effects if isinstance(e, fx.AskPolicy) and e.subject.get("action_id")][-1]
    assert again.facts[-1]["name"] == "account"
    call.do(ev.Decided(decision_id=again.decision_id, effect=Effect.ALLOW))
    assert call.results()["c1"]["data"] == {"owner": "Ann"}
    # What was read for the rule is judged itself, and waits for no further facts.
    assert len(readings) == 1
    call.do(ev.Decided(decision_id=readings[0].decision_id, needs_facts=(NEED,)))
    assert not call.new(fx.FetchFact)


def test_a_result_whose_facts_come_too_late_is_withheld_as_declared(returned):
    call, question = returned
    wants_facts(call, question)
    call.pass_ms(700)
    assert "owner" not in json.dumps(call.results()["c1"])


def test_what_a_client_returned_waits_for_its_facts():
    call = call_with(input_gate="off", result_gate="blocking", client_tools="allow")
    call.do(ev.ClientCallOutput(call_id="c9", output='{"dim":1}', item_id="item_o", withheld=True))
    fetch = wants_facts(call, call.question("result"))
    comes(call, fetch)
    again = [e for e in call.new(fx.AskPolicy) if "dim" in e.subject["result_json"]][-1]
    call.do(ev.Decided(decision_id=again.decision_id, effect=Effect.ALLOW))
    assert call.one(fx.ReturnResult).output_json == '{"dim":1}'


def test_sentences_of_a_reply_do_not_wait_for_facts():
    call = call_with(input_gate="off", output_gate="blocking")
    call.do(ev.Decided(decision_id="dec_of_a_sentence", needs_facts=(NEED,)))
    assert not call.new(fx.FetchFact)


def test_a_new_owner_asks_anew(heard):
    call, question = heard
    wants_facts(call, question)
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    assert not call.state.fact_waits
    assert call.question("input")
