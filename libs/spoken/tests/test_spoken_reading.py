"""What the readers of ids, numbers, money, dates and times promise."""

import string
from datetime import date, time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_spoken import (
    Money,
    for_ear,
    read_date,
    read_id,
    read_money,
    read_number,
    read_time,
    runs,
    speakable,
    spoken_ids,
    vocabulary,
)
from ringback_spoken.scanning import scan

TODAY = date(2026, 11, 22)  # a Sunday


@pytest.mark.parametrize(
    ("heard", "value"),
    [
        ("482915", "482915"),
        ("It's uh four eight two, nine one five please", "482915"),
        ("four eighty two and nine fifteen", "482915"),
        ("for eight two nine one to", "482912"),
        ("double seven oh four, 2 2", "770422"),
        ("My reservation number is 482,915.", "482915"),
        ("4 8 2. 9 1 5.", "482915"),
        ("It's 482.915 please", "482915"),
        ("A81029.", "881029"),
        ("For 82915.", "482915"),
        ("four eight two... uh nine one five", "482915"),
        ("reservation 482915 2 bags", "482915"),
        ("No, it's 4-8-2-9-1-5.", "482915"),
        ("I want it for 4 8 2 9 1 5", "482915"),
        ("four ate too nine won five", "482915"),
        ("forty eight twenty nine fifteen", "482915"),
    ],
)
def test_a_six_digit_number_is_read_however_it_is_said(heard: str, value: str) -> None:
    assert read_id(heard, pattern=r"[0-9]{6}") == value


@pytest.mark.parametrize(
    ("heard", "value"),
    [
        ("B as in boy, four, November 5 nine", "B4N59"),
        ("alpha bravo one two", "AB12"),
        ("x ray double u four", "XW4"),
        ("bee 4 see 5", "B4C5"),
    ],
)
def test_letters_are_read_as_people_spell_them(heard: str, value: str) -> None:
    assert read_id(heard, pattern=r"[A-Z]{1,2}[A-Z0-9]{2,4}") == value


@pytest.mark.parametrize(
    "heard", ["", "yes please", "I'd like to cancel", "two bags", "4 8 2 9 1 5 6", "see you"]
)
def test_no_six_digit_number_is_read_where_none_was_said(heard: str) -> None:
    assert read_id(heard, pattern=r"[0-9]{6}") is None


def test_candidates_say_where_they_were_heard() -> None:
    text = "it's 4 8 2 and then 9 1 5"
    first, *others = spoken_ids(text)
    assert (first.value, text[first.span.start : first.span.end]) == ("482915", "4 8 2 and then 9 1 5")
    assert {other.value for other in others} == {"482", "915"}


@given(st.text(alphabet=string.digits, min_size=5, max_size=24))
def test_digits_come_back_as_they_were_spoken(digits: str) -> None:
    assert read_id(speakable(f"Your number is {digits}.")) == digits
    assert read_id(speakable(digits)) == digits


@given(st.text(alphabet=string.ascii_uppercase + string.digits, min_size=4, max_size=16))
def test_mixed_ids_come_back_as_they_were_spoken(code: str) -> None:
    assert read_id(for_ear(code, "id")) == code
    assert read_id(f"Your code is {for_ear(code, 'id')}.", pattern=r"[A-Z0-9]{4,16}") == code


@given(st.text())
def test_no_text_is_refused(text: str) -> None:
    spoken_ids(text)
    read_number(text), read_money(text), read_time(text), read_date(text, today=TODAY)


@given(st.integers(0, 10**12))
def test_numbers_come_back_as_they_were_spoken(number: int) -> None:
    assert read_number(for_ear(f"{number:,}", "number")) == number


@given(st.decimals(0, 10**6, places=2))
def test_money_comes_back_as_it_was_spoken(amount: Decimal) -> None:
    assert read_money(for_ear(amount, "money")) == Money(amount, "USD")


@given(st.dates(date(1950, 1, 1), date(2099, 12, 31)))
def test_dates_come_back_as_they_were_spoken(day: date) -> None:
    assert read_date(for_ear(day, "date", with_year=True), today=TODAY) == day


@pytest.mark.parametrize(
    ("heard", "value"),
    [
        ("tomorrow", date(2026, 11, 23)),
        ("the day after tomorrow", date(2026, 11, 24)),
        ("today please", TODAY),
        ("on Friday", date(2026, 11, 27)),
        ("in three days", date(2026, 11, 25)),
        ("two weeks from now", date(2026, 12, 6)),
        ("the fifteenth", date(2026, 12, 15)),
        ("the thirty first", date(2026, 12, 31)),
        ("May 15", date(2027, 5, 15)),
        ("December first", date(2026, 12, 1)),
        ("05/15/2024", date(2024, 5, 15)),
        ("February twenty ninth", date(2028, 2, 29)),
        ("maybe later", None),
    ],
)
def test_dates_are_read_from_today_on(heard: str, value: date | None) -> None:
    assert read_date(heard, today=TODAY) == value


@pytest.mark.parametrize(
    ("heard", "value"),
    [("at noon", time(12)), ("3:30 pm", time(15, 30)), ("six o'clock", time(6)), ("six", None)],
)
def test_times_are_read_when_they_are_sure(heard: str, value: time | None) -> None:
    assert read_time(heard) == value


@pytest.mark.parametrize(
    ("heard", "value"),
    [("1.5 million", 1_500_000), ("a hundred and five", 105), ("three point five", 3.5), ("no", None)],
)
def test_numbers_are_read_in_words_and_digits(heard: str, value: float | None) -> None:
    assert read_number(heard) == (None if value is None else Decimal(str(value)))


_WORDS = sorted({*vocabulary.UNITS, *vocabulary.TENS, *vocabulary.NATO, *vocabulary.LETTER_SOUNDS, "hundred"})


@given(
    st.lists(
        st.sampled_from([*_WORDS, "an", "a", "double", "u", "x", "ray", "seat", "48", "7b"]), max_size=6
    ),
    st.sampled_from([" ", ", ", "", ". "]),
)
def test_a_word_taken_for_plain_begins_no_piece(words: list[str], between: str) -> None:
    scanned = scan(between.join(words))
    grammars = (runs._repeat, runs._number, runs._code, runs._letter, runs._soft)
    for index in range(len(scanned.tokens)):
        if runs.is_plain(scanned, index):
            assert not any(read(scanned, index) for read in grammars)
