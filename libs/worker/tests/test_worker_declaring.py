"""A typed function says everything that tools.yaml needs."""

from __future__ import annotations

import datetime
import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
import pytest
from ringback_errors import ConfigError, InvalidInput
from ringback_worker import Context, entry_of, tool, tool_of
from ringback_worker.__main__ import main
from ringback_worker.settings import read_settings

Id = Annotated[str, msgspec.Meta(pattern="^[0-9]{6}$")]


@dataclass
class Booking:
    booking_id: str
    day: datetime.date


@tool(side_effect="write", version="2.1", subject="shop.book")
def book(*, item: Id, day: datetime.date, kind: Literal["a", "b"] = "a", context: Context) -> Booking:
    """Book an item.

    More for people.
    """
    return Booking(item + kind + context.tenant, day)


def test_the_types_are_the_schema() -> None:
    declared = tool_of(book)
    assert (declared.name, declared.version, declared.description) == ("book", "2.1", "Book an item.")
    assert declared.parameters["additionalProperties"] is False
    assert declared.parameters["required"] == ["item", "day"]
    assert declared.parameters["properties"]["item"] == {"type": "string", "pattern": "^[0-9]{6}$"}
    assert declared.parameters["properties"]["kind"] == {"enum": ["a", "b"], "default": "a"}
    assert declared.result is not None
    assert sorted(declared.result["properties"]) == ["booking_id", "day"]


def test_arguments_come_as_the_functions_types_and_the_answer_as_json() -> None:
    declared = tool_of(book)
    bound = declared.bound({"item": "482915", "day": "2026-12-04"}, context=Context(tenant="t"))
    assert bound["day"] == datetime.date(2026, 12, 4)
    assert declared.plain(book(**bound)) == {"booking_id": "482915at", "day": "2026-12-04"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"item": "1", "day": "2026-12-04"}, "item"),
        ({"item": "482915"}, "day"),
        ({"item": "482915", "day": "soon"}, "day"),
        ({"item": "482915", "day": "2026-12-04", "colour": "red"}, "colour"),
    ],
)
def test_what_the_types_do_not_allow_is_refused_by_field(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        tool_of(book).bound(arguments, context=Context())


def test_a_function_that_lacks_something_says_what() -> None:
    def untyped(item):  # type: ignore[no-untyped-def]
        """Something."""

    def silent(item: str) -> str:
        return item

    def many(*items: str) -> str:
        """Something."""
        return ""

    for function, said in ((untyped, "type for parameter item"), (silent, "docstring"), (many, "named")):
        with pytest.raises(ConfigError, match=said):
            tool(function)
    with pytest.raises(ConfigError, match=r"outside ringback\."):
        tool(subject="ringback.events.x")(book)
    with pytest.raises(ConfigError, match="@tool"):
        tool_of(silent)


def test_the_entry_names_the_worker_or_the_function(capsys: pytest.CaptureFixture[str]) -> None:
    assert entry_of(tool_of(book))["connector"] == {"kind": "nats", "subject": "shop.book"}
    sys.modules["shop_for_test"] = sys.modules[__name__]
    try:
        assert main(["shop_for_test:book", "--function"]) == 0
        assert "entry_point: shop_for_test:book" in capsys.readouterr().out
        assert main(["shop_for_test:nothing"]) == 2
        capsys.readouterr()
        assert main([]) == 2
        assert capsys.readouterr().err == "module:function with @tool expected: one of them, got 0\n"
    finally:
        del sys.modules["shop_for_test"]


def test_settings_are_bounded() -> None:
    assert read_settings({}).calls_max == 32
    with pytest.raises(ConfigError, match="RINGBACK_WORKER_CALLS_MAX"):
        read_settings({"RINGBACK_WORKER_CALLS_MAX": "0"})
