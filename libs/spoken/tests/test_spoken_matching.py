"""What normalise and contains_value promise."""

import string
from datetime import date, time
from typing import get_args

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from ringback_spoken import Kind, contains_value, for_ear, normalise, speakable

VOCABULARY = """
four eight two nine fifteen hundred thousand and point dollars cents may first second of the in as boy a i
o oh
to for ate double triple bravo november see p m am pm percent usd 4 82 915 48291 4.0 3.50 1,240 $ % $3 15:30
3:30 2024 2024-05-15 5/15 ab12 15th 1st t h e uh dash , . - ? ' jan. tomorrow zero
"""
WORDS = st.sampled_from(VOCABULARY.split())
TEXTS = st.lists(st.tuples(WORDS, st.sampled_from(["", " ", " ", ", ", ". "]))).map(
    lambda parts: "".join(word + gap for word, gap in parts)
)


@pytest.mark.parametrize(
    "same",
    [
        ("482915", "4 8 2 9 1 5", "four eight two, nine one five", "four eighty two nine fifteen", "482-915"),
        ("482", "for eight two", "four eight to", "four eight 2."),
        ("$240", "240 dollars", "two hundred and forty dollars", "two forty dollars", "USD 240", "$240.00"),
        (
            "$240.50",
            "two hundred forty dollars and fifty cents",
            "two hundred, forty dollars and fifty cents",
        ),
        ("$624", "six hundred, twenty, four dollars"),
        ("1125", "one thousand, one hundred, twenty five"),
        ("May 15", "May fifteenth", "2024-05-15", "the fifteenth of May", "15 May", "may 15th, 2024"),
        ("15:30", "3:30 pm", "three thirty p m", "3:30 p.m.", "three thirty in the afternoon"),
        ("50%", "fifty percent"),
        ("JFK", "J F K", "j, f, k"),
        ("AB12", "A B one two", "alpha bravo 12", "A as in apple, B, 1 2"),
        ("007", "double oh seven", "zero zero seven"),
        ("yes please", "Yes, please!"),
    ],
)
def test_ways_to_say_one_value_have_one_form(same: tuple[str, ...]) -> None:
    assert len({normalise(text) for text in same}) == 1


@pytest.mark.parametrize(
    ("text", "form"), [("a gift for 82 people", "a gift for 82 people"), ("go to 4", "go to 4")]
)
def test_homophones_are_digits_only_inside_a_run(text: str, form: str) -> None:
    assert normalise(text) == form


@given(st.one_of(st.text(), TEXTS))
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("transcript", "value", "kind", "said"),
    [
        ("It's 482915, right?", "482915", None, "482915"),
        ("It's four eight two, nine one five.", "482915", "id", "four eight two, nine one five"),
        ("4 8 2. 9 1 5.", "482915", "id", "4 8 2. 9 1 5"),
        ("482915. No, 482915", "482915", "id", "482915"),
        ("reservation 482915 2 bags", "482915", "id", "482915"),
        ("it is 482.915 is that right", "482915", "id", "482.915"),
        ("A B, one two", "AB12", "id", "A B, one two"),
        ("sara doe four nine six", "sara_doe_496", "id", "sara doe four nine six"),
        ("refund of two hundred forty dollars", "$240", None, "two hundred forty dollars"),
        ("refund of $240", 240, None, "$240"),
        ("refund of 240 dollars", "240", None, "240 dollars"),
        ("on May fifteenth", date(2024, 5, 15), None, "May fifteenth"),
        ("at three thirty p m", time(15, 30), None, "three thirty p m"),
        ("call 555 123 4567", "+1 555-123-4567", "phone", "555 123 4567"),
        ("keep the Window seat!", "window seat", None, "Window seat"),
    ],
)
def test_a_value_is_found_where_it_is_said(
    transcript: str, value: object, kind: str | None, said: str
) -> None:
    span = contains_value(transcript, value, kind)  # type: ignore[arg-type]
    assert span is not None
    assert transcript[span.start : span.end] == said


@pytest.mark.parametrize(
    ("transcript", "value", "kind"),
    [
        ("482915", "48", "id"),
        ("four eight two nine one five", "482", "id"),
        ("four eight two, uh, nine one five", "915", "id"),
        ("forty eight", "8", "id"),
        ("150", 15, "number"),
        ("fifteen hundred", 15, "number"),
        ("$240.50", "$240", "money"),
        ("$482.915", "482915", "id"),
        ("three point one two five", 3, "number"),
        ("May fifteenth 2025", date(2024, 5, 15), "date"),
        ("May sixteenth", date(2024, 5, 15), "date"),
        ("three thirty a m", time(15, 30), "time"),
        ("AB12CD", "12", "id"),
        ("", "", "id"),
        ("", "", "text"),
        ("the windows", "window", "text"),
    ],
)
def test_a_different_value_is_not_found(transcript: str, value: object, kind: str) -> None:
    assert contains_value(transcript, value, kind) is None  # type: ignore[arg-type]


def test_of_several_places_the_last_is_given() -> None:
    span = contains_value("$5 now, $5 later", "$5")
    assert span is not None
    assert span.start == 8


DIGITS = st.text(alphabet=string.digits, min_size=1, max_size=12)


def spellings(draw: st.DrawFn, digits: str) -> str:
    """The digits cut anywhere, each piece written or said."""
    pieces: list[str] = []
    while digits:
        size = draw(st.integers(1, 3))
        piece, digits = digits[:size], digits[size:]
        pieces.append(draw(st.sampled_from([piece, for_ear(piece, "id")])))
    return draw(st.sampled_from([" ", ", ", " uh ", "-"])).join(pieces)


@given(st.data(), DIGITS, DIGITS)
def test_never_finds_another_number(data: st.DataObject, said: str, wanted: str) -> None:
    assume(said != wanted)
    transcript = f"your number {data.draw(st.composite(spellings)(said))}, right?"
    assert contains_value(transcript, wanted, "id") is None


@given(st.data(), DIGITS)
def test_finds_the_number_however_it_is_cut(data: st.DataObject, said: str) -> None:
    transcript = f"your number {data.draw(st.composite(spellings)(said))}, right?"
    assert contains_value(transcript, said, "id") is not None


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_amounts_match_themselves_alone(cents: int, other: int) -> None:
    amount, another = (f"${n // 100}.{n % 100:02}" for n in (cents, other))
    spoken = f"You get {for_ear(amount, 'money')} back."
    assert contains_value(spoken, amount, "money") is not None
    assert (contains_value(spoken, another, "money") is not None) == (cents == other)


@given(st.dates(date(1950, 1, 1), date(2099, 12, 31)), st.dates(date(1950, 1, 1), date(2099, 12, 31)))
def test_dates_match_themselves_alone(day: date, other: date) -> None:
    spoken = f"It leaves on {for_ear(day, 'date', with_year=True)}, all right?"
    assert contains_value(spoken, day, "date") is not None
    assert (contains_value(spoken, other, "date") is not None) == (day == other)


@given(st.times(), st.times())
def test_times_match_themselves_alone(moment: time, other: time) -> None:
    moment, other = (t.replace(second=0, microsecond=0) for t in (moment, other))
    spoken = f"It leaves at {for_ear(moment, 'time')} sharp."
    assert contains_value(spoken, moment, "time") is not None
    assert (contains_value(spoken, other, "time") is not None) == (moment == other)


@given(st.integers(0, 10**9))
def test_numbers_are_found_as_they_are_spoken(number: int) -> None:
    assert contains_value(speakable(f"There are {number} of them"), number, "number") is not None


@given(st.text(), st.text())
def test_nothing_is_refused(transcript: str, value: str) -> None:
    for kind in (*get_args(Kind), None):
        contains_value(transcript, value, kind)


@pytest.mark.parametrize(
    "piece", ["1 ", "to ", "for uh ", "a ", "one hundred ", "bravo ", "4. ", "$1 ", "uh ", "double "]
)
def test_long_texts_are_read_in_linear_time(piece: str) -> None:
    text = piece * 5_000
    normalise(text)
    contains_value(text, "482915", "id")
