"""What resampling promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_audio import Resampler, from_pcm16, resample, to_pcm16

RATES = st.sampled_from([(24_000, 16_000), (16_000, 24_000), (88, 100), (48_000, 24_000), (8_000, 24_000)])


@given(RATES, st.integers(0, 3_000), st.lists(st.integers(0, 3_000), max_size=8))
def test_resampling_piecewise_is_resampling_at_once(
    rates: tuple[int, int], length: int, cuts: list[int]
) -> None:
    source, target = rates
    signal = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    stream = Resampler(source, target=target)
    pieces = np.split(signal, sorted(min(cut, length) for cut in cuts))
    made = np.concatenate([*(stream.feed(piece) for piece in pieces), stream.flush()])
    assert len(made) == -(-length * target // source)
    np.testing.assert_allclose(made, resample(signal, source=source, target=target), atol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(24_000, 16_000), (16_000, 24_000)])
def test_a_tone_keeps_its_place_and_level(source: int, target: int) -> None:
    def tone(rate: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return np.sin(2 * np.pi * 1_000 * np.arange(rate) / rate).astype(np.float32)

    made = resample(tone(source), source=source, target=target)
    assert np.abs(made - tone(target))[200:-200].max() < 2e-3


def test_what_the_lower_rate_cannot_carry_is_filtered_out() -> None:
    tone = np.sin(2 * np.pi * 9_500 * np.arange(24_000) / 24_000).astype(np.float32)
    assert np.abs(resample(tone, source=24_000, target=16_000))[200:-200].max() < 2e-3


def test_rates_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="rates above 0"):
        Resampler(0, target=16_000)


def test_pcm16_survives_the_way_to_samples_and_back() -> None:
    pcm = np.array([-32_768, -1, 0, 1, 32_767], "<i2").tobytes()
    assert to_pcm16(from_pcm16(pcm)) == pcm


def test_what_is_louder_than_full_scale_is_clipped() -> None:
    assert to_pcm16(np.array([-2.0, 2.0], np.float32)) == np.array([-32_768, 32_767], "<i2").tobytes()
