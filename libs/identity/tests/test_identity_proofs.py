"""A proof holds for exactly the action it was signed for, and for no other."""

import json
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import ConfigError, Forbidden
from ringback_identity import MacKeys
from ringback_identity.ids import framed

ACTION = {
    "tenant": "local",
    "session_id": "sess_a",
    "action_id": "act_a",
    "tool": "cancel",
    "tool_version": "1.2",
    "arguments_digest": "sha256:00",
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "mac.json"
    MacKeys.generate(path)
    return path


def signed(keys, **changes):
    decision = {"decision_id": "dec_a", "consent_id": "con_a", "expires_at_ms": 1000}
    return keys.sign(**{**ACTION, **decision, **changes})


def test_a_proof_holds_for_its_action_until_it_expires(path):
    keys = MacKeys.load(path)
    proof = signed(keys)
    keys.verify(proof, now_ms=999, **ACTION)
    with pytest.raises(Forbidden, match="expired"):
        keys.verify(proof, now_ms=1000, **ACTION)


@pytest.mark.parametrize("part", list(ACTION))
def test_a_proof_is_refused_for_any_other_action(path, part):
    keys = MacKeys.load(path)
    with pytest.raises(Forbidden, match="does not belong") as caught:
        keys.verify(signed(keys), now_ms=0, **{**ACTION, part: "other"})
    assert caught.value.field == "proof.mac"


@pytest.mark.parametrize(
    "change", [{"decision_id": "dec_b"}, {"consent_id": ""}, {"expires_at_ms": 10**15}, {"mac": b""}]
)
def test_a_proof_whose_own_parts_were_changed_is_refused(path, change):
    keys = MacKeys.load(path)
    with pytest.raises(Forbidden):
        keys.verify(replace(signed(keys), **change), now_ms=0, **ACTION)


def test_a_proof_of_an_unknown_key_is_refused_without_naming_keys(path, tmp_path):
    MacKeys.generate(tmp_path / "other.json")
    theirs, ours = MacKeys.load(tmp_path / "other.json"), MacKeys.load(path)
    with pytest.raises(Forbidden, match="key is not known") as caught:
        ours.verify(signed(theirs), now_ms=0, **ACTION)
    assert "mac_" not in str(caught.value)


def test_a_running_process_follows_a_rotation_and_keeps_the_key_before(path):
    keys = MacKeys.load(path)
    first = signed(keys)
    MacKeys.rotate(path)
    second = signed(keys)
    assert second.key_id != first.key_id
    keys.verify(first, now_ms=0, **ACTION)
    MacKeys.rotate(path)
    keys.verify(second, now_ms=0, **ACTION)
    with pytest.raises(Forbidden, match="key is not known"):
        keys.verify(first, now_ms=0, **ACTION)


def test_a_broken_new_file_leaves_the_keys_that_were(path):
    keys = MacKeys.load(path)
    proof = signed(keys)
    path.write_text("half")
    keys.verify(proof, now_ms=0, **ACTION)
    assert "expected" in (keys.reload_error or "")
    path.unlink()
    keys.verify(proof, now_ms=0, **ACTION)


def test_generated_keys_are_private_and_never_overwritten(path):
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        MacKeys.generate(path)
    assert [entry.name for entry in path.parent.iterdir()] == ["mac.json"]


def test_neither_key_nor_mac_shows_in_a_repr(path):
    keys = MacKeys.load(path)
    secret = next(iter(json.loads(path.read_text())["keys"].values()))
    proof = signed(keys)
    assert secret not in repr(keys)
    assert repr(proof.mac) not in repr(proof)


KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "expected"),
        ("[]", "expected"),
        ('{"current":"a","keys":{}}', "one or two keys"),
        (json.dumps({"current": "a", "keys": {"a": KEY, "b": KEY, "c": KEY}}), "one or two keys"),
        (json.dumps({"current": "x", "keys": {"a": KEY}}), "name one of the keys"),
        (json.dumps({"current": "a", "keys": {"a": "QUFB"}}), "at least 32 bytes"),
        (json.dumps({"current": "a", "keys": {"a": "***"}}), "expected"),
    ],
)
def test_a_wrong_key_file_is_explained(tmp_path, content, expected):
    path = tmp_path / "k.json"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=expected) as caught:
        MacKeys.load(path)
    assert "QUFB" not in str(caught.value)


def test_a_key_file_that_others_may_read_is_refused(path):
    os.chmod(path, 0o640)
    with pytest.raises(ConfigError, match="0600"):
        MacKeys.load(path)


def test_an_absent_key_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.json"):
        MacKeys.load(tmp_path / "none.json")


PARTS = st.lists(st.text() | st.integers() | st.binary(), max_size=4)


@given(PARTS, PARTS)
def test_different_parts_never_frame_alike(left, right):
    same = [type(x) for x in left] == [type(x) for x in right] and left == right
    assert (framed(*left) == framed(*right)) == same
