"""Small rules: retries, budget, concurrency, templates, messages, shaping, checks, plans."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from ringback_tools.domain.catalogue import (
    CheckRule,
    Condition,
    ConnectorSpec,
    RetryRule,
    SideEffect,
    Tool,
    find,
    visible,
)
from ringback_tools.domain.checking import Verdict, judge
from ringback_tools.domain.concurrency import Concurrency, after
from ringback_tools.domain.messages import clean_text, error_message, ok_message
from ringback_tools.domain.outcomes import (
    ActionState,
    OutcomeRecord,
    Permit,
    Plan,
    admitted,
    attempting,
    finished,
    plan,
)
from ringback_tools.domain.results import Answered, ErrorCode, Failed, Result, Status
from ringback_tools.domain.retrying import Again, RetryBudget, Stop, backoff_ms, decide, earn, spend
from ringback_tools.domain.shaping import TooLarge, shape
from ringback_tools.domain.templates import ABSENT, fill, say

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=12), inner, max_size=8),
    max_leaves=40,
)


def tool(name="get", version="1.0", **changes):
    fields = {
        "description": "",
        "side_effect": SideEffect.READ,
        "parameters": {"type": "object"},
        "connector": ConnectorSpec("http"),
        "retry": RetryRule(attempts_max=3, base_ms=100, cap_ms=1_000),
    }
    return Tool(name=name, version=version, **{**fields, **changes})


LOST = Failed(ErrorCode.TIMEOUT, retryable=True, in_doubt=True)


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_within_the_window(attempt, roll):
    rule = RetryRule(attempts_max=9, base_ms=100, cap_ms=1_000)
    assert 0 <= backoff_ms(rule, attempt=attempt, roll=roll) < min(1_000, 100 * 2 ** (attempt - 1)) + 1


@pytest.mark.parametrize(
    ("changes", "answer", "attempt", "remaining_ms", "reason"),
    [
        ({}, Answered(1), 1, 9_000, "answered"),
        ({}, Failed(ErrorCode.REJECTED), 1, 9_000, "not retryable"),
        ({}, Failed(ErrorCode.INTERNAL, retryable=True), 1, 9_000, "not retryable"),
        ({"side_effect": SideEffect.WRITE}, LOST, 1, 9_000, "not safe to repeat"),
        ({}, LOST, 3, 9_000, "attempts used up"),
        ({}, LOST, 1, 60, "deadline too near"),
        ({}, replace(LOST, retry_after_ms=9_000), 1, 8_000, "deadline too near"),
    ],
)
def test_what_is_not_repeated_and_why(changes, answer, attempt, remaining_ms, reason):
    decision = decide(tool(**changes), answer, attempt=attempt, remaining_ms=remaining_ms, roll=0.5)
    assert decision == Stop(reason)


def test_a_keyed_write_is_repeated_and_retry_after_wins_over_a_shorter_backoff():
    keyed = tool(side_effect=SideEffect.WRITE, key_field="Idempotency-Key")
    assert decide(keyed, LOST, attempt=1, remaining_ms=9_000, roll=0.5) == Again(50)
    busy = replace(LOST, retry_after_ms=400)
    assert decide(keyed, busy, attempt=1, remaining_ms=9_000, roll=0.5) == Again(400)


def test_the_budget_allows_a_share_of_the_calls_and_a_floor():
    budget, granted = RetryBudget(tokens=0.0), 0
    for now_ms in range(1, 101):
        budget, yes = spend(earn(budget), now_ms=now_ms)
        granted += yes
    assert granted == 20
    budget, yes = spend(structs.replace(budget, tokens=0.0), now_ms=6_000)
    assert yes


def test_concurrency_falls_at_once_and_rises_slowly_within_its_bounds():
    state = Concurrency(limit=10.0, limit_min=2, limit_max=12, slow_ms=0)
    lowered = after(state, congested=True, duration_ms=1, full=True, now_ms=0)
    assert lowered.slots == 7
    assert after(lowered, congested=True, duration_ms=1, full=True, now_ms=500) == lowered
    for now_ms in range(1_000, 20_000, 1_000):
        lowered = after(lowered, congested=True, duration_ms=1, full=True, now_ms=now_ms)
    assert (lowered.slots, lowered.limit) == (2, 2.0)
    for _ in range(500):
        lowered = after(lowered, congested=False, duration_ms=1, full=True, now_ms=99_000)
    assert lowered.slots == 12
    assert after(state, congested=False, duration_ms=1, full=False, now_ms=0) == state


def test_versions_side_by_side():
    tools = [tool(version="1.0"), tool(version="1.4"), tool(version="2.0"), tool("other")]
    assert find(tools, "get", version="1.0").version == "1.0"
    assert find(tools, "get", version="1.2").version == "1.4"
    assert find(tools, "get", version="3.0") is None
    assert find(tools, "get", version="").version == "2.0"
    assert find(tools, "none", version="1.0") is None


def test_an_agent_sees_its_own_tools_and_internal_ones_as_far_as_its_scopes_reach():
    tools = [tool("a"), tool("b"), tool("c", internal=True), tool("d", scopes=frozenset({"x"}))]
    own = {("a", "1.0"), ("d", "1.0")}
    assert [each.name for each in visible(tools, allowed=own, scopes=[])] == ["a", "c"]
    assert [each.name for each in visible(tools, allowed=own, scopes=["x"])] == ["a", "c", "d"]


@pytest.mark.parametrize("named", ["1.0", "2.0"])
def test_of_versions_side_by_side_an_agent_sees_the_one_it_names_and_of_internal_ones_the_newest(named):
    hidden = [tool("fact", version, internal=True) for version in ("1.10", "1.9")]
    seen = visible([tool(version="2.0"), tool(version="1.0"), *hidden], allowed={("get", named)}, scopes=[])
    assert [(each.name, each.version) for each in seen] == [("get", named), ("fact", "1.10")]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("Reservation {result.id|digits}", "Reservation 4 8 2"),
        ("on {result.day|date}", "on December 4"),
        ("{result.amount|money} back", "240 dollars back"),
        ("{result.one|money}", "1 dollar"),
        ("{result.cents|money}", "3 dollars and 50 cents"),
        ("in {result.cabin|words}", "in basic economy"),
        ("{result.list.1}", "b"),
        ("{result.missing}", None),
        ("{result.null}", None),
        ("{result.cabin|date}", None),
        ("{result.cabin|money}", None),
        ("{result.list}", None),
    ],
)
def test_templates_speak_values_for_the_ear_or_not_at_all(template, said):
    data = {
        "id": "482",
        "day": "2026-12-04",
        "amount": 240,
        "one": 1.0,
        "cents": "3.5",
        "currency": "USD",
        "cabin": "basic_economy",
        "list": ["a", "b"],
        "null": None,
    }
    assert say(template, {"result": data}) == said


def test_filling_keeps_types_and_drops_what_is_absent():
    scope = {"arguments": {"n": 3, "flag": False}}
    template = {
        "n": "{arguments.n}",
        "text": "x{arguments.n}",
        "gone": "{arguments.no}",
        "deep": ["{arguments.flag}"],
    }
    assert fill(template, scope) == {"n": 3, "text": "x3", "deep": [False]}
    assert fill("{arguments.no}", scope) is ABSENT


@given(st.text(max_size=300))
def test_other_systems_words_are_spoken_only_when_they_are_words(text):
    cleaned = clean_text(text)
    assert len(cleaned) <= 240
    assert not set(cleaned) & set("<>{}[]\\=`|\n\r\t\0")


@pytest.mark.parametrize(
    "text",
    [
        "Traceback (most recent call last): boom",
        "<html>no</html>",
        '{"error": 1}',
        "see https://internal.example/x",
        "KeyError: 'x'",
        "x" * 241,
        None,
        7,
    ],
)
def test_code_markup_and_addresses_are_never_spoken(text):
    assert clean_text(text) == ""


def test_messages_come_from_the_pack_then_the_system_then_in_general():
    declared = tool(error_messages={"not_found": "No {arguments.id|digits}."})
    assert error_message(declared, ErrorCode.NOT_FOUND, arguments={"id": "12"}, text="no!") == "No 1 2."
    assert error_message(declared, ErrorCode.NOT_FOUND, arguments={}, text="no!") == "no!"
    assert error_message(None, ErrorCode.REJECTED) == "The system did not accept that."
    assert ok_message(declared, {}, arguments={}) == ""


@given(JSON)
def test_shaped_data_fits_is_json_and_says_when_it_was_cut(data):
    try:
        shaped = shape(data, bytes_max=400)
    except TooLarge:
        assert len(orjson.dumps(data)) > 400
        return
    assert len(shaped.data_json.encode()) <= 400
    back = orjson.loads(shaped.data_json)
    if not shaped.truncated:
        assert type(back) is type(data)


def test_secrets_never_leave():
    data = {"user": {"password": "x", "api_key": "y", "name": "z"}, "list": [{"access_token": "t"}], "pin": 1}
    assert orjson.loads(shape(data, bytes_max=1_000).data_json) == {
        "user": {"password": "[redacted]", "api_key": "[redacted]", "name": "z"},
        "list": [{"access_token": "[redacted]"}],
        "pin": "[redacted]",
    }


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answered(None, status=200, body={"status": "cancelled"}), Verdict.DONE),
        (Answered(None, status=200, body={"status": "confirmed"}), Verdict.NOT_DONE),
        (Answered(None, status=200, body={"status": "odd"}), Verdict.SILENT),
        (Answered(None, status=200, body="garbage"), Verdict.SILENT),
        (Failed(ErrorCode.TOOL_UNAVAILABLE, status=503, body={"status": "cancelled"}), Verdict.SILENT),
        (Failed(ErrorCode.TIMEOUT), Verdict.SILENT),
    ],
)
def test_only_a_good_answer_of_a_check_decides(answer, verdict):
    rule = CheckRule(
        connector=ConnectorSpec("http"),
        done_when=Condition(path="status", equals=("cancelled",)),
        not_done_when=Condition(path="status", equals=("confirmed",)),
    )
    assert judge(rule, answer) is verdict


def test_a_condition_may_be_a_status():
    rule = CheckRule(
        connector=ConnectorSpec("http"),
        done_when=Condition(status=(200,)),
        not_done_when=Condition(status=(404,)),
    )
    assert judge(rule, Answered(None, status=200, body={})) is Verdict.DONE
    assert judge(rule, Failed(ErrorCode.NOT_FOUND, status=404)) is Verdict.NOT_DONE


RECORD = OutcomeRecord(
    tenant="t",
    session_id="s",
    action_id="a",
    epoch=1,
    tool="x",
    tool_version="1.0",
    arguments_json="{}",
    arguments_digest="d",
    pack_digest="p",
)
OK = Result(Status.OK)
UNKNOWN = Result(Status.UNKNOWN_OUTCOME, error_code=ErrorCode.UNKNOWN_OUTCOME)
MINE, BEFORE, OTHER = "r1#2", "r1#1", "r2#9"


def in_admission(owner):
    return admitted(RECORD, owner=owner, lease_ms=100, now_ms=0)


def in_attempt(owner):
    return attempting(RECORD, owner=owner, timeout_ms=100, now_ms=0)


@pytest.mark.parametrize(
    ("record", "permit", "now_ms", "step"),
    [
        (None, Permit.START, 0, Plan.START),
        (None, Permit.LEARN, 0, Plan.NOT_STARTED),
        (in_admission(OTHER), Permit.START, 99, Plan.WAIT),
        (in_admission(OTHER), Permit.START, 100, Plan.RESUME),
        (in_admission(BEFORE), Permit.START, 0, Plan.RESUME),
        (in_admission(MINE), Permit.START, 0, Plan.RESUME),
        (in_admission(BEFORE), Permit.LEARN, 0, Plan.NOT_STARTED),
        (in_attempt(OTHER), Permit.START, 99, Plan.WAIT),
        (in_attempt(BEFORE), Permit.START, 99, Plan.WAIT),
        (in_attempt(BEFORE), Permit.LEARN, 100, Plan.SETTLE),
        (finished(in_attempt(OTHER), OK, now_ms=1), Permit.LEARN, 1, Plan.RETURN),
        (finished(in_attempt(OTHER), UNKNOWN, now_ms=1), Permit.START, 1, Plan.SETTLE),
    ],
)
def test_what_is_done_about_a_record_that_is_found(record, permit, now_ms, step):
    assert plan(record, permit=permit, owner=MINE, now_ms=now_ms) is step


def test_a_known_outcome_is_final_and_an_unknown_one_is_not():
    known = finished(in_attempt(MINE), OK, now_ms=1)
    with pytest.raises(AssertionError):
        finished(known, UNKNOWN, now_ms=2)
    with pytest.raises(AssertionError):
        attempting(known, owner=MINE, timeout_ms=1, now_ms=2)
    doubtful = finished(in_attempt(MINE), UNKNOWN, now_ms=1)
    assert finished(doubtful, OK, now_ms=2).result is OK
    assert in_attempt(MINE).state is ActionState.ATTEMPTING
