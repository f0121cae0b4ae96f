"""What is heard: exactly the samples that were played, cut where the caller spoke."""

from hypothesis import given
from hypothesis import strategies as st
from ringback_cli.caller.audio import FRAME_SAMPLES
from ringback_cli.caller.playback import Cut, Playback

chunks = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3_000)), max_size=20)


@given(chunks, st.lists(st.integers(1, 2_000), max_size=30))
def test_every_received_sample_is_played_once_and_in_order(received, pulls):
    playback, sent = Playback(), b""
    for number, (item, samples) in enumerate(received, start=1):
        pcm = number.to_bytes(2, "little") * samples
        playback.receive(item, pcm)
        sent += pcm
    heard = b"".join(playback.pull(samples) for samples in pulls)
    assert len(heard) == sum(pulls) * 2
    assert playback.clock == sum(pulls)
    audible = min(len(sent), len(heard))
    assert heard[:audible] == sent[:audible]
    assert not any(heard[audible:])
    assert sum(item.played for item in playback.items.values()) == audible // 2


@given(st.integers(0, 40), st.integers(1, 40))
def test_a_cut_says_how_much_was_played_and_silences_what_follows(frames_played, frames_received):
    playback = Playback()
    playback.receive("item", b"\1\1" * (FRAME_SAMPLES * frames_received))
    for _ in range(frames_played):
        playback.pull(FRAME_SAMPLES)
    cuts = playback.stop()
    assert cuts == [Cut("item", 0, min(frames_played, frames_received) * 40)]
    playback.receive("item", b"\1\1" * FRAME_SAMPLES)
    assert not any(playback.pull(FRAME_SAMPLES))
    assert playback.stop() == []


def test_an_utterance_played_to_its_end_is_not_cut():
    playback = Playback()
    playback.receive("item", b"\1\1" * FRAME_SAMPLES)
    playback.item("item").audio_done = True
    playback.pull(FRAME_SAMPLES)
    assert playback.stop() == []


def test_the_heard_part_of_a_text_ends_at_a_word():
    playback = Playback()
    item = playback.item("item")
    item.text, item.text_done = "one two three four", True
    playback.receive("item", b"\1\1" * (FRAME_SAMPLES * 4))
    item.audio_done = True
    assert item.heard == ""
    playback.pull(FRAME_SAMPLES * 2)
    assert item.heard == "one two"
    playback.pull(FRAME_SAMPLES * 2)
    assert item.heard == "one two three four"


def test_utterances_that_wait_behind_the_one_cut_were_not_heard_at_all():
    playback = Playback()
    playback.receive("first", b"\1\1" * (FRAME_SAMPLES * 4))
    playback.receive("second", b"\1\1" * (FRAME_SAMPLES * 4))
    playback.pull(FRAME_SAMPLES)
    assert playback.stop() == [Cut("first", 0, 40), Cut("second", 0, 0)]
    assert playback.items["second"].heard == ""
