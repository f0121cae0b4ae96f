"""Pieces without a session: sentences, what was heard of them, the input buffer, settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import ConfigError
from ringback_localmodel.domain.audio import BufferFullError, InputBuffer, samples_of
from ringback_localmodel.domain.speech_text import (
    SpokenTrack,
    cut_to_tokens,
    sentences,
    text_tokens,
    word_groups,
)
from ringback_localmodel.settings import LocalModelSettings

TEXTS = st.text(alphabet="abc A.!?\n\"'…12 ", max_size=300)


@given(TEXTS)
def test_sentences_and_word_groups_are_the_text_again(text: str) -> None:
    assert "".join(sentences(text)) == text
    assert "".join(word_groups(text)) == (text if text.strip() else "")


def test_sentences_end_where_people_stop() -> None:
    assert sentences("Hello there. It costs $12.50, Mr. Day! Right?") == [
        "Hello there. ",
        "It costs $12.50, Mr. Day! ",
        "Right?",
    ]


@given(TEXTS, st.integers(0, 100), st.booleans())
def test_a_cut_text_is_a_start_that_costs_no_more(text: str, most: int, spoken: bool) -> None:
    cut = cut_to_tokens(text, tokens_max=most, spoken=spoken)
    assert text.startswith(cut)
    assert text_tokens(cut) <= most


@given(
    st.lists(st.tuples(st.text("ab ", min_size=1, max_size=20), st.integers(1, 50_000)), max_size=5),
    st.lists(st.integers(0, 200_000), max_size=3),
)
def test_what_was_heard_is_a_start_of_what_was_said_and_only_shrinks(
    pieces: list[tuple[str, int]], cuts: list[int]
) -> None:
    track = SpokenTrack()
    for text, samples in pieces:
        track.add_text(text)
        track.add_audio(samples)
    heard = track.heard_text
    assert heard == track.text
    for cut in cuts:
        track.truncate(samples=cut)
        assert heard.startswith(track.heard_text)
        heard = track.heard_text


@given(st.lists(st.tuples(st.sampled_from(["add", "drop", "clear"]), st.integers(0, 2_000)), max_size=20))
def test_the_input_buffer_counts_every_sample(steps: list[tuple[str, int]]) -> None:
    buffer, written = InputBuffer(ms_max=1_000), 0
    for step, count in steps:
        if step == "add":
            try:
                buffer.append(b"\1\0" * count)
            except BufferFullError:
                assert buffer.end - buffer.start + count > samples_of(1_000)
                continue
            written += count
        elif step == "drop":
            buffer.drop_before(count)
        else:
            buffer.clear()
        assert buffer.end == written
        assert len(buffer.peek(0, written)) == (written - buffer.start) * 2


def test_settings_have_safe_defaults() -> None:
    settings = LocalModelSettings.from_env({})
    assert (settings.host, settings.key, settings.sessions_max) == ("127.0.0.1", None, 64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("LOCALMODEL_SESSIONS_MAX", "0"),
        ("LOG_LEVEL", "loud"),
        ("LOCALMODEL_ITEMS_MAX", "x"),
    ],
)
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"RINGBACK_{name}: expected"):
        LocalModelSettings.from_env({f"RINGBACK_{name}": value})
