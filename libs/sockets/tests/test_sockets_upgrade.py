"""Reading upgrade requests, whatever is in them."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from picows import WSUpgradeRequest
from ringback_sockets import RealtimeLink, accepted, read_upgrade, refusal


def request(path: str | bytes = "/v1/realtime", **headers: str) -> WSUpgradeRequest:
    made = WSUpgradeRequest()
    made.method, made.version = b"GET", b"HTTP/1.1"
    made.path = path if isinstance(path, bytes) else path.encode()
    made.headers = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return made


def test_path_and_model_are_read() -> None:
    upgrade = read_upgrade(request("/p/air%6Cine/v1/realtime/?x=1&model=gpt%2Drealtime", Upgrade="WebSocket"))
    assert (upgrade.path, upgrade.model) == ("/p/airline/v1/realtime", "gpt-realtime")
    assert upgrade.websocket
    assert read_upgrade(request()).model is None
    assert read_upgrade(request()).intent is None
    assert read_upgrade(request("/v1/realtime?intent=transcription")).intent == "transcription"


def test_a_key_comes_in_the_header_or_the_subprotocol() -> None:
    offered = "realtime, openai-insecure-api-key.rb_2, openai-agents-sdk.0.20"
    assert read_upgrade(request(Authorization="Bearer rb_1")).key == "rb_1"
    assert read_upgrade(request(Authorization="bearer  rb_1 ")).key == "rb_1"
    assert read_upgrade(request(Sec_WebSocket_Protocol=offered)).key == "rb_2"
    both = request(Authorization="Bearer rb_1", Sec_WebSocket_Protocol=offered)
    assert read_upgrade(both).key == "rb_1"
    for header in ("Basic rb_1", "Bearer", "Bearer  ", "rb_1"):
        assert read_upgrade(request(Authorization=header)).key is None


def test_a_key_is_in_no_description_of_a_request() -> None:
    assert "rb_1" not in repr(read_upgrade(request(Authorization="Bearer rb_1")))


def test_realtime_is_selected_exactly_when_it_was_offered() -> None:
    for offered, selected in (
        ("realtime, openai-insecure-api-key.rb_2", "realtime"),
        ("openai-insecure-api-key.rb_2", None),
        ("realtime2", None),
        ("", None),
    ):
        upgrade = read_upgrade(request(Sec_WebSocket_Protocol=offered))
        answer = accepted(upgrade, RealtimeLink(), headers={"X-Other": "1"}).response
        assert answer.headers.get("Sec-WebSocket-Protocol") == selected
        assert answer.headers["X-Other"] == "1"


def test_a_refusal_has_the_shape_of_the_protocols_errors() -> None:
    from http import HTTPStatus

    answer = refusal(HTTPStatus.UNAUTHORIZED, code="invalid_api_key", message="No.", retry_after_s=3).response
    assert answer.headers["Retry-After"] == "3"
    assert orjson.loads(answer.body) == {
        "error": {"type": "invalid_request_error", "code": "invalid_api_key", "message": "No."}
    }


@given(
    st.binary(max_size=200)
    | st.sampled_from([b"//[::1/x", b"http://[x", b"%", b"?model", b"?" + b"&" * 500]),
    st.dictionaries(
        st.sampled_from(
            ["authorization", "sec-websocket-protocol", "upgrade", "openai-beta", "host", "x-other"]
        ),
        st.text(max_size=80),
        max_size=6,
    ),
)
def test_no_request_makes_reading_fail(path: bytes, headers: dict[str, str]) -> None:
    made = request(path)
    made.headers = CIMultiDict(headers)
    upgrade = read_upgrade(made)
    assert isinstance(upgrade.path, str)
    assert upgrade.key is None or upgrade.key.strip()
    assert upgrade.model is None or len(upgrade.model) <= 128
