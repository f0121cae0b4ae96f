"""Owns what an answer of a recording was given to: whether the words before it name the action, and the same action."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ringback_spoken import contains_value

from ringback_cli.guard.recordings import Write

__all__ = ["changed_since_answer", "names_action"]

# A "2" says nothing of which action is meant.
VALUE_CHARS_MIN = 3
# Who is served, and words that any question holds, name no action.
UNTELLING = frozenset({"user_id", "insurance", "flight_type"})
AMOUNT_CHARS_MIN = 2
MONEY = frozenset({"amount"})
# An action of many details is not listed by one of them.
DETAILS_MANY = 8
# Names address a caller too, and a way of paying is asked for before there is anything to confirm.
ADDRESSING = frozenset({"first_name", "last_name", "payment_id"})
NAMED_MIN_OF_MANY = 2


def names_action(read_back: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a read-back names the action: one of its details, or two where it has many."""
    details, needed = set(_details(arguments, but=UNTELLING)), 1
    if len(details) >= DETAILS_MANY:
        details, needed = set(_details(arguments, but=UNTELLING | ADDRESSING)), NAMED_MIN_OF_MANY
    return sum(_names(read_back, value) for value in details) >= needed


def changed_since_answer(write: Write) -> bool:
    """Whether the same thing was tried since the caller's last words with other arguments: those were not answered."""
    last = max((at for at, one in enumerate(write.said) if one.speaker == "caller"), default=-1)
    return any(
        call.said > last
        and call.tool == write.tool
        and _object(call.arguments) == _object(write.arguments)
        and call.arguments != write.arguments
        for call in write.before
    )


def _object(arguments: Mapping[str, Any]) -> Any:
    """What the action is done to: a reservation, or the flights that make a new one."""
    return arguments.get("reservation_id") or arguments.get("flights") or arguments.get("user_id")


def _details(arguments: Any, *, but: frozenset[str], name: str = "") -> Iterator[str]:
    """The plain values of the arguments, however deep: ids, dates, names, amounts."""
    if name in but:
        return
    if isinstance(arguments, Mapping):
        for own, value in arguments.items():
            yield from _details(value, but=but, name=own)
    elif isinstance(arguments, list):
        for value in arguments:
            yield from _details(value, but=but, name=name)
    elif name in MONEY and isinstance(arguments, int | float) and not isinstance(arguments, bool):
        yield f"${arguments:g}" if float(arguments).is_integer() else f"${arguments:.2f}"
    elif not isinstance(arguments, bool) and len(str(arguments)) >= VALUE_CHARS_MIN:
        yield str(arguments)


def _names(text: str, value: str) -> bool:
    """Whether a written read-back names a value; what is written "basic_economy" is said with a blank."""
    plain = value.replace("_", " ")
    if plain.startswith("$"):
        # Amounts are written with their currency, or as numbers; a short number may be anything's.
        bare = plain.removeprefix("$")
        return contains_value(text, plain) is not None or (
            len(bare) >= AMOUNT_CHARS_MIN and contains_value(text, bare, "number") is not None
        )
    if any(
        re.search(rf"(?<!\w){re.escape(form.lower())}(?!\w)", text.lower()) is not None
        for form in (plain, value)
    ):
        return True
    return contains_value(text, plain) is not None
