"""Owns the made texts that personal data is looked for in, each with what stands in it, and the counts over them.

Card numbers begin as the issuers' ranges do (ISO/IEC 7812-1) and end with their check digit; phone numbers are from
ranges set aside for fiction (555-01xx; Ofcom's 020 7946 0xxx) or free ones in the forms of ITU-T E.123; addresses are
of example domains (RFC 2606). What must not be found: order numbers, dates, amounts, versions, network addresses.
"""

import itertools
from collections.abc import Iterator

import msgspec

from ringback_policy.domain.redaction import KINDS, luhn
from ringback_policy.usecases.measuring import Share

__all__ = ["Found", "Sample", "measure_samples", "samples"]

_BRANDS = (
    ("visa", "4", 16),
    ("mastercard", "51", 16),
    ("mastercard 2", "2221", 16),
    ("amex", "34", 15),
    ("discover", "6011", 16),
    ("diners", "36", 14),
    ("jcb", "3528", 16),
    ("unionpay", "62", 19),
)
_FRAMES = (
    "{}",
    "It is {}.",
    "my number is {} and my name is Jo",
    '{{"note": "{}", "amount": 240}}',
    "Sure, ({}), thanks",
    "yes {} yes",
)
_DIGIT_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_PHONES = (
    "(212) 555-0147",
    "212-555-0147",
    "212.555.0147",
    "212 555 0147",
    "1-212-555-0147",
    "+1 212 555 0147",
    "+1 (212) 555-0147",
    "+12125550147",
    "+44 20 7946 0958",
    "+442079460958",
    "020 7946 0958",
    "(020) 7946 0958",
    "+49 30 901820123",
    "030 9018 20123",
    "+33 1 70 18 99 00",
    "01 7018 9900",
    "+61 2 5550 1234",
    "+91 98765 43210",
)
_CUED = ("call me at 2125550147", "my mobile is 2125550147", "Phone: 2125550147", "reach me on 12125550147")
_EMAILS = (
    "jo@example.com",
    "jo.doe+air@example.co.uk",
    "j_d-1@mail.example.org",
    "JO@EXAMPLE.NET",
    "o'neil@example.com",
    "1234@example.io",
    "jo dot doe at example dot com",
    "info at mail dot example dot org",
)
_NOTHING = (
    "Reservation 482915 from Boston to Denver on December 4th, 2026.",
    "Order 4829155550123456 is on its way",
    "order number 1234-5678-9012-3450",
    "It was 2026-12-04 15:30:45, 10 - 12 people",
    "from 2019-2020 and 2021-2022",
    "version 10.2.33.4 of 192.168.100.200",
    "The total is 1,234,567.89 dollars, 240 USD",
    "flight HAT 1234 5678 at 9 am",
    "ISBN 978-3-16-148410-0",
    "follow @ringback at noon, see you at dot three",
    "one two three four five six seven eight nine ten",
    "zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero zero",
    "tracking 1Z999AA10123456784",
    "3.14159265358979 is pi",
    "timestamp 1795000000 and 1795000000123",
    "between 100 200 300 and 400",
    '{"id": 4829155550123456, "at": "2026-12-04T15:30:45Z"}',
    "rooms 212, 555 and 0147",
    "IBAN DE89 3704 0044 0532 0130 00",
    "dial 911 or 112",
)


class Sample(msgspec.Struct, frozen=True):
    """A text and what stands in it: kind, and the span in characters."""

    text: str
    kind: str = ""
    span: tuple[int, int] = (0, 0)


class Found(msgspec.Struct, frozen=True):
    """Of one kind: of all that is there what was found whole, and of all findings those that are right."""

    kind: str
    recall: Share
    precision: Share
    missed: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


def samples() -> Iterator[Sample]:
    """All of them, the same each time."""
    for kind, values in (("card", tuple(_cards())), ("phone", _PHONES), ("email", _EMAILS)):
        for value, frame in itertools.product(values, _FRAMES):
            text = frame.format(value)
            start = text.index(value)
            yield Sample(text, kind, (start, start + len(value)))
    for text in _CUED:
        start = next(at for at, char in enumerate(text) if char.isdigit())
        yield Sample(text, "phone", (start, len(text)))
    for text in _NOTHING:
        yield Sample(text)


def measure_samples(made: Iterator[Sample]) -> tuple[Found, ...]:
    """What each kind's detector finds of them."""
    every = tuple(made)
    return tuple(_measured(kind, every) for kind in KINDS)


def _measured(kind: str, every: tuple[Sample, ...]) -> Found:
    found_whole, right, findings, missed, wrong = 0, 0, 0, [], []
    own = [sample for sample in every if sample.kind == kind]
    for sample in every:
        spans = sorted(set(KINDS[kind](sample.text)))
        start, end = sample.span
        hits = [span for span in spans if sample.kind == kind and span[0] < end and start < span[1]]
        findings, right = findings + len(spans), right + len(hits)
        wrong += [sample.text[first:last] for first, last in spans if (first, last) not in hits]
        if sample.kind == kind:
            whole = any(first <= start and end <= last for first, last in hits)
            found_whole += whole
            missed += [] if whole else [sample.text]
    return Found(kind, Share(found_whole, len(own)), Share(right, findings), tuple(missed), tuple(wrong))


def _cards() -> Iterator[str]:
    for (_, head, length), middle in itertools.product(_BRANDS, ("0123456789012345", "1111111111111111")):
        body = (head + middle + middle)[: length - 1]
        digits = next(body + check for check in "0123456789" if luhn(body + check))
        yield digits
        for mark in (" ", "-"):
            yield mark.join(_grouped(digits))
        yield " ".join(_DIGIT_WORDS[int(digit)] for digit in digits)
        yield ", ".join(" ".join(_DIGIT_WORDS[int(d)] for d in group) for group in _grouped(digits))


def _grouped(digits: str) -> list[str]:
    if len(digits) == 15:
        return [digits[:4], digits[4:10], digits[10:]]
    return [digits[at : at + 4] for at in range(0, len(digits), 4)]
