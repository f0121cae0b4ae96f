"""Log lines are JSON, carry the trace, and hold no secret."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import SpanProcessor
from ringback_identity import ResumeToken, new_api_key, new_client_secret
from ringback_telemetry import names, redact, setup, setup_logging, span


@pytest.fixture
def lines():
    root = logging.getLogger()
    level, stream = root.level, io.StringIO()
    setup_logging("policy", "info", instance="policy-0", stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    for handler in [found for found in root.handlers if found.get_name() == "ringback"]:
        root.removeHandler(handler)
    root.setLevel(level)


def test_a_record_is_one_line_of_json_with_its_fields(lines):
    logging.getLogger("a.b").info("took\n%d ms", 7, extra={"tool": "pay", "parts": [1, {"k": 2.5}]})
    (line,) = lines()
    assert line["message"] == "took\n7 ms"
    assert line["service"] == "policy"
    assert line["instance"] == "policy-0"
    assert (line["level"], line["logger"]) == ("info", "a.b")
    assert (line["tool"], line["parts"]) == ("pay", [1, {"k": 2.5}])


def test_a_line_inside_a_span_carries_its_trace(lines):
    telemetry = setup("test", extra_processor=SpanProcessor())
    with span(names.Span.TURN) as turn:
        logging.getLogger("a").info("x")
    telemetry.shutdown()
    assert lines()[0]["trace_id"] == f"{turn.get_span_context().trace_id:032x}"
    assert lines()[0]["span_id"] == f"{turn.get_span_context().span_id:016x}"


def test_setting_up_twice_logs_once(lines):
    stream = io.StringIO()
    setup_logging("policy", "info", stream=stream)
    logging.getLogger("a").info("x")
    assert lines() == []
    assert len(stream.getvalue().splitlines()) == 1


def test_secrets_in_messages_fields_and_tracebacks_are_redacted(lines):
    key = new_api_key()
    log = logging.getLogger("a")
    try:
        raise ValueError(f"bad key {key}")
    except ValueError:
        log.exception("with %s", key, extra={"api_key": "x", "headers": {"Authorization": "abc"}, "k": key})
    text = json.dumps(lines())
    assert key not in text
    line = lines()[0]
    assert line["api_key"] == line["headers"]["Authorization"] == "[redacted]"
    assert "ValueError" in line["exception"]


def test_a_value_that_json_does_not_know_becomes_text(lines):
    logging.getLogger("a").info("x", extra={"path": object, "deep": [[[[[["end"]]]]]]})
    assert "object" in lines()[0]["path"]


@pytest.mark.parametrize(
    "fresh",
    [new_api_key, new_client_secret, lambda: ResumeToken.new(tenant="a-b")],
    ids=["key", "secret", "token"],
)
@pytest.mark.parametrize("around", ["{}", "got {}.", '"{}"', "/r/{}/v1/realtime", "Bearer {}", "a={}&b"])
def test_every_credential_of_ours_is_redacted_wherever_it_stands(fresh, around):
    secret = fresh()
    assert secret.split("_")[1] not in redact(around.format(secret))


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abcdefgh12345",
        "{'authorization': 'Basic dXNlcjpwYXNz'}",
        '"api_key": "abcdefgh"',
        "password=abcdefgh",
        "sk-proj-abcdefgh12345",
    ],
)
def test_credentials_of_others_are_redacted_by_their_form(text):
    found = redact(text)
    assert "[redacted]" in found
    assert "abcdefgh" not in found
    assert "dXNl" not in found


@pytest.mark.parametrize(
    "digits",
    ["4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "4111111111111112", "6011000990139424"],
)
def test_digit_runs_like_a_card_are_redacted_even_if_misheard(digits):
    assert redact(f"card {digits}, thanks") == "card [redacted], thanks"


@pytest.mark.parametrize(
    "text",
    [
        "at 1763800000000 ms",
        "at 1763800000000000000 ns",
        "order 12345678",
        "sha256:4111111111111111aaaa",
        "0.4111111111111111",
        "turn_a took 12 ms",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


@given(st.text())
def test_redacting_twice_changes_nothing_more(text):
    assert redact(redact(text)) == redact(text)
