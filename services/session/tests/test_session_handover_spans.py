"""A hand-over, to an agent or to a person, is a span in the trace of its turn."""

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from ringback_session.adapters.handover_spans import hand_over_spans
from ringback_session.domain.effects import Publish
from ringback_session.domain.rules import Effect
from ringback_session.ports import Pinned
from ringback_telemetry import names, setup, span
from session_agents_kit import card, team_state
from session_core_kit import CoreCall, ev, fx

PINNED = Pinned(
    tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=1, agent="front"
)


@pytest.fixture
def recorded():
    exporter = InMemorySpanExporter()
    telemetry = setup("test", extra_processor=SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    telemetry.shutdown()


def heard_of(call):
    """Every fact of the call, told within one turn's span."""
    with span(names.Span.TURN):
        for effect in call.effects:
            if isinstance(effect, Publish):
                hand_over_spans(effect, PINNED)


def test_a_hand_over_to_an_agent_is_a_span_of_the_turn_as_long_as_it_took(recorded):
    call = CoreCall(state=team_state())
    call.says("My bag is lost.")
    call.reply("", calls=[("h1", "hand_over_to_seats", {"reason": "seat", "summary": "A seat."})])
    question = call.question("handoff")
    call.pass_ms(400)
    call.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW, rule="graph"))
    fetch = call.one(fx.FetchAgent)
    call.pass_ms(100)
    call.do(ev.AgentReady(ask_id=fetch.ask_id, card=card(fetch.agent)))
    heard_of(call)
    made, turn = recorded()
    assert (made.name, made.parent.span_id) == ("handoff", turn.context.span_id)
    assert made.attributes["ringback.to_agent"] == "seats"
    assert made.attributes["ringback.outcome"] == "done"
    assert made.end_time - made.start_time >= 500e6


def test_one_that_is_refused_says_why_and_repeats_no_name_that_was_made_up(recorded):
    call = CoreCall(state=team_state())
    call.says("Give me the boss.")
    call.reply("", calls=[("h1", "hand_over_to_the_boss", {"reason": "x"})])
    for fetch in call.new(fx.FetchAgent):
        call.do(ev.AgentReady(ask_id=fetch.ask_id, card=None))
    heard_of(call)
    made, _turn = recorded()
    assert made.attributes["ringback.outcome"] == "unknown_agent"
    assert "boss" not in str(made.attributes)


def test_a_hand_over_to_a_person_lasts_until_there_is_something_to_hand_over(recorded):
    call = CoreCall()
    call.says("A person, please.", gate=None)
    call.gate(Effect.ESCALATE, escalate="asked_for_a_person", rule="people")
    call.one(fx.FetchPacket)
    call.pass_ms(700)
    call.do(ev.PacketReady(packet_json="{}"))
    assert call.facts("escalated_to_person")[0]["duration_ms"] == 700
    heard_of(call)
    made, _turn = recorded()
    assert (made.attributes["ringback.to_agent"], made.attributes["ringback.rule"]) == ("person", "people")
