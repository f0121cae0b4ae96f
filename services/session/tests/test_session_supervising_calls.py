"""A supervisor over a chat endpoint on loopback: its answer reaches the model on the line."""

import asyncio
import json

import pytest
from ringback_errors import ConfigError
from ringback_session.adapters.text_openai import TextModelOverHttp
from ringback_session.domain.consultation import TextMessage
from ringback_session.domain.effects import AskText
from ringback_session.domain.usage import Price
from ringback_session.settings import SessionSettings
from ringback_testkit import FakeClock
from ringback_testkit.scripted_chat import ChatAnswer, ScriptedChat
from session_agents_kit import GRAPH
from session_call_kit import World
from session_core_kit import TOOLS

QUESTION = {"question": "Is 482915 refundable?"}
QUESTION_1 = AskText(
    consult_id="sup_1",
    number=1,
    messages=(TextMessage(role="user", text="?"),),
    tools=(),
    timeout_ms=25_000,
)


@pytest.fixture
async def chat():
    async with ScriptedChat() as chat:
        yield chat


@pytest.fixture
async def world(chat):
    world = World()
    world.packs.graph = GRAPH
    world.text = TextModelOverHttp(base_url=chat.url, api_key="key", model="scripted")
    world.calls = world.replica("session-0")
    yield world
    assert not world.tracing.errors
    await world.close()
    await world.text.close()


async def asks(world):
    call, _client = await world.start()
    world.upstream.hears("Can I get a refund?")
    await world.settle()
    world.upstream.replies("", calls=[("consult_supervisor", QUESTION)])
    await world.settle()
    return call


def results(world):
    created = world.upstream.got("conversation.item.create")
    return [json.loads(event["item"]["output"]) for event in created if "output" in event["item"]]


async def test_the_answer_is_returned_to_the_model_on_the_line(world, chat):
    chat.will(ChatAnswer("Yes, within a day."))
    await asks(world)
    await world.until(lambda: results(world))
    assert results(world) == [{"status": "ok", "message": "Yes, within a day."}]
    (request,) = chat.requests
    assert request["model"] == "scripted"
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert "Is 482915 refundable?" in request["messages"][1]["content"]
    assert {tool["function"]["name"] for tool in request["tools"]} >= {"get_reservation"}
    await world.until(lambda: world.facts("consulted"))
    (fact,) = world.facts("consulted")
    assert (fact.consulted.outcome, fact.consulted.input_tokens, fact.consulted.model) == (
        "answered",
        100,
        "scripted",
    )


async def test_its_tools_go_through_policy_and_tools(world, chat):
    chat.will(
        ChatAnswer(calls=[("get_reservation", {"reservation": "482915"})]), ChatAnswer("It is refundable.")
    )
    await asks(world)
    await world.until(lambda: results(world))
    assert [question.gate for question in world.policy.questions].count("action") == 1
    assert [action.tool for action, _ in world.tools.executed] == ["get_reservation"]
    assistant, tool = chat.requests[1]["messages"][-2:]
    assert assistant["tool_calls"][0]["id"] == tool["tool_call_id"]
    assert json.loads(tool["content"])["status"] == "ok"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (ChatAnswer(status=500, body=b"{}"), "unavailable"),
        (ChatAnswer(status=429, body=b"{}"), "unavailable"),
        (ChatAnswer(body=b"<html>no json</html>"), "unavailable"),
        (ChatAnswer(body=b"{}"), "unusable"),
        (ChatAnswer(body=b'{"choices": []}'), "unusable"),
        (ChatAnswer(body=b'{"choices": [{"message": null}]}'), "unusable"),
        (ChatAnswer(body=b'{"choices": [{"message": {"content": 7, "tool_calls": "x"}}]}'), "unusable"),
        (ChatAnswer(""), "unusable"),
    ],
)
async def test_an_endpoint_that_does_not_answer_leads_to_the_declared_words(world, chat, answer, outcome):
    chat.will(answer)
    await asks(world)
    await world.until(lambda: results(world))
    assert results(world)[0]["message"] == "I could not find that out."
    assert world.facts("consulted")[0].consulted.outcome in (outcome, "unavailable", "unusable")


async def test_nobody_listens_where_the_endpoint_should_be(world, chat):
    await chat.__aexit__(None, None, None)
    await asks(world)
    await world.until(lambda: results(world))
    assert world.facts("consulted")[0].consulted.outcome == "unavailable"


async def test_an_endpoint_that_never_answers_is_left_at_the_deadline(chat):
    never = asyncio.Event()
    chat.will(ChatAnswer("Too late.", after=never))
    model = TextModelOverHttp(base_url=chat.url, api_key="", model="scripted")
    question = AskText(
        consult_id="sup_1",
        number=1,
        messages=(TextMessage(role="user", text="?"),),
        tools=(TOOLS["add_note"],),
        timeout_ms=150,
    )
    assert (await model.answer(question)).error == "deadline"
    await model.close()


async def test_an_endpoint_that_fails_again_and_again_is_left_alone_for_a_while(chat):
    clock, changes = FakeClock(), []
    model = TextModelOverHttp(
        base_url=chat.url,
        api_key="",
        model="scripted",
        now_ms=clock.now_ms,
        on_breaker=lambda state, open_ms: changes.append(state.value),
    )
    chat.will(*[ChatAnswer(status=status, body=b"{}") for status in (500, 429, 503)], ChatAnswer("Yes."))
    for _ in range(5):
        assert (await model.answer(QUESTION_1)).error == "unavailable"
    assert (len(chat.requests), changes) == (3, ["open"])
    clock.advance(10_000)
    assert (await model.answer(QUESTION_1)).text == "Yes."
    assert changes == ["open", "half_open", "closed"]
    await model.close()


async def test_an_endpoint_that_refuses_what_it_was_asked_is_not_away(chat):
    model = TextModelOverHttp(base_url=chat.url, api_key="", model="scripted")
    chat.will(*[ChatAnswer(status=400, body=b"{}")] * 4, ChatAnswer("Yes."))
    for _ in range(4):
        assert (await model.answer(QUESTION_1)).error == "unavailable"
    assert (await model.answer(QUESTION_1)).text == "Yes."
    await model.close()


async def test_what_a_consultation_used_is_counted_and_priced(world, chat):
    world.prices.models["scripted"] = Price(tokens={"text_in": 500_000, "text_out": 1_000_000})
    chat.will(ChatAnswer(calls=[("get_reservation", {"reservation": "482915"})]), ChatAnswer("It is."))
    call = await asks(world)
    await world.until(lambda: results(world))
    reported = [fact.usage_reported for fact in world.facts("usage_reported")]
    told = [fact for fact in reported if fact.consult_id]
    assert [(fact.model, fact.unpriced) for fact in told] == [("scripted", 0)] * 2
    assert {fact.consult_id for fact in told} == {world.facts("consulted")[0].consulted.consult_id}
    assert call.state.account.usage.models["scripted"].tokens.text_in == 200
    assert call.state.account.usage.models["scripted"].cost_pico > 0


async def test_without_a_text_model_the_function_is_not_offered():
    world = World()
    world.packs.graph = GRAPH
    await world.start()
    offered = {tool["name"] for tool in world.upstream.got("session.update")[-1]["session"]["tools"]}
    assert "consult_supervisor" not in offered
    await world.close()


BASE = {
    "RINGBACK_POLICY_ADDR": "127.0.0.1:1",
    "RINGBACK_TOOLS_ADDR": "127.0.0.1:2",
    "RINGBACK_MEMORY_ADDR": "127.0.0.1:3",
    "RINGBACK_UPSTREAM_URL": "ws://127.0.0.1:4",
}


@pytest.mark.parametrize(
    "more",
    [
        {"RINGBACK_SUPERVISOR_URL": "http://127.0.0.1:5/v1"},
        {"RINGBACK_SUPERVISOR_MODEL": "m"},
        {"RINGBACK_SUPERVISOR_URL": "ftp://x", "RINGBACK_SUPERVISOR_MODEL": "m"},
    ],
)
def test_half_a_supervisor_is_told_at_the_start(more):
    with pytest.raises(ConfigError, match="RINGBACK_SUPERVISOR"):
        SessionSettings.from_env(BASE | more, service="session")


def test_a_whole_supervisor_is_taken():
    more = {"RINGBACK_SUPERVISOR_URL": "http://127.0.0.1:5/v1", "RINGBACK_SUPERVISOR_MODEL": "m"}
    settings = SessionSettings.from_env(BASE | more, service="session")
    assert (settings.supervisor_url, settings.supervisor_model) == ("http://127.0.0.1:5/v1", "m")
