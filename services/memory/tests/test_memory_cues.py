"""Cues: a pattern that is tried only where it can match finds what it finds anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_memory.domain import fold, tasks
from ringback_memory.domain.cues import Cue
from ringback_memory.domain.extraction import dialogue, replies, values

CUES = {
    "corrects": (
        fold._CORRECTS,
        "actually|i mean|i meant|i said|rather|scratch that|make it|change that|no it's|no. that's",
    ),
    "lets go": (
        tasks._LETS_GO,
        "never mind|nevermind|forget it|don't need it|dont want that|no longer|not now|changed my mind",
    ),
    "lasting": (
        tasks._LASTING,
        "i'm allergic|i am deaf|i always|i never|i can't eat|i cant use|i dont drink|call me Ann",
    ),
    "declines": (
        replies.DECLINES,
        "don't want|didnt really need|will not need|no need|no thank|not yet|another time|later on|without buying",
    ),
    "there again": (
        dialogue._AGAIN[0][0],
        "there|nearby|near by|the place|around here|that area|this city|the same town",
    ),
    "then again": (dialogue._AGAIN[1][0], "that day|the same date|that date|the same day"),
    "kinds": (
        values._KIND_OF,
        "a sad song|good old movies|the indian food|play folk music|some new kind of|any new types of",
    ),
}
FILL = st.sampled_from(["", " ", ", ", "so", "I", "NO", "ſ", "K", "é", "thing", "."])


@pytest.mark.parametrize("name", CUES)
def test_a_cue_finds_each_of_its_phrases(name: str) -> None:
    cue, phrases = CUES[name]
    for phrase in phrases.split("|"):
        assert cue.search(f"so, {phrase} please")
        assert cue.search(phrase.upper().replace("ANN", "Ann"))


@given(name=st.sampled_from(sorted(CUES)), data=st.data())
def test_a_cue_finds_what_its_pattern_finds(name: str, data: st.DataObject) -> None:
    phrases = [phrase for _, said in CUES.values() for phrase in said.split("|")]
    words = data.draw(st.lists(st.one_of(FILL, st.sampled_from(phrases)), max_size=6))
    text = data.draw(st.sampled_from(["", " "])).join(words)
    cue: Cue = CUES[name][0]
    assert str(cue.search(text)) == str(cue.pattern.search(text))
    assert [one.span() for one in cue.finditer(text)] == [one.span() for one in cue.pattern.finditer(text)]
