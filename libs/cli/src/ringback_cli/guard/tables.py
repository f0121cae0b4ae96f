"""Owns the reading of the airline's tables that a replay rests on: what a rule needs must be there, the rest may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from ringback_errors import InvalidInput

__all__ = ["TABLE_BYTES_MAX", "Tables", "read_tables"]

TABLE_BYTES_MAX = 256 * 1024 * 1024


class _PaymentMethod(msgspec.Struct):
    source: str


class _User(msgspec.Struct):
    payment_methods: dict[str, _PaymentMethod]
    membership: str
    reservations: list[str] = []


class _Leg(msgspec.Struct):
    flight_number: str
    date: str
    price: float


class _Reservation(msgspec.Struct):
    user_id: str
    origin: str
    destination: str
    flight_type: str
    cabin: str
    flights: list[_Leg]
    passengers: list[dict[str, Any]]
    created_at: str
    insurance: str = "no"
    total_baggages: int = 0
    nonfree_baggages: int = 0


class _Day(msgspec.Struct):
    status: str


class _Flight(msgspec.Struct):
    origin: str
    destination: str
    dates: dict[str, _Day]


_Record = TypeVar("_Record", bound=msgspec.Struct)


@dataclass(frozen=True)
class Tables:
    """Who there is, and whose each reservation is."""

    user_ids: frozenset[str]
    owner_of: Mapping[str, str]

    def customer_of(self, arguments: Mapping[str, Any]) -> str:
        """The customer that the arguments of a call are about; empty when they name none."""
        named = arguments.get("user_id")
        if isinstance(named, str) and named:
            return named
        return self.owner_of.get(str(arguments.get("reservation_id", "")), "")


def read_tables(folder: Path) -> Tables:
    """Reads and checks them; raises InvalidInput naming file, record and field."""
    _checked(folder / "flights.json", _Flight)
    users = _checked(folder / "users.json", _User)
    reservations = _checked(folder / "reservations.json", _Reservation)
    return Tables(frozenset(users), {name: own.user_id for name, own in reservations.items()})


def _checked(path: Path, kind: type[_Record]) -> dict[str, _Record]:
    if not path.is_file():
        raise InvalidInput("expected, but missing", field=str(path))
    try:
        if path.stat().st_size > TABLE_BYTES_MAX:
            raise InvalidInput(f"expected at most {TABLE_BYTES_MAX} bytes", field=str(path))
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput(f"expected JSON: {error}", field=str(path)) from None
    if not isinstance(content, dict):
        raise InvalidInput("expected an object of records by id", field=str(path))
    found: dict[str, _Record] = {}
    for name, record in content.items():
        try:
            found[name] = msgspec.convert(record, kind)
        except msgspec.ValidationError as error:
            raise InvalidInput(str(error), field=f"{path}[{name}]") from None
    return found
