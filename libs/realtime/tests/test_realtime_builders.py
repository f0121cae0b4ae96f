"""Every event we send, against the types of the ``openai`` package and our own reader."""

from collections.abc import Callable

import orjson
import pytest
from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from ringback_realtime import (
    EventIds,
    Item,
    ProtocolError,
    ServerEvents,
    SessionConfig,
    active_response,
    cancel_not_active,
    closes,
    commit_empty,
    decode_server_event,
    resolve_response,
    response_object,
    usage_object,
)
from ringback_realtime.items import ContentPart

ADAPTER: TypeAdapter[RealtimeServerEvent] = TypeAdapter(RealtimeServerEvent)
CONFIG = SessionConfig.defaults(id="sess_1", model="m", expires_at=1)
PARAMS = resolve_response({"metadata": {"k": "v"}}, CONFIG)
ITEM = Item(id="i", type="message", role="user", content=(ContentPart("input_audio"),)).to_wire()
CALL = Item(id="c", type="function_call", call_id="call_1", name="n", arguments="{}").to_wire()
WHERE = {"item_id": "i", "output_index": 0}
LOGPROBS = [{"token": "hi", "logprob": -0.1, "bytes": [104, 105]}]


def done(status: str, **fields: object) -> dict[str, object]:
    return response_object(
        "resp_1",
        params=PARAMS,
        config=CONFIG,
        conversation_id="conv_1",
        status=status,  # type: ignore[arg-type]
        output=[CALL],
        usage=usage_object(input_text_tokens=3, output_audio_tokens=4),
        **fields,  # type: ignore[arg-type]
    )


BUILDS: list[Callable[[ServerEvents], bytes]] = [
    lambda e: e.error(active_response("resp_1").for_event("e1")),
    lambda e: e.session_created(CONFIG),
    lambda e: e.session_updated(CONFIG),
    lambda e: e.item_added(ITEM, previous_item_id=None),
    lambda e: e.item_done(CALL, previous_item_id="i"),
    lambda e: e.item_retrieved(ITEM),
    lambda e: e.item_deleted("i"),
    lambda e: e.item_truncated("i", content_index=0, audio_end_ms=0),
    lambda e: e.transcription_delta("i", delta="hi", logprobs=LOGPROBS),
    lambda e: e.transcription_completed("i", transcript="hi", seconds=1.5, logprobs=LOGPROBS),
    lambda e: e.transcription_completed("i", transcript="", seconds=0.2),
    lambda e: e.transcription_failed("i", code="x", message="y"),
    lambda e: e.committed("i", previous_item_id=None),
    lambda e: e.cleared(),
    lambda e: e.speech_started("i", audio_start_ms=0),
    lambda e: e.speech_stopped("i", audio_end_ms=9),
    lambda e: e.timeout_triggered("i", audio_start_ms=0, audio_end_ms=9),
    lambda e: e.response_created(
        response_object("r", params=PARAMS, config=CONFIG, conversation_id="conv_1")
    ),
    lambda e: e.response_done(done("completed")),
    lambda e: e.response_done(done("cancelled", reason="turn_detected")),
    lambda e: e.response_done(done("failed", error={"type": "server_error", "code": "c", "message": "m"})),
    lambda e: e.output_item_added("r", output_index=0, item=ITEM),
    lambda e: e.output_item_done("r", output_index=0, item=CALL),
    lambda e: e.part_added("r", part={"type": "audio", "transcript": ""}, **WHERE),  # type: ignore[arg-type]
    lambda e: e.part_done("r", part={"type": "text", "text": "x"}, **WHERE),  # type: ignore[arg-type]
    lambda e: e.text_delta("r", delta="x", **WHERE),  # type: ignore[arg-type]
    lambda e: e.text_done("r", text="x", **WHERE),  # type: ignore[arg-type]
    lambda e: e.audio_delta("r", audio=b"\0\0", **WHERE),  # type: ignore[arg-type]
    lambda e: e.audio_done("r", **WHERE),  # type: ignore[arg-type]
    lambda e: e.transcript_delta("r", delta="x", **WHERE),  # type: ignore[arg-type]
    lambda e: e.transcript_done("r", transcript="x", **WHERE),  # type: ignore[arg-type]
    lambda e: e.arguments_delta("r", call_id="call_1", delta="{", **WHERE),  # type: ignore[arg-type]
    lambda e: e.arguments_done("r", call_id="call_1", name="n", arguments="{}", **WHERE),  # type: ignore[arg-type]
    lambda e: e.rate_limits_updated([{"name": "requests", "limit": 9, "remaining": 8, "reset_seconds": 1.0}]),
]


@pytest.mark.parametrize("build", BUILDS)
def test_every_event_validates_strictly_and_reads_back(build: Callable[[ServerEvents], bytes]) -> None:
    frame = build(ServerEvents(EventIds(1)))
    event = orjson.loads(frame)
    assert event["event_id"]
    assert type(ADAPTER.validate_json(frame)).model_fields["type"].annotation.__args__ == (event["type"],)
    assert decode_server_event(frame).__struct_config__.tag == event["type"]


def test_a_created_response_echoes_metadata_and_has_no_usage_yet() -> None:
    response = response_object("r", params=PARAMS, config=CONFIG, conversation_id=None)
    assert (response["metadata"], response["usage"], response["status_details"]) == ({"k": "v"}, None, None)
    assert response["conversation_id"] is None


def test_the_usage_adds_up_and_has_both_details() -> None:
    usage = usage_object(
        input_text_tokens=1, input_audio_tokens=2, output_text_tokens=3, output_audio_tokens=4
    )
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (3, 7, 10)
    assert usage["input_token_details"]["cached_tokens_details"]["audio_tokens"] == 0


def test_errors_have_the_wording_that_clients_match_on() -> None:
    assert cancel_not_active().message.startswith("Cancellation failed")
    assert "resp_9" in active_response("resp_9").message
    assert "at least 100ms" in commit_empty(12.5).message
    wire = ProtocolError("c", "m", "p", event_id="e").to_wire()
    assert wire == {
        "type": "invalid_request_error",
        "code": "c",
        "message": "m",
        "param": "p",
        "event_id": "e",
    }


@pytest.mark.parametrize(
    ("limit_ms", "said"),
    [
        (3_600_000, "60 minutes"),
        (60_000, "1 minute"),
        (1_000, "1 second"),
        (90_000, "90 seconds"),
        (86_400_000, "1440 minutes"),
    ],
)
def test_an_expired_session_is_told_its_own_limit(limit_ms: int, said: str) -> None:
    close = closes.session_expired(limit_ms)
    assert close == (1001, f"Your session hit the maximum duration of {said}.")


def test_close_reasons_fit_a_close_frame() -> None:
    for close in (closes.SLOW_READER, closes.session_expired(3_600_000), closes.FRAME_TOO_BIG, closes.BUSY):
        assert len(close.reason.encode()) <= 123
    assert closes.invalid_request("invalid_api_key") == (3000, "invalid_request_error.invalid_api_key")
    assert closes.invalid_request("invalid_model").code == 4000
