"""Canonical arguments: one text for one meaning, and errors that name the field without its value."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import InvalidInput
from ringback_identity import canonical_arguments, canonical_json, digest

SCHEMA = {
    "type": "object",
    "properties": {
        "seat": {"type": "string", "enum": ["aisle", "window"]},
        "bags": {"type": "integer", "minimum": 0, "default": 1.0},
        "birth": {"type": "string", "format": "date"},
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
        "options": {"type": "object", "properties": {"insured": {"default": False}}, "default": {}},
    },
    "required": ["seat"],
    "additionalProperties": False,
    "$defs": {
        "person": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "adult": {"default": True}},
            "required": ["name"],
        }
    },
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)


def test_defaults_are_filled_keys_sorted_and_numbers_normalised():
    found = canonical_arguments('{"seat": "aisle", "people": [{"name": "Ada"}]}', SCHEMA)
    assert (
        found.json
        == '{"bags":1,"options":{"insured":false},"people":[{"adult":true,"name":"Ada"}],"seat":"aisle"}'
    )
    assert found.digest == digest(found.json)
    assert found.digest.startswith("sha256:")


def test_text_and_mapping_of_the_same_meaning_have_the_same_digest():
    texts = ['{"bags":1.0,"seat":"aisle"}', ' {"seat" : "ais\\u006ce", "bags": 1}', '{"seat":"aisle"}']
    digests = {canonical_arguments(text, SCHEMA).digest for text in texts}
    digests.add(canonical_arguments({"seat": "aisle", "bags": 1}, SCHEMA).digest)
    assert len(digests) == 1


def test_the_callers_mapping_and_the_schema_stay_as_they_were():
    arguments: dict[str, object] = {"seat": "aisle", "people": [{"name": "Ada"}]}
    before, schema = json.dumps(arguments), json.dumps(SCHEMA)
    canonical_arguments(arguments, SCHEMA)
    assert (json.dumps(arguments), json.dumps(SCHEMA)) == (before, schema)


@pytest.mark.parametrize(
    ("arguments", "field", "expected"),
    [
        ({}, "arguments.seat", "missing"),
        ({"seat": 7}, "arguments.seat", "expected string"),
        ({"seat": "wing"}, "arguments.seat", '["aisle","window"]'),
        ({"seat": "aisle", "bags": -1}, "arguments.bags", "minimum of 0"),
        ({"seat": "aisle", "birth": "tomorrow"}, "arguments.birth", "format date"),
        ({"seat": "aisle", "people": [{"name": "A"}, {}]}, "arguments.people[1].name", "missing"),
        ({"seat": "aisle", "wifi": 1}, "arguments.wifi", "not expected"),
        ({"seat": "aisle", "bags": 2**53}, "arguments.bags", "whole number"),
        ({"seat": "aisle", "bags": math.nan}, "arguments.bags", "finite"),
        ({"seat": "aisle", "bags": object()}, "arguments.bags", "JSON value"),
        ({"seat": "aisle", "people": {1: 2}}, "arguments.people", "text keys"),
    ],
)
def test_a_wrong_field_is_named_with_what_was_expected(arguments, field, expected):
    with pytest.raises(InvalidInput) as caught:
        canonical_arguments(arguments, SCHEMA)
    assert caught.value.field == field
    assert expected in str(caught.value)


def test_no_value_of_a_caller_shows_in_an_error():
    for bad in ({"seat": "4111111111111111"}, {"seat": "aisle", "birth": "4111111111111111"}):
        with pytest.raises(InvalidInput) as caught:
            canonical_arguments(bad, SCHEMA)
        assert "4111" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "null",
        "{",
        '{"seat":"aisle","seat":"window"}',
        '{"seat":"aisle","bags":NaN}',
        '{"seat":"aisle","bags":1e999}',
        '{"seat":"\\ud800"}',
        '{"a":' * 5000,
        '{"seat":"' + "a" * 70_000 + '"}',
    ],
)
def test_text_that_is_no_plain_json_object_is_refused(text):
    with pytest.raises(InvalidInput):
        canonical_arguments(text, {"type": "object"})


def test_too_deep_arguments_are_refused():
    value: dict[str, object] = {}
    for _ in range(40):
        value = {"a": value}
    with pytest.raises(InvalidInput, match="levels"):
        canonical_arguments(value, {"type": "object"})


def test_a_schema_that_refers_to_itself_ends():
    loop = {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"next": {"$ref": "#/$defs/a"}}}}}
    assert canonical_arguments({"next": {"next": {}}}, loop).json == '{"next":{"next":{}}}'


def test_a_broken_schema_is_named():
    with pytest.raises(InvalidInput) as caught:
        canonical_arguments({}, {"type": "nonsense"})
    assert caught.value.field == "schema"


@given(JSON)
def test_canonical_form_is_a_fixed_point_with_the_same_meaning(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.text())
def test_any_text_is_canonical_or_refused(text):
    try:
        found = canonical_arguments(text, SCHEMA).json
    except InvalidInput:
        return
    assert canonical_arguments(found, SCHEMA).json == found
