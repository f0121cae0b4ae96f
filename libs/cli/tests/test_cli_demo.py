"""What the demo concludes from facts, ledger and spans."""

from io import StringIO

import pytest
from rich.console import Console
from ringback.events.v1 import events_pb2 as pb
from ringback_cli.caller.script import Check
from ringback_cli.demo.checks import judge
from ringback_cli.demo.latency import turn_figures
from ringback_cli.demo.trace_tree import pick_trace, trace_tree


def event(turn="turn_1", *, at_ms=0, **bodies):
    made = pb.SessionEvent(turn_id=turn)
    made.occurred_at.FromMilliseconds(at_ms)
    for name, fields in bodies.items():
        body = getattr(made, name)
        body.SetInParent()
        for field, value in fields.items():
            setattr(body, field, value)
    return made


EVENTS = [
    event(consent_answered={"reading": pb.CONSENT_READING_UNCLEAR, "utterance": "which card"}),
    event(consent_answered={"reading": pb.CONSENT_READING_YES, "utterance": "yes"}),
    event(action_finished={"tool": "cancel", "status": pb.ACTION_STATUS_OK, "attempts": 2}),
]
LEDGER = [{"effect": "refund", "reservation_id": "482915", "amount": 240.0}]


@pytest.mark.parametrize(
    ("check", "ok"),
    [
        (Check(that="a", event="consent_answered", where={"reading": "YES"}, count=1), True),
        (Check(that="a", event="consent_answered", count=1), False),
        (Check(that="a", event="consent_answered", at_least=2), True),
        (Check(that="a", event="consent_answered", where={"utterance": "*CARD*"}), True),
        (Check(that="a", event="action_finished", where={"tool": "cancel", "attempts": 2}, count=1), True),
        (Check(that="a", event="action_finished", where={"no_such_field": 1}, count=1), False),
        (Check(that="a", event="handed_off", count=0), True),
        (Check(that="a", ledger={"reservation_id": "482915"}, count=1), True),
        (Check(that="a", ledger={"reservation_id": "000000"}, count=0), True),
        (Check(that="a", ledger={}, count=0), False),
        (Check(that="a", control="breaker_opened"), False),
    ],
)
def test_a_check_counts_what_it_names(check, ok):
    (verdict,) = judge("refund", [check], events=EVENTS, control=[], ledger=LEDGER)
    assert verdict.ok is ok
    assert "expected" in verdict.found


def test_a_control_check_looks_at_facts_of_no_session():
    fact = pb.ControlFact()
    fact.breaker_opened.dependency = "airline"
    check = Check(that="a", control="breaker_opened", where={"dependency": "airline"}, count=1)
    (verdict,) = judge("outage", [check], events=[], control=[fact], ledger=[])
    assert verdict.ok


def test_figures_are_gathered_by_turn():
    figures = turn_figures(
        [
            event("turn_1", user_turn_ended={"text": "Cancel it."}),
            event("turn_1", action_decided={"wait_ms": 4.0}),
            event("turn_1", action_finished={"duration_ms": 0.0}),
            event("turn_1", agent_turn_ended={"first_audio_ms": 140}),
            event("turn_1", agent_turn_ended={"first_audio_ms": 900}),
            event("turn_2", agent_turn_ended={"first_audio_ms": 0}),
        ]
    )
    (turn,) = figures
    assert (turn.caller, turn.first_audio_ms, turn.policy_ms, turn.tool_ms) == (
        "Cancel it.",
        140,
        [4.0],
        [],
    )


def test_the_wait_for_a_yes_is_no_time_of_the_tool():
    def decided(effect):
        return {"action_id": "act_1", "gate": "ACTION", "effect": effect}

    quick = [
        event(at_ms=0, action_decided=decided("CONFIRM")),
        event(at_ms=44_000, action_decided=decided("ALLOW")),
        event(at_ms=44_009, action_finished={"action_id": "act_1", "duration_ms": 44_009.0, "attempts": 1}),
    ]
    slow = [*quick[:2], event(at_ms=44_004, action_progressed={"action_id": "act_1"}), quick[2]]
    assert [turn.tool_ms for turn in turn_figures(quick)] == [[9.0]]
    assert [turn.tool_ms for turn in turn_figures(slow)] == [[5.0]]


def span(name, service, *, trace="t1", span_id="", parent="", at=0, attributes=None):
    return {
        "name": name,
        "service": service,
        "trace_id": trace,
        "span_id": span_id or f"{service}-{name}-{at}",
        "parent_id": parent,
        "start_ns": at * 1_000_000,
        "end_ns": (at + 5) * 1_000_000,
        "attributes": attributes or {},
        "error": False,
    }


SPANS = [
    span("turn", "session", span_id="root"),
    span("policy.decide", "policy", parent="root", at=1),
    span("tools.execute", "tools", parent="root", at=2, span_id="exec"),
    span("tools.attempt", "tools", parent="exec", at=3),
    span("nats.publish", "session", parent="root", at=4, span_id="p1"),
    span("nats.publish", "session", parent="root", at=5, span_id="p2"),
    span("memory.fold", "memory", parent="gone", at=6),
    span("turn", "session", trace="t2", span_id="other"),
]


def test_the_trace_through_most_services_is_shown():
    assert {found["trace_id"] for found in pick_trace(SPANS)} == {"t1"}
    assert pick_trace([]) == []


def test_the_tree_follows_parents_and_counts_repeated_leaves():
    out = StringIO()
    Console(file=out, width=120).print(trace_tree(pick_trace(SPANS)))
    text = out.getvalue()
    assert "7 spans · memory, policy, session, tools" in text
    assert "nats.publish" in text
    assert "× 2" in text
    lines = text.splitlines()
    deeper = next(line for line in lines if "tools.attempt" in line)
    assert deeper.index("tools") > next(line for line in lines if "tools.execute" in line).index("tools")
