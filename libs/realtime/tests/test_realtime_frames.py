"""Raw frames: classification, audio length and splicing."""

import base64
import contextlib

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_realtime import MalformedFrameError, classify, peek, splice_ids

IDS = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=200))
def test_garbage_is_only_ever_a_malformed_frame(frame: bytes) -> None:
    with contextlib.suppress(MalformedFrameError):
        classify(frame)


@given(JSON)
def test_any_json_is_an_event_head_or_a_malformed_frame(value: object) -> None:
    try:
        head = classify(orjson.dumps(value))
    except MalformedFrameError:
        return
    assert isinstance(value, dict)
    assert head.type == value["type"]


def test_deep_nesting_is_a_malformed_frame() -> None:
    with pytest.raises(MalformedFrameError):
        classify(b'{"type":"x","y":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


@given(IDS, IDS, st.integers(0, 99), st.binary(max_size=400))
def test_a_head_has_the_ids_and_not_the_payload(
    response_id: str, item_id: str, index: int, audio: bytes
) -> None:
    frame = orjson.dumps(
        {
            "type": "response.output_audio.delta",
            "delta": base64.b64encode(audio).decode(),
            "response_id": response_id,
            "item_id": item_id,
            "output_index": index,
            "content_index": 0,
        }
    )
    head = classify(memoryview(frame))
    assert (head.response_id, head.item_id, head.output_index) == (response_id, item_id, index)
    assert not hasattr(head, "delta")


@given(st.binary(max_size=2_000), st.sampled_from(["audio", "delta"]), st.booleans())
def test_samples_are_counted_without_decoding(audio: bytes, field: str, escaped: bool) -> None:
    text = base64.b64encode(audio).decode()
    payload = text.replace("/", "\\/") if escaped else text
    frame = f'{{"type":"x","{field}":"{payload}"}}'.encode()
    assert peek(frame).samples() == len(audio) // 2
    assert peek(frame).samples(1) == len(audio)


@given(st.binary(max_size=2_000), st.sampled_from(["audio", "delta"]), st.booleans(), st.text(max_size=10))
def test_one_look_finds_head_and_samples(audio: bytes, field: str, escaped: bool, item_id: str) -> None:
    text = base64.b64encode(audio).decode()
    payload = text.replace("/", "\\/") if escaped else text
    rest = orjson.dumps({"item_id": item_id, "x": {field: "AAAA"}}).decode()[1:]
    frame = f'{{"type":"x","{field}":"{payload}",{rest}'.encode()
    head = peek(frame)
    assert (head.type, head.item_id) == ("x", item_id)
    assert head.samples() == len(audio) // 2
    assert head.samples(1) == len(audio)
    assert head.without_payload() == classify(frame)


@given(st.dictionaries(st.sampled_from(["type", "audio", "delta", "item_id"]), JSON))
def test_whatever_the_payload_is_it_is_the_same_head_and_has_samples_only_as_text(
    event: dict[str, object],
) -> None:
    frame = orjson.dumps(event)
    try:
        expected = classify(frame)
    except MalformedFrameError:
        with pytest.raises(MalformedFrameError):
            peek(frame)
        return
    head = peek(frame)
    assert head.without_payload() == expected
    payload = event.get("delta") if event.get("audio") is None else event["audio"]
    text = payload if isinstance(payload, str) else ""
    padding = 2 if text.endswith("==") else 1 if text.endswith("=") else 0
    assert head.samples() == (len(text) - padding) * 3 // 4 // 2


def test_a_frame_without_audio_has_no_samples() -> None:
    assert peek(b'{"type":"response.create"}').samples() == 0
    assert peek(b'{"type":"x","delta":{"a":1}}').samples() == 0


@given(st.binary(max_size=200), IDS, IDS, st.integers(0, 9))
def test_splicing_changes_ids_and_nothing_else(
    audio: bytes, item_id: str, response_id: str, index: int
) -> None:
    before = {
        "type": "response.output_audio.delta",
        "event_id": "event_1",
        "delta": base64.b64encode(audio).decode(),
        "item_id": "old",
        "response_id": "old",
        "output_index": 7,
        "extra": {"kept": [1, 2.5, None, "ä"]},
    }
    spliced = splice_ids(orjson.dumps(before), item_id=item_id, response_id=response_id, output_index=index)
    assert orjson.loads(spliced) == {
        **before,
        "item_id": item_id,
        "response_id": response_id,
        "output_index": index,
    }


def test_splicing_keeps_the_payload_byte_for_byte() -> None:
    frame = b'{"type":"response.output_audio.delta","delta":"AA\\/B+w==" , "item_id":"a"}'
    assert b'"delta":"AA\\/B+w=="' in splice_ids(frame, item_id="b")


@given(st.binary(max_size=100))
def test_splicing_and_counting_garbage_is_only_ever_a_malformed_frame(frame: bytes) -> None:
    for work in (lambda: splice_ids(frame, item_id="x"), lambda: peek(frame).samples()):
        with contextlib.suppress(MalformedFrameError):
            work()
