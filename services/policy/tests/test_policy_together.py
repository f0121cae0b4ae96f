"""Conditions that are asked at once, or without the engine, answer as each does over the engine by itself."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_policy.domain.conditions import Condition, ConditionError, Environment
from ringback_policy.domain.direct import Direct
from ringback_policy.domain.together import CONDITIONS_MAX, Together

# Literals and values meet in every pairing of types, so that most mixtures are errors.
LITERALS = (
    '"a"',
    "'b'",
    "0",
    "1",
    "24",
    "1.0",
    "24.5",
    "true",
    "false",
    r'"\x61"',
    "-1",
    "1u",
    "null",
    "0x1",
)
MEMBERS = ("facts.thing.one", "facts.thing.two", "session.turn", "args.three", "slots.gone.value")
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(["a", "b", "", "é"]),
    st.sampled_from([0, 1, 24, -1, 2**63 - 1, 2**63, -(2**63), 10**30]),
    st.sampled_from([0.0, 1.0, 24.5, math.nan, math.inf]),
    st.booleans(),
    st.none(),
    st.just([]),
    st.just([{"tool": "pay", "ok": True}]),
    st.just({"x": 1}),
)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> str:
    kind = draw(st.integers(0, 7 if depth else 2))
    member = draw(st.sampled_from(MEMBERS))
    if kind == 0:
        return member
    if kind in (1, 2):
        operator = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]))
        sides = [member, draw(st.sampled_from([*LITERALS, *MEMBERS]))]
        if draw(st.booleans()):
            sides.reverse()
        return f" {operator} ".join(sides)
    if kind == 3:
        return f"!({draw(expressions(depth - 1))})"
    if kind == 4:
        return f'{member}.exists(a, a.tool == "pay" && a.ok)'
    if kind == 5:
        return f"({draw(expressions(depth - 1))}) == true"
    operator = " && " if kind == 6 else " || "
    return f"({draw(expressions(depth - 1))}){operator}{draw(expressions(depth - 1))}"


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """Variables, some of which are missing."""
    found: dict[str, Any] = {"facts": {"thing": {}}, "session": {}, "args": {}, "slots": {"gone": {}}}
    for path in MEMBERS:
        *owners, name = path.split(".")
        owner = found
        for part in owners:
            owner = owner[part]
        if draw(st.integers(0, 4)):
            owner[name] = draw(VALUES)
    return found


def _alone(condition: Condition | None, values: dict[str, Any]) -> bool | None:
    try:
        return True if condition is None else condition.holds(Environment(values))
    except ConditionError:
        return None


@settings(max_examples=400)
@given(st.lists(st.one_of(expressions(), st.none()), min_size=1, max_size=4), worlds())
def test_answers_together_are_those_of_each_alone(sources: list[str | None], values: dict[str, Any]) -> None:
    conditions = [Condition(source) if source is not None else None for source in sources]
    together = Together(conditions).answers(values)
    assert together is None or together == [_alone(condition, values) for condition in conditions]


@settings(max_examples=400)
@given(expressions(), worlds())
def test_an_answer_without_the_engine_is_the_engines(source: str, values: dict[str, Any]) -> None:
    condition = Condition(source)
    found = Direct([condition]).answers(values)
    assert found is None or found == [_alone(condition, values)]


@pytest.mark.parametrize(
    "source",
    [
        'facts.thing.one == "a" || !args.three',
        "session.turn > 3 && (session.turn <= 9 || facts.thing.two)",
        "24.0 <= facts.thing.one",
        'facts.thing.one.exists(a, a.tool == "pay" && a.n == args.three)',
    ],
)
def test_a_comparison_with_literals_needs_no_engine(source: str) -> None:
    condition = Condition(source)
    values = {
        "facts": {"thing": {"one": "a", "two": True}},
        "args": {"three": True},
        "session": {"turn": 4},
    }
    values["facts"]["thing"]["one"] = [] if "exists" in source else 30.0 if "24" in source else "a"
    assert Direct([condition]).answers(values) == [condition.holds(Environment(values))]


@pytest.mark.parametrize(
    "source",
    [
        "size(args.three) > 1",
        "has(args.three)",
        "args.three + 1 > 2",
        'args.three.startsWith("a")',
        "args.three in [1, 2]",
        "args.three == args.four",
        "args.three == 'a\\n'",
        "args.three < 'b'",
        "args.three == 1 // a comment",
        "args.three ? true : false",
        "now > timestamp('2026-01-01T00:00:00Z')",
    ],
)
def test_what_is_more_than_that_is_left_to_the_engine(source: str) -> None:
    assert Direct([Condition(source)]).answers({"args": {"three": 1, "four": 1}}) is None


def test_one_that_fails_leaves_all_to_be_asked_alone() -> None:
    conditions = [Condition("session.turn + 1 > 2"), Condition("size(args.gone) > 1")]
    assert Together(conditions).answers({"session": {"turn": 3}, "args": {}}) is None


def test_more_conditions_than_one_expression_takes_are_asked_in_their_order() -> None:
    many = [Condition(f"session.turn + 0 == {at}") for at in range(2 * CONDITIONS_MAX + 3)]
    found = Together(many).answers({"session": {"turn": CONDITIONS_MAX + 1}})
    assert found is not None
    assert [at for at, answer in enumerate(found) if answer] == [CONDITIONS_MAX + 1]


def test_a_comment_at_the_end_of_one_does_not_hide_the_next() -> None:
    found = Together([Condition("session.turn + 0 > 1 // often"), Condition("session.turn + 0 > 5")])
    assert found.answers({"session": {"turn": 3}}) == [True, False]
