"""Instructions that spell out what to say."""

import pytest
from ringback_localmodel.domain.dialogue.dictation import dictated


@pytest.mark.parametrize(
    ("instructions", "words"),
    [
        ('Say exactly: "One thing. And another!"', "One thing. And another!"),
        ("Say exactly: “Fine.” Add nothing.", "Fine."),
        ('Say exactly: "Do you say "yes"?"', 'Do you say "yes"?'),
        ('Say exactly: "Hello." Then stop.', "Hello."),
        (
            "Say the following to the caller, word for word: It costs $12.50. Is that right?",
            "It costs $12.50. Is that right?",
        ),
        ('Do not call tools. Say exactly this: "A\nB"', "A\nB"),
        ("Say: Good morning.", "Good morning."),
        ('Repeat verbatim "Card K B 4 4 1 9."', "Card K B 4 4 1 9."),
        ("Read the following aloud:\nLine one.\nLine two.\n\nNever add to it.", "Line one.\nLine two."),
        ("Tell the caller that the catalogue is slow.", "The catalogue is slow."),
        ("Greet the caller and offer help.", None),
        ("Answer the question from the facts below.", None),
        ("Be brief. Do not say anything about money.", None),
    ],
)
def test_dictated_words_are_found_in_general_forms(instructions: str, words: str | None) -> None:
    assert dictated(instructions) == words
