"""G.711: the figures of the recommendation, and what coding costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_audio.g711 import Law, decode, encode

LAWS: list[Law] = ["u", "a"]


def _pcm(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def test_known_codes_stand_for_the_levels_of_the_recommendation() -> None:
    assert decode(b"\x80\x00\xff\xfe\x7f", law="u") == _pcm(32_124, -32_124, 0, 8, 0)
    assert decode(b"\xaa\x2a\xd5\x55", law="a") == _pcm(32_256, -32_256, 8, -8)


@pytest.mark.parametrize("law", LAWS)
def test_every_level_survives_coding(law: Law) -> None:
    levels = decode(bytes(range(256)), law=law)
    assert decode(encode(levels, law=law), law=law) == levels


@given(st.integers(-32_768, 32_767), st.sampled_from(LAWS))
def test_the_error_of_coding_is_small_beside_the_sample(value: int, law: Law) -> None:
    got = int(np.frombuffer(decode(encode(_pcm(value), law=law), law=law), "<i2")[0])
    assert abs(got - value) <= max(16, abs(value) // 16) + (32_768 - 32_124 if abs(value) > 32_124 else 0)


@given(st.binary(max_size=200), st.sampled_from(LAWS))
def test_one_byte_is_one_sample(coded: bytes, law: Law) -> None:
    pcm = decode(coded, law=law)
    assert len(pcm) == 2 * len(coded)
    assert len(encode(pcm, law=law)) == len(coded)
