"""Subjects, keys, topology and the deduper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import InvalidInput
from ringback_events import (
    Deduper,
    audit_subject,
    control_subject,
    decisions_subject,
    event_subject,
    fact_subject,
    load_topology,
    parked_subject,
    parse_event_subject,
    parse_fact_subject,
    recorded_decisions,
    session_facts,
)
from ringback_events.subjects import check_subject
from ringback_events.topology import covers

TOKEN = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)


@given(TOKEN, TOKEN, TOKEN)
def test_a_subject_comes_apart_as_it_was_made(first: str, second: str, third: str) -> None:
    event = parse_event_subject(event_subject(first, second, third))
    assert (event.tenant, event.session_id, event.kind) == (first, second, third)
    fact = parse_fact_subject(fact_subject(first, second, third))
    assert (fact.service, fact.tenant, fact.session_id) == (first, second, third)


@given(st.text(max_size=12))
def test_no_token_smuggles_in_another_subject(text: str) -> None:
    try:
        subject = event_subject("local", text, "x")
    except InvalidInput:
        return
    assert len(subject.split(".")) == 5
    assert check_subject(subject) == subject


def test_every_subject_belongs_to_its_stream() -> None:
    topology = load_topology()
    for subject, stream in (
        (event_subject("t", "s", "k"), "EVENTS"),
        (fact_subject("tools", "t", "s"), "FACTS"),
        (session_facts("t", "s"), "FACTS"),
        (control_subject("k"), "CONTROL"),
        (audit_subject("t", "k"), "AUDIT"),
        (decisions_subject("t", "p", "s"), "DECISIONS"),
        (recorded_decisions("p"), "DECISIONS"),
        (parked_subject("EVENTS", "memory"), "PARKED"),
    ):
        assert topology.stream_of(subject).name == stream


def test_every_declared_thing_has_one_owner_and_bounds() -> None:
    topology = load_topology()
    owners = {"session", "policy", "memory", "tools", "cli"}
    for spec in (*topology.streams, *topology.buckets, *topology.objects):
        assert spec.owner in owners
        assert spec.owner not in spec.needed_by
        assert spec.bytes_max > 0
    audit = topology.stream("AUDIT")
    assert (audit.owner, audit.append_only, audit.age_max_ms) == ("policy", True, 0)
    assert {bucket.name: bucket.owner for bucket in topology.buckets} == {
        "sessions": "session",
        "outcomes": "tools",
        "memory": "memory",
        "callers": "memory",
        "policy": "policy",
    }


def test_copies_are_a_setting() -> None:
    assert load_topology().with_replicas(3).replicas == 3
    with pytest.raises(InvalidInput, match="replicas: 1, 3 or 5 expected"):
        load_topology().with_replicas(2)


@pytest.mark.parametrize(
    ("pattern", "subject", "covered"),
    [
        ("a.>", "a.b.c", True),
        ("a.>", "a", False),
        ("a.*.c", "a.b.c", True),
        ("a.*.c", "a.b.d", False),
        ("a.b", "a.b.c", False),
        ("a.*", "a.>", False),
        (">", "a", True),
        ("a.>", "a.*.c", True),
    ],
)
def test_patterns_cover_as_nats_has_it(pattern: str, subject: str, covered: bool) -> None:
    assert covers(pattern, subject) is covered


@pytest.mark.parametrize("subject", ["", "a..b", ".a", "a.", "a b", "a.>.b", "a.*b", "x" * 600])
def test_what_is_no_subject_is_refused(subject: str) -> None:
    with pytest.raises(InvalidInput):
        check_subject(subject, wildcards=True)


@pytest.mark.parametrize("subject", ["a.*", "a.>"])
def test_wildcards_are_for_filters_only(subject: str) -> None:
    assert check_subject(subject, wildcards=True) == subject
    with pytest.raises(InvalidInput):
        check_subject(subject)


def test_a_deduper_forgets_the_oldest_first() -> None:
    seen = Deduper(size_max=2)
    assert seen.first("a")
    assert not seen.first("a")
    assert seen.first("b")
    assert not seen.first("a")
    assert seen.first("c")
    assert "b" not in seen
    assert "a" in seen
    assert len(seen) == 2
    seen.forget("a")
    assert seen.first("a")
