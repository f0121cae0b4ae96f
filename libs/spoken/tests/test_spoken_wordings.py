"""The same sentence written otherwise is the same sentence; half a contraction is no word, and a negation stays one."""

import pytest
from ringback_spoken import contains_value

REFUSED = (
    "It cannot be cancelled: it was booked more than twenty-four hours ago, and it is not business class."
)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        (
            REFUSED,
            "Sorry, it can't be canceled, it was booked more than 24 hours ago and it's not business class.",
        ),
        ("I will not do that.", "I won't do that"),
        ("OK, the e-mail is on its way.", "Okay. The email's on its way!"),
        ("Your refund of $240 was not made.", "Your refund of two hundred forty dollars wasn't made."),
        ("We are travelling in a colour of your own.", "We're traveling in a color of your own."),
    ],
)
def test_a_sentence_is_found_however_its_words_are_written(said: str, written: str) -> None:
    span = contains_value(written, said, kind="text")
    assert span is not None
    assert contains_value(said, written.removeprefix("Sorry, "), kind="text") is not None
    assert written[: span.start].lower() in ("", "sorry, ")


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("It was cancelled.", "It wasn't canceled."),
        ("It was not cancelled.", "It was canceled."),
        ("I can do that.", "I can't do that."),
        ("can", "No, I cannot."),
        ("Will", "I'll book it for the two of you."),
        ("Maria", "This is Maria's seat."),
        ("not", "You can't."),
    ],
)
def test_what_says_something_else_is_not_found(said: str, written: str) -> None:
    assert contains_value(written, said, kind="text") is None
