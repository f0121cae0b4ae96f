"""What the entries of a record say: nothing that is as it always is, and all of it is read back."""

import msgspec
import pytest
from ringback_realtime import Item
from ringback_session.domain.rules import SideEffect
from ringback_session.domain.state import Action, HistoryItem

ENTRIES = {
    Action: {
        "action_id": "act_1",
        "tool": "add_note",
        "version": "1.0",
        "side_effect": SideEffect.WRITE,
        "arguments_json": "{}",
        "arguments_digest": "sha256:0",
        "ordinal": 1,
        "requested_at_ms": 1,
    },
    HistoryItem: {"item_id": "item_1", "kind": "message"},
    Item: {"id": "item_1", "type": "message"},
}


@pytest.mark.parametrize(("kind", "told"), ENTRIES.items())
def test_an_entry_of_a_record_says_only_what_is_not_as_always(kind, told):
    written = msgspec.msgpack.encode(kind(**told))
    assert msgspec.msgpack.decode(written) == told
    assert msgspec.msgpack.decode(written, type=kind) == kind(**told)


@pytest.mark.parametrize(("kind", "told"), ENTRIES.items())
def test_an_entry_that_an_older_release_spelled_out_is_the_same(kind, told):
    entry = kind(**told)
    spelled_out = msgspec.msgpack.encode({name: getattr(entry, name) for name in kind.__struct_fields__})
    assert msgspec.msgpack.decode(spelled_out, type=kind) == entry
