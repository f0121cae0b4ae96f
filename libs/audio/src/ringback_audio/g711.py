"""Owns telephone audio: G.711 µ-law and A-law bytes to and from PCM16, by table (ITU-T G.711, 1988)."""

from functools import lru_cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["RATE", "Law", "decode", "encode"]

Law = Literal["u", "a"]
RATE: Final = 8_000
_BIAS: Final = 132  # µ-law: what is added before the logarithm, at 16 bits


def decode(coded: bytes, *, law: Law) -> bytes:
    """PCM16 little-endian of G.711 bytes: one sample for each."""
    table = _levels(law)
    return table[np.frombuffer(coded, np.uint8)].astype("<i2").tobytes()


def encode(pcm: bytes, *, law: Law) -> bytes:
    """G.711 bytes of PCM16 little-endian: the code of the nearest level."""
    codes = _codes(law)
    return codes[np.frombuffer(pcm, "<i2").astype(np.int32) + 32_768].tobytes()


@lru_cache(maxsize=2)
def _levels(law: Law) -> NDArray[np.int16]:
    """The level that each of the 256 codes stands for."""
    codes = np.arange(256)
    if law == "u":
        plain = ~codes & 0xFF
        exponent, mantissa = plain >> 4 & 7, plain & 15
        size = ((mantissa << 3) + _BIAS << exponent) - _BIAS
        positive = (plain & 0x80) == 0
    else:
        plain = codes ^ 0x55
        exponent, mantissa = plain >> 4 & 7, plain & 15
        size = np.where(
            exponent == 0, (mantissa << 4) + 8, (mantissa << 4) + 264 << np.maximum(exponent - 1, 0)
        )
        positive = (plain & 0x80) != 0
    return np.where(positive, size, -size).astype(np.int16)


@lru_cache(maxsize=2)
def _codes(law: Law) -> NDArray[np.uint8]:
    """For every PCM16 value the code of the nearest level; of two that are as near, the lesser level's."""
    levels = _levels(law).astype(np.int32)
    order = np.argsort(levels, kind="stable")
    sorted_levels = levels[order]
    middles = (sorted_levels[1:] + sorted_levels[:-1]) / 2
    values = np.arange(-32_768, 32_768)
    return order[np.searchsorted(middles, values, side="left")].astype(np.uint8)
