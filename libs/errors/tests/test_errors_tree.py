"""The error vocabulary keeps its promises on both sides of a wire."""

import pickle

import pytest
import ringback_errors
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import (
    Internal,
    InvalidInput,
    Overloaded,
    RingbackError,
    decode_detail,
    encode_detail,
    error_for,
)

KINDS = sorted(
    (
        kind
        for kind in vars(ringback_errors).values()
        if isinstance(kind, type) and issubclass(kind, RingbackError) and kind is not RingbackError
    ),
    key=lambda kind: kind.__name__,
)


def test_every_error_has_its_own_code():
    assert len(KINDS) == 12
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_only_errors_that_may_pass_by_themselves_are_retryable():
    assert {kind.code for kind in KINDS if kind.retryable} == {"behind", "overloaded", "unavailable"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_the_same_after_the_wire(kind):
    error = kind("expected a date", field="args.date", retry_after_ms=250)
    back = decode_detail(encode_detail(error), message=error.message)
    assert type(back) is kind
    assert (back.message, back.field, back.retry_after_ms) == ("expected a date", "args.date", 250)


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_survives_pickling(kind):
    back = pickle.loads(pickle.dumps(kind("no", field="x", retry_after_ms=3)))
    assert type(back) is kind
    assert (back.message, back.field, back.retry_after_ms) == ("no", "x", 3)


def test_the_text_names_the_field_once():
    assert str(InvalidInput("expected a date", field="date")) == "date: expected a date"
    assert str(InvalidInput("date: expected a date", field="date")) == "date: expected a date"
    assert str(Overloaded("full")) == "full"


def test_a_code_of_a_newer_version_becomes_internal():
    assert type(error_for("quantum", "?")) is Internal


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_exception(data):
    assert decode_detail(data, message="m") is None or isinstance(
        decode_detail(data, message="m"), RingbackError
    )


def test_oversized_or_badly_typed_details_are_tolerated():
    assert decode_detail(b" " * 5000, message="m") is None
    assert decode_detail(b"[" * 4000, message="m") is None
    error = decode_detail(b'{"code":"not_found","field":3,"retry_after_ms":"soon","new":1}', message="m")
    assert error is not None
    assert (error.code, error.field, error.retry_after_ms) == ("not_found", None, None)
