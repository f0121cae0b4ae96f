"""What rules may count of a call's actions: how many of each tool, and the sums of their numbers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_identity import digest
from ringback_session.domain.past_actions import NUMBERS_MAX, ORDINALS_KEPT, READ_KEPT, PastActions, Totals

values = st.one_of(st.booleans(), st.integers(-9, 9), st.floats(-9, 9), st.text(max_size=3), st.none())
arguments = st.dictionaries(st.sampled_from("abcd"), values, max_size=4)


def counted(actions):
    totals = Totals()
    for status, given_arguments in actions:
        text = json.dumps(given_arguments, sort_keys=True)
        totals.count(status, text, digest(text))
    return totals


@given(st.lists(st.tuples(st.sampled_from(["ok", "failed", "unknown", ""]), arguments), max_size=12))
def test_numbers_of_what_succeeded_are_added_up_however_often_they_are_asked_for(actions):
    expected = {}
    for status, given_arguments in actions:
        for name, value in given_arguments.items():
            if status == "ok" and isinstance(value, int | float) and not isinstance(value, bool):
                expected[name] = expected.get(name, 0.0) + value
    for _ in range(2):
        totals = counted(actions)
        assert totals.sums == pytest.approx(expected)
        assert totals.requested == len(actions)
        assert totals.succeeded == sum(status == "ok" for status, _ in actions)
        assert totals.failed == sum(status in ("failed", "unknown") for status, _ in actions)


def test_many_arguments_and_many_actions_are_counted_as_well():
    wide = {f"n{number}": 1 for number in range(NUMBERS_MAX + 1)}
    assert counted([("ok", wide)] * 3).sums == dict.fromkeys(wide, 3.0)
    actions = [("ok", {"n": number}) for number in range(READ_KEPT + 10)]
    assert counted(actions).sums == counted(actions).sums == {"n": sum(range(READ_KEPT + 10))}


def test_what_has_left_the_list_still_counts():
    past = PastActions()
    for amount in (1, 2):
        text = json.dumps({"amount": amount})
        past.drop("pay", digest(text), 1, status="ok", stands=True, arguments_json=text)
    assert past.totals["pay"] == Totals(requested=2, succeeded=2, sums={"amount": 3.0})


def test_ordinals_of_a_long_call_are_bounded():
    past = PastActions()
    for number in range(ORDINALS_KEPT + 10):
        text = json.dumps({"n": number})
        past.drop("pay", digest(text), 1, status="ok", stands=True, arguments_json=text)
    assert len(past.ordinals) == len(past.highest) == ORDINALS_KEPT
