"""Members of variables given to the engine one by one mean what the whole objects mean."""

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_policy.domain.conditions import Condition, ConditionError, Environment
from ringback_policy.domain.shapes import Shape

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
