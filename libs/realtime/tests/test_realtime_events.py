"""Typed events of both directions."""

import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_realtime import (
    CLIENT_EVENT_TYPES,
    SERVER_EVENT_TYPES,
    EventIds,
    ProtocolError,
    UnknownEvent,
    client_events,
    decode_client_event,
    decode_server_event,
    server_events,
)


def decoded(frame: bytes) -> client_events.ClientEvent | ProtocolError:
    try:
        return decode_client_event(frame)
    except ProtocolError as error:
        return error


def test_all_eleven_client_events_are_known() -> None:
    assert len(CLIENT_EVENT_TYPES) == 11


@given(st.binary(max_size=120))
def test_a_client_frame_of_garbage_is_only_ever_a_protocol_error(frame: bytes) -> None:
    result = decoded(frame)
    if isinstance(result, ProtocolError):
        assert result.code in {"invalid_event", "invalid_value", "missing_required_parameter"}


@given(
    st.sampled_from((*CLIENT_EVENT_TYPES, "nonsense")),
    st.dictionaries(
        st.sampled_from(["item_id", "audio", "session", "item", "content_index", "audio_end_ms", "event_id"]),
        st.none() | st.integers(-5, 5) | st.text(max_size=5) | st.just({}),
    ),
)
def test_a_client_event_with_any_fields_decodes_or_names_what_is_wrong(
    kind: str, fields: dict[str, object]
) -> None:
    result = decoded(orjson.dumps({"type": kind, **fields}))
    if isinstance(result, ProtocolError):
        assert result.message
    else:
        assert result.__struct_config__.tag == kind


def test_unknown_client_types_are_named_and_echo_the_event_id() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_client_event(b'{"type":"session.upgrade","event_id":"e1"}')
    assert (caught.value.code, caught.value.param, caught.value.event_id) == ("invalid_value", "type", "e1")


def test_a_missing_field_is_named_and_echoes_the_event_id() -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_client_event(b'{"type":"conversation.item.truncate","event_id":"e2","item_id":"i"}')
    assert caught.value.code == "missing_required_parameter"
    assert (caught.value.param, caught.value.event_id) == ("content_index", "e2")


def test_a_field_of_a_wrong_type_is_named_and_echoes_the_event_id() -> None:
    frame = b'{"type":"conversation.item.truncate","event_id":"e3","item_id":"i","content_index":"x","audio_end_ms":1}'
    with pytest.raises(ProtocolError) as caught:
        decode_client_event(frame)
    assert (caught.value.code, caught.value.param, caught.value.event_id) == (
        "invalid_value",
        "content_index",
        "e3",
    )


def test_extra_keys_and_nulls_of_clients_are_tolerated() -> None:
    event = decode_client_event(
        b'{"type":"response.create","event_id":null,"response":null,"vendor":{"a":1}}'
    )
    assert event == client_events.ResponseCreate()


def test_a_server_event_of_an_unknown_type_is_passed_by() -> None:
    event = decode_server_event(b'{"type":"response.sparkle","event_id":"e","item_id":"i"}')
    assert isinstance(event, UnknownEvent)
    assert (event.head.type, event.head.item_id) == ("response.sparkle", "i")


def test_extra_keys_of_servers_are_tolerated() -> None:
    event = decode_server_event(
        b'{"type":"response.output_text.delta","event_id":"e","response_id":"r","output_index":0,"item_id":"i",'
        b'"content_index":0,"delta":"hi","obfuscation":"zz"}'
    )
    assert isinstance(event, server_events.OutputTextDelta)
    assert event.delta == "hi"


@given(st.sampled_from(SERVER_EVENT_TYPES), st.binary(max_size=60))
def test_server_garbage_is_only_ever_a_protocol_error(kind: str, tail: bytes) -> None:
    for frame in (tail, orjson.dumps({"type": kind, "item": 3, "delta": tail.hex()})):
        with contextlib.suppress(ProtocolError):
            decode_server_event(frame)


def test_ids_repeat_with_their_seed_and_never_within_it() -> None:
    one, other = EventIds(7), EventIds(7)
    made = [one.item() for _ in range(1_000)]
    assert made == [other.item() for _ in range(1_000)]
    assert len(set(made)) == 1_000
    assert made[0] != EventIds(8).item()
    assert len(EventIds(7).call()) <= 32


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (
            b'"type":"session.update","session":{"prompt":{"variables":{"x":%d}}}',
            "session.prompt.variables.x",
        ),
        (b'"type":"conversation.item.create","item":{"content":[{"n":-%d}]}', "item.content[0].n"),
        (b'"type":"response.create","response":{"tools":[{},{"n":[%d]}]}', "response.tools[1].n[0]"),
    ],
)
def test_a_number_that_cannot_be_passed_on_is_named_by_its_path(body: bytes, param: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_client_event(b'{"event_id":"e1",' + body % 2**70 + b"}")
    assert (caught.value.code, caught.value.param, caught.value.event_id) == ("invalid_value", param, "e1")
    decode_client_event(b"{" + body % 2**63 + b"}")


def test_long_rows_of_digits_in_text_are_no_numbers() -> None:
    frame = b'{"type":"conversation.item.create","item":{"id":"12345678901234567890123"}}'
    assert decode_client_event(frame).item["id"] == "1" + "2345678901" * 2 + "23"  # type: ignore[union-attr]
