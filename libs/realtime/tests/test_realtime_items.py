"""Items: what a client may create, and the list they stand in."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_realtime import ROOT, Item, ItemList, ProtocolError, check_truncation, decode_audio, parse_item


def parse(data: Any) -> Item:
    return parse_item(data, fresh_id="item_f", fresh_call_id="call_f")


def message(role: str = "user", **part: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [part or {"type": "input_text", "text": "hi"}]}


def plain(item_id: str) -> Item:
    return Item(id=item_id, type="message", role="user")


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        (3, "invalid_value", "item"),
        ({}, "missing_required_parameter", "item.type"),
        ({"type": "song"}, "invalid_value", "item.type"),
        ({"type": "message"}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "pilot", "content": []}, "invalid_value", "item.role"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        (message("user", type="output_text", text="x"), "invalid_value", "item.content[0].type"),
        (message("assistant", type="text", text="x"), "invalid_value", "item.content[0].type"),
        (
            message("assistant", type="output_audio", audio="AA=="),
            "missing_required_parameter",
            "item.content[0].text",
        ),
        (message("user", type="input_audio", audio="?"), "invalid_value", "item.content[0].audio"),
        (message("user", type="input_text", text=4), "invalid_value", "item.content[0].text"),
        ({"type": "function_call", "name": "n"}, "missing_required_parameter", "item.arguments"),
        ({"type": "function_call_output", "output": "x"}, "missing_required_parameter", "item.call_id"),
        ({"type": "function_call_output", "call_id": "a b", "output": "x"}, "invalid_value", "item.call_id"),
        ({**message(), "id": "x" * 65}, "invalid_value", "item.id"),
    ],
)
def test_what_is_wrong_with_an_item_is_named_by_its_path(data: Any, code: str, param: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse(data)
    assert (caught.value.code, caught.value.param) == (code, param)


def test_an_assistants_text_may_be_created_and_its_id_is_kept() -> None:
    item = parse({**message("assistant", type="output_text", text="Hello."), "id": "mine"})
    assert item.to_wire() == {
        "id": "mine",
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello."}],
    }


def test_audio_leaves_only_on_request_and_its_transcript_key_always() -> None:
    item = parse(message("user", type="input_audio", audio="AAAA"))
    assert item.to_wire()["content"] == [{"type": "input_audio", "transcript": None}]
    assert item.to_wire(with_audio=True)["content"] == [
        {"type": "input_audio", "audio": "AAAA", "transcript": None}
    ]


def test_a_call_without_ids_gets_fresh_ones() -> None:
    item = parse({"type": "function_call", "name": "n", "arguments": "{}"})
    assert (item.id, item.call_id) == ("item_f", "call_f")


@given(
    st.lists(st.tuples(st.sampled_from(["root", "end", "after", "delete"]), st.integers(0, 20)), max_size=40)
)
def test_the_list_orders_like_a_plain_list(steps: list[tuple[str, int]]) -> None:
    items, model = ItemList(), list[str]()
    for count, (step, place) in enumerate(steps):
        item_id = f"i{count}"
        if step == "delete" and model:
            items.delete(model.pop(place % len(model)))
            continue
        if step == "root":
            model.insert(0, item_id)
            assert items.insert(plain(item_id), previous_item_id=ROOT) is None
            continue
        after = model[place % len(model)] if step == "after" and model else None
        index = model.index(after) + 1 if after else len(model)
        model.insert(index, item_id)
        assert items.insert(plain(item_id), previous_item_id=after) == (model[index - 1] if index else None)
    assert [item.id for item in items] == model
    assert [items.previous_id(item_id) for item_id in model] == [None, *model][: len(model)]


def test_the_list_refuses_what_does_not_fit() -> None:
    items = ItemList(items_max=2)
    items.insert(plain("a"))
    for item, previous, code in [
        (plain("a"), None, "invalid_value"),
        (plain("b"), "nowhere", "invalid_value"),
        (Item(id="o", type="function_call_output", call_id="c", output="x"), None, "invalid_tool_call_id"),
    ]:
        with pytest.raises(ProtocolError) as caught:
            items.insert(item, previous_item_id=previous)
        assert caught.value.code == code
    items.insert(plain("b"))
    with pytest.raises(ProtocolError) as full:
        items.insert(plain("c"))
    assert full.value.code == "too_many_items"
    assert len(items) == 2


def test_a_full_list_that_may_drop_lets_its_oldest_item_go_but_no_open_call() -> None:
    dropped: list[str] = []
    items = ItemList(items_max=3, on_drop=dropped.append)
    items.insert(Item(id="f", type="function_call", call_id="c", name="n", arguments="{}"))
    for item_id in ("a", "b"):
        items.insert(plain(item_id))
    assert items.insert(plain("d")) == "b"
    assert (dropped, [item.id for item in items]) == (["a"], ["f", "b", "d"])
    items.insert(Item(id="o", type="function_call_output", call_id="c", output="x"))
    items.insert(plain("e"))
    assert (dropped, [item.id for item in items]) == (["a", "f", "b"], ["d", "o", "e"])


def test_a_list_of_open_calls_alone_is_bounded_too() -> None:
    items = ItemList(items_max=3, on_drop=lambda item_id: None)
    for number in range(9):
        items.insert(
            Item(id=f"f{number}", type="function_call", call_id=f"c{number}", name="n", arguments="{}")
        )
    assert len(items) == 3


def test_an_item_is_put_behind_the_oldest_though_the_list_is_full() -> None:
    items = ItemList(items_max=3, on_drop=lambda item_id: None)
    for item_id in ("a", "b", "c"):
        items.insert(plain(item_id))
    assert items.insert(plain("d"), previous_item_id="a") == "a"
    assert [item.id for item in items] == ["a", "d", "c"]


@pytest.mark.parametrize("action", ["delete", "retrieve"])
def test_an_unknown_id_is_an_error_of_the_action(action: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        getattr(ItemList(), action)("x")
    assert caught.value.code == f"item_{action}_invalid_item_id"


def test_truncation_is_checked_against_the_audio_there_is() -> None:
    spoken = Item(id="s", type="message", role="assistant", status="in_progress")

    def check(item: Item | None, *, end: int, audio_ms: int | None = 500, index: int = 0) -> str:
        try:
            check_truncation(item, item_id="s", content_index=index, audio_end_ms=end, audio_ms=audio_ms)
        except ProtocolError as error:
            return error.code
        return "ok"

    assert check(spoken, end=0) == check(spoken, end=500) == "ok"
    assert check(spoken, end=501) == check(spoken, end=-1) == check(spoken, end=1, index=1) == "invalid_value"
    assert check(None, end=0) == "item_truncate_invalid_item_id"
    assert check(plain("s"), end=0) == check(spoken, end=0, audio_ms=None) == "unsupported_content_type"


@given(st.binary(max_size=64).filter(lambda pcm: len(pcm) % 2 == 0))
def test_audio_round_trips(pcm: bytes) -> None:
    import base64

    assert decode_audio(base64.b64encode(pcm).decode()) == pcm


@pytest.mark.parametrize("text", ["A", "AAA", "=AAA", "AA==AA==", "AA\n==", "AA=="])
def test_audio_that_is_no_whole_samples_is_refused(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_audio(text)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "audio")
