"""Members of variables given to the engine one by one mean what the whole objects mean."""

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import InvalidInput
from ringback_policy.domain.conditions import Condition, ConditionError, Environment
from ringback_policy.domain.environment import Variables
from ringback_policy.domain.shapes import Shape
from ringback_policy.domain.subjects import PastAction, Request, SessionView, UtteranceSubject
from ringback_policy.domain.vocabulary import Gate

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=True),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=3),
    st.dictionaries(st.sampled_from("bc"), st.integers(0, 3), max_size=2),
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES, max_size=3)
EXPRESSIONS = [
    "args.a == args.b",
    "args.a > 1 || args.b == 'x'",
    "!args.a && args.b < 2.5",
    "args.a.exists(n, n > 1 && args.b == n)",
    "has(args.a) && args.a != null",
    "has(args.a.b) || args.c == 1",
    "args['a'] == 1 && args.a == 1",
    "size(args.a) > 1",
    "'b' in args.a && args.a.b > 1",
    "args.a.b > 1 || args.a.c > 1",
    "args.a[0] == 1 || args.c",
    "args == {'a': 1}",
    "args.a == 'args.b' || args.b == \"facts.x.y\"",
    "true || args.a.b.c == 1",
    "args.a ? args.b == 1 : args.c == 1",
]


@given(st.sampled_from(EXPRESSIONS), OBJECTS)
def test_a_condition_over_single_members_says_what_it_says_over_the_whole(source, args):
    try:
        expected = cel.compile(source).execute(cel.Context({"args": args}))
    except Exception:
        with pytest.raises(ConditionError):
            Condition(source).value(Environment({"args": args}))
        return
    assert Condition(source).value(Environment({"args": args})) == expected or expected != expected


ACTIONS = st.lists(
    st.builds(
        PastAction,
        action_id=st.sampled_from(["act_1", "act_2"]),
        tool=st.sampled_from(["pay", "look", "pay.twice", ""]),
        status=st.sampled_from(["ok", "failed", "unknown"]),
        age_ms=st.integers(0, 30_000),
        arguments_json=st.sampled_from(["", "{}", '{"amount": 5}', '{"amount": "5"}', '{"amount": 7.5}']),
    ),
    max_size=5,
).map(tuple)
OVER_ACTIONS = {
    'session.actions.exists(a, a.tool == "pay")': 1,
    "session.actions.exists(a, a.tool == 'pay' && a.args.amount == 5)": 1,
    'session.actions.exists(pay, pay.tool == "pay.twice" && (pay.status == "ok" || pay.age_ms < 10000))': 1,
    'session.actions.exists_one(a, a.tool == "pay" && a.status == "ok")': 1,
    'size(session.actions.filter(a, a.tool == "" && a.status != "ok")) > 1': 1,
    'session.actions.exists(a, a.tool == "pay" && a.age_ms > 6) && !session.actions.exists(b, b.tool == "")': 2,
    'session.actions.exists(a, a.tool == "pay") || session.actions[0].tool == "look"': 1,
    'session.actions.exists(a, a.tool == "pay" && a.status in ["ok", "failed"])': 1,
    'session.actions.exists(a, a.tool == "none" && a.args.amount > 6)': 1,
    'session.actions.exists(a, a.tool == "pay" || a.status == "ok")': 0,
    'session.actions.exists(a, a.tool == "pay" && a.status == "ok" || a.age_ms > 5000)': 0,
    'session.actions.exists(a, a.tool == "pay" && a.status == "ok" ? a.age_ms > 5000 : true)': 0,
    'session.actions.exists(a, a.tool == "pay" ? false : true)': 0,
    'session.actions.exists(a, a.tool == "pay" + ".twice")': 0,
    'session.actions.exists(a, a.tool == "pay" == false)': 0,
    'session.actions.exists(a, a.tool == r"pay")': 0,
    'session.actions.exists(a, a.tool == "p\\u0061y")': 0,
    'session.actions.exists(a, a.status == "ok" && a.tool == "pay")': 0,
    'session.actions.exists(a, a.tool != "pay" && a.status == "ok")': 0,
    'session.actions.exists(a, !(a.tool == "pay") && a.status == "ok")': 0,
    'session.actions.all(a, a.tool == "pay" && a.status == "ok")': 0,
    'size(session.actions.map(a, a.tool == "pay")) > 2': 0,
    "size(session.actions) > 2": 0,
    "session.actions[1].args.amount > 6": 0,
}


@given(st.sampled_from(sorted(OVER_ACTIONS)), ACTIONS)
def test_a_condition_over_the_actions_of_one_tool_says_what_it_says_over_all(source, actions):
    request = Request(
        "dec_1", Gate.INPUT, "local", "", SessionView("s", actions=actions), UtteranceSubject(""), (), 0
    )
    found = Variables(request, subject={}, facts={})
    condition = Condition(source)
    assert len(condition.shape.chosen) == OVER_ACTIONS[source]
    try:
        expected = cel.compile(source).execute(cel.Context({"session": found["session"].plain()}))
    except Exception:
        with pytest.raises(ConditionError):
            condition.value(Environment(found))
        return
    assert condition.value(Environment(found)) == expected
    # With other conditions' variables beside it, and over lists that are there already.
    together = Environment(
        found, Shape.of([Condition(one).shape for one in OVER_ACTIONS if OVER_ACTIONS[one]])
    )
    assert condition.value(together) == expected
    assert condition.value(Environment({"session": found["session"].plain()})) == expected


def test_the_actions_of_other_tools_are_not_even_read():
    actions = (
        PastAction("act_1", "look", "ok", 5, "no json"),
        PastAction("act_2", "pay", "ok", 5, '{"amount": 5}'),
    )
    request = Request(
        "dec_1", Gate.INPUT, "local", "", SessionView("s", actions=actions), UtteranceSubject(""), (), 0
    )
    found = Variables(request, subject={}, facts={})
    assert Condition('session.actions.exists(a, a.tool == "pay" && a.args.amount == 5)').holds(
        Environment(found)
    )
    with pytest.raises(InvalidInput, match="expected JSON"):
        Condition("session.actions.exists(a, a.args.amount == 5)").holds(Environment(found))


def test_a_missing_member_is_named_as_its_author_wrote_it():
    with pytest.raises(ConditionError, match=r"args\.amount"):
        Condition("args.amount > 5").value(Environment({"args": {}}))


def test_one_value_without_a_form_takes_only_the_conditions_that_read_it():
    values = {"args": {"far": object(), "near": 1}}
    environment = Environment(values)
    assert Condition("args.near == 1").holds(environment)
    with pytest.raises(ConditionError):
        Condition("args.far == 1").holds(environment)
    with pytest.raises(ConditionError):
        Environment(values, Shape.of([Condition("args.far == 1").shape, Condition("args.near == 1").shape]))


@pytest.mark.parametrize(
    "source", ["args.__a == 1", "args.a.exists(x__y, x__y == 1)", '"""a"args.b"c""" == args.c']
)
def test_names_and_texts_that_could_be_mistaken_stay_as_they_are(source):
    assert Condition(source).shape.flats == ()
