"""What speakable and for_ear promise."""

import string
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_spoken import for_ear, speakable

PIECES = st.sampled_from(
    [
        "482915", "$240.50", "$5", "2024-05-15", "15:30", "3 p.m.", "5/15/2024", "555-123-4567", "a.b@c.com",
        "www.x.io/1", "50%", "3rd", "AB12", "May 5", "Dr.", "e.g.", "-3", "2-3", "1,240", "x", ".", "@", "://",
        " ", " ", "$", "#", "12", "May", "USD", "and", "w/", "O", "p", "m",
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Reservation 482915 is set.", "Reservation four eight two, nine one five is set."),
        ("You get $240.50 back.", "You get two hundred forty dollars and fifty cents back."),
        ("$1 or $0.05 or $1.01", "one dollar or five cents or one dollar and one cent"),
        ("It leaves on 2024-05-15.", "It leaves on May fifteenth."),
        ("It leaves at 15:30.", "It leaves at three thirty p m."),
        ("at 9:05 p.m. Then", "at nine oh five p m. Then"),
        ("Call 555-123-4567", "Call five five five, one two three, four five six seven"),
        ("mail jd.smith42@example.com.", "mail j d dot smith four two at example dot com."),
        ("see https://example.com/help", "see example dot com slash help"),
        ("50% off the 3rd row", "fifty percent off the third row"),
        ("2-3 days, 1,240 miles", "two to three days, one thousand two hundred forty miles"),
        ("Flight HAT204, gate B12", "Flight H A T, two zero four, gate B, one two"),
        ("Dr. Smith & co, 007 and -5", "Doctor Smith and co, zero zero seven and minus five"),
        ("in 2024, $1.2 million", "in twenty twenty four, one point two million dollars"),
        ("the card ending in 9517.", "the card ending in nine five one seven."),
        ("on flight 204, at 9:30", "on flight two zero four, at nine thirty a m"),
        ("room #12", "room number twelve"),
        ("Nothing to change here.", "Nothing to change here."),
    ],
)
def test_text_is_said_in_words(text: str, spoken: str) -> None:
    assert speakable(text) == spoken


@pytest.mark.parametrize(
    ("value", "kind", "spoken"),
    [
        ("482915", "id", "four eight two, nine one five"),
        ("JFK", "id", "J F K"),
        ("AIO1", "id", "A I as in India O as in Oscar, one"),
        (Decimal("240.5"), "money", "two hundred forty dollars and fifty cents"),
        ("€3", "money", "three euros"),
        (date(2024, 5, 15), "date", "May fifteenth"),
        (time(0, 5), "time", "twelve oh five a m"),
        ("+15551234567", "phone", "plus one, five five five, one two three, four five six seven"),
        (2024, "number", "twenty twenty four"),
        (12, "number", "twelve"),
        ("a window seat", "text", "a window seat"),
    ],
)
def test_a_value_is_said_as_its_kind(value: object, kind: str, spoken: str) -> None:
    assert for_ear(value, kind) == spoken  # type: ignore[arg-type]


def test_a_date_has_its_year_when_asked() -> None:
    assert for_ear("2024-05-15", "date", with_year=True) == "May fifteenth, twenty twenty four"


@given(st.text())
def test_any_text_is_accepted_and_loses_its_digits(text: str) -> None:
    assert not set(speakable(text)) & set(string.digits)


@given(st.lists(PIECES).map("".join))
def test_speaking_twice_changes_nothing(text: str) -> None:
    once = speakable(text)
    assert speakable(once) == once


@given(st.text(alphabet=string.printable))
def test_speaking_printable_text_twice_changes_nothing(text: str) -> None:
    once = speakable(text)
    assert speakable(once) == once


@pytest.mark.parametrize(
    "piece", ["1", "a1-", "x@", "$1,", "May 1 ", "1:", "word ", "(1) ", "a.", "1-1 ", "ab1_"]
)
def test_long_texts_are_spoken_in_linear_time(piece: str) -> None:
    assert speakable(piece * 20_000)
