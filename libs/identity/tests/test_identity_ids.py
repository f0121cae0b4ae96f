"""Ids, tokens and keys have the forms that the rest of the system relies on."""

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import InvalidInput
from ringback_identity import (
    ResumeToken,
    action_id,
    derive_id,
    hash_key,
    key_matches,
    new_api_key,
    new_client_secret,
    new_id,
)

FORM = re.compile(r"[a-z]+_[a-z2-7]{26}")


def test_ids_have_one_form_and_do_not_repeat():
    ids = {new_id("sess") for _ in range(1000)}
    assert len(ids) == 1000
    assert all(FORM.fullmatch(found) for found in ids)
    assert new_id("turn_").startswith("turn_")
    assert not new_id("turn_").startswith("turn__")


def test_a_derived_id_depends_on_every_part_and_on_nothing_else():
    assert derive_id("act", "a", 1) == derive_id("act_", "a", 1)
    others = {
        derive_id("act", *parts) for parts in [("a", 1), ("a", "1"), ("a1",), ("a", 1, ""), ("", "a", 1)]
    }
    assert len(others) == 5
    assert all(FORM.fullmatch(found) for found in others)


@given(st.lists(st.text(st.characters(codec="utf-8")) | st.integers(), max_size=4))
def test_a_derived_id_is_the_base32_of_a_hash_as_every_release_writes_it(parts):
    framed = b"".join(
        kind + len(data).to_bytes(4, "big") + data
        for kind, data in (
            (b"s", p.encode()) if isinstance(p, str) else (b"i", str(p).encode()) for p in parts
        )
    )
    expected = base64.b32encode(hashlib.sha256(framed).digest()).decode().lower()[:26]
    assert derive_id("dec_", *parts) == f"dec_{expected}"


def test_an_action_repeated_is_the_same_action_and_on_purpose_another():
    parts = {"session_id": "sess_a", "tool": "pay", "major_version": 1, "arguments_digest": "sha256:00"}
    assert action_id(ordinal=1, **parts) == action_id(ordinal=1, **parts)
    assert action_id(ordinal=2, **parts) != action_id(ordinal=1, **parts)
    assert action_id(ordinal=1, **parts).startswith("act_")


def test_a_resume_token_carries_its_tenant_into_its_hash():
    token = ResumeToken.new(tenant="acme")
    assert ResumeToken.tenant_of(token) == "acme"
    assert len(ResumeToken.hash_of(token)) == 32
    assert ResumeToken.hash_of(token) != ResumeToken.hash_of(token.replace("acme", "evil"))
    assert ResumeToken.new() != ResumeToken.new()


@pytest.mark.parametrize("text", ["", "rb_abc", "rt_acme", "rt_ACME.aaaaaaaaaaaaaaaaaaaaaaaaaa", "rt_a.b"])
def test_what_is_no_resume_token_has_no_tenant(text):
    assert ResumeToken.tenant_of(text) is None


def test_a_token_for_no_tenant_slug_is_refused():
    with pytest.raises(InvalidInput) as caught:
        ResumeToken.new(tenant="a b")
    assert caught.value.field == "tenant"


def test_only_the_key_itself_matches_its_hash():
    key = new_api_key()
    assert key.startswith("rb_")
    assert new_client_secret().startswith("ek_")
    assert hash_key(key).startswith("sha256:")
    assert key not in hash_key(key)
    assert key_matches(key, hash_key(key))
    assert not key_matches(key + "x", hash_key(key))
