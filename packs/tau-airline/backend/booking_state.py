"""Owns what the airline of the recordings has: reservations, customers and flights, and what each write does to them.

It checks what a booking system checks (flights, seats, amounts) and nothing of the airline's written policy.
"""

from __future__ import annotations

import copy
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

BAG_PRICE = 50
INSURANCE_PRICE = 30
# The first ids are given in the order in which the recordings' system gave them.
NEW_IDS = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES_FROM = 3221322

TABLES = ("flights", "reservations", "users")

Json = dict[str, Any]


class RefusedError(Exception):
    """The system says no, and nothing has changed."""

    def __init__(self, message: str, *, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


class Bookings:
    """All state; `now` is the recordings' own time."""

    def __init__(self, folder: Path, *, now: datetime) -> None:
        self._now = now
        self._recorded = {name: _table(folder / f"{name}.json") for name in TABLES}
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Back to the recorded state."""
        # Flights are only read; what changes is copied when it is touched.
        self.flights: Mapping[str, Any] = self._recorded["flights"]
        self.reservations: Json = {}
        self.users: Json = {}
        self._changed: set[str] = set()
        # What had happened to flights that a reservation does not hold any more.
        self._left: dict[str, set[str]] = {}
        self._answers: dict[str, Json] = {}

    def user(self, user_id: str) -> Json:
        """The customer, to be changed in place."""
        return self._own(self.users, "users", user_id)

    def reservation(self, reservation_id: str) -> Json:
        """The reservation, to be changed in place."""
        return self._own(self.reservations, "reservations", reservation_id)

    def do(self, operation: str, arguments: Json, *, key: str = "") -> Json:
        """One write; the same key gives the same answer and books nothing twice."""
        with self._lock:
            if key and key in self._answers:
                return self._answers[key]
            answer = OPERATIONS[operation](self, arguments)
            if key:
                self._answers[key] = answer
            return answer

    def show_user(self, user_id: str) -> Json:
        """A customer with what the desk may see."""
        user = self.user(user_id)
        sources = {name: method["source"] for name, method in user["payment_methods"].items()}
        return {
            "user_id": user_id,
            "name": " ".join(user.get("name", {}).values()),
            "membership": user["membership"],
            "sources": sources,
            "reservations": user.get("reservations", []),
        }

    def show_reservation(self, reservation_id: str) -> Json:
        """A reservation with the state of its flights."""
        own = self.reservation(reservation_id)
        return {
            **{
                name: own[name]
                for name in ("reservation_id", "user_id", "origin", "destination", "flight_type", "cabin")
            },
            "status": own.get("status") or "confirmed",
            "insurance": own.get("insurance") == "yes",
            "passengers": len(own["passengers"]),
            "total_baggages": own.get("total_baggages", 0),
            "nonfree_baggages": own.get("nonfree_baggages", 0),
            "hours_since_booking": (self._now - datetime.fromisoformat(own["created_at"])).total_seconds()
            / 3600,
            "itinerary": sorted(f"{flight['flight_number']} {flight['date']}" for flight in own["flights"]),
            "segments": [self._segment(flight) for flight in own["flights"]],
        }

    def show_itinerary(self, flights: list[Json]) -> Json:
        """The route of a list of flights and whether they can be had."""
        segments = [self._segment(flight) for flight in flights]
        if not segments:
            raise RefusedError("expected at least one flight")
        if not _joined(segments):
            # Named in another order than flown, it is the same trip.
            segments = [self._segment(flight) for flight in sorted(flights, key=self._departs)]
        return {
            "itinerary": sorted(segment["key"] for segment in segments),
            "segments": segments,
            "starts_at": segments[0]["origin"],
            "ends_at": segments[-1]["destination"],
            "stops": [segment["destination"] for segment in segments],
            "joined": _joined(segments),
        }

    def show_trips(self, user_id: str) -> Json:
        """What happened to each reservation of a customer."""
        user = self.user(user_id)
        trips = []
        for reservation_id in user.get("reservations", []):
            own = self.show_reservation(reservation_id)
            states = {segment["status"] for segment in own["segments"]} | self._left.get(
                reservation_id, set()
            )
            trips.append(
                {
                    **{name: own[name] for name in ("reservation_id", "cabin", "insurance", "passengers")},
                    "flight_cancelled": "cancelled" in states,
                    "flight_delayed": "delayed" in states,
                    "changed": reservation_id in self._changed,
                }
            )
        return {"user_id": user_id, "membership": user["membership"], "trips": trips}

    def book(self, given: Json) -> Json:
        user = self.user(given["user_id"])
        reservation_id = next(name for name in _new_ids() if name not in self.reservations)
        passengers = len(given["passengers"])
        flights = [self._bookable(flight, given["cabin"], passengers) for flight in given["flights"]]
        price = sum(flight["price"] for flight in flights) * passengers
        price += INSURANCE_PRICE * passengers if given["insurance"] == "yes" else 0
        price += BAG_PRICE * given["nonfree_baggages"]
        self._pay(user, given["payment_methods"], price)
        reservation = {
            **{
                name: given[name]
                for name in ("user_id", "origin", "destination", "flight_type", "cabin", "passengers")
            },
            **{name: given[name] for name in ("total_baggages", "nonfree_baggages", "insurance")},
            "reservation_id": reservation_id,
            "flights": flights,
            "payment_history": given["payment_methods"],
            "created_at": self._now.isoformat(),
        }
        self.reservations[reservation_id] = reservation
        user.setdefault("reservations", []).append(reservation_id)
        return reservation

    def change_flights(self, given: Json) -> Json:
        reservation = self.reservation(given["reservation_id"])
        user = self.user(reservation["user_id"])
        passengers = len(reservation["passengers"])
        kept = {
            (flight["flight_number"], flight["date"]): flight
            for flight in reservation["flights"]
            if given["cabin"] == reservation["cabin"]
        }
        flights = [
            kept.get((flight["flight_number"], flight["date"]))
            or self._bookable(flight, given["cabin"], passengers)
            for flight in given["flights"]
        ]
        price = sum(flight["price"] for flight in flights) - sum(f["price"] for f in reservation["flights"])
        self._charge(user, reservation, given["payment_id"], price * passengers)
        states = {self._segment(flight)["status"] for flight in reservation["flights"]}
        self._left.setdefault(reservation["reservation_id"], set()).update(states)
        reservation["flights"], reservation["cabin"] = flights, given["cabin"]
        self._changed.add(reservation["reservation_id"])
        return reservation

    def change_bags(self, given: Json) -> Json:
        reservation = self.reservation(given["reservation_id"])
        user = self.user(reservation["user_id"])
        price = BAG_PRICE * max(0, given["nonfree_baggages"] - reservation.get("nonfree_baggages", 0))
        self._charge(user, reservation, given["payment_id"], price)
        reservation["total_baggages"] = given["total_baggages"]
        reservation["nonfree_baggages"] = given["nonfree_baggages"]
        return reservation

    def change_passengers(self, given: Json) -> Json:
        reservation = self.reservation(given["reservation_id"])
        if len(given["passengers"]) != len(reservation["passengers"]):
            raise RefusedError("number of passengers does not match")
        reservation["passengers"] = given["passengers"]
        return reservation

    def cancel(self, given: Json) -> Json:
        reservation = self.reservation(given["reservation_id"])
        paid = reservation.get("payment_history", [])
        reservation["payment_history"] = [*paid, *({**one, "amount": -one["amount"]} for one in paid)]
        reservation["status"] = "cancelled"
        self._changed.add(reservation["reservation_id"])
        return reservation

    def certify(self, given: Json) -> Json:
        methods = self.user(given["user_id"])["payment_methods"]
        numbers = (f"certificate_{number}" for number in itertools.count(NEW_CERTIFICATES_FROM))
        name = next(name for name in numbers if name not in methods)
        methods[name] = {"source": "certificate", "amount": given["amount"], "id": name}
        return {"certificate_id": name, "user_id": given["user_id"], "amount": given["amount"]}

    def _own(self, held: Json, table: str, name: str) -> Json:
        if name not in held:
            if name not in self._recorded[table]:
                raise RefusedError(f"{table}: {name} is not there", status=404)
            held[name] = copy.deepcopy(self._recorded[table][name])
        found: Json = held[name]
        return found

    def _segment(self, flight: Json) -> Json:
        own = self._flight(flight)
        return {
            "key": f"{flight['flight_number']} {flight['date']}",
            "origin": own["origin"],
            "destination": own["destination"],
            "status": own["dates"].get(flight["date"], {}).get("status", "unknown"),
        }

    def _departs(self, flight: Json) -> tuple[str, str]:
        return flight["date"], self._flight(flight).get("scheduled_departure_time_est", "")

    def _flight(self, flight: Json) -> Json:
        if flight["flight_number"] not in self.flights:
            raise RefusedError(f"flight {flight['flight_number']} is not there", status=404)
        found: Json = self.flights[flight["flight_number"]]
        return found

    def _bookable(self, flight: Json, cabin: str, passengers: int) -> Json:
        own = self._flight(flight)
        day = own["dates"].get(flight["date"], {})
        if day.get("status") != "available":
            raise RefusedError(f"flight {flight['flight_number']} is not available on {flight['date']}")
        if day["available_seats"][cabin] < passengers:
            raise RefusedError(f"not enough seats on flight {flight['flight_number']}")
        ends = {"origin": own["origin"], "destination": own["destination"]}
        return {
            "flight_number": flight["flight_number"],
            "date": flight["date"],
            "price": day["prices"][cabin],
            **ends,
        }

    def _pay(self, user: Json, payments: list[Json], price: float) -> None:
        methods = user["payment_methods"]
        for payment in payments:
            method = methods.get(payment["payment_id"])
            if method is None:
                raise RefusedError(f"payment method {payment['payment_id']} not found")
            if method["source"] != "credit_card" and method["amount"] < payment["amount"]:
                raise RefusedError(f"not enough balance in payment method {payment['payment_id']}")
        paid = sum(payment["amount"] for payment in payments)
        if paid != price:
            raise RefusedError(f"payment amount does not add up, total price is {price}, but paid {paid}")
        for payment in payments:
            method = methods[payment["payment_id"]]
            if method["source"] == "gift_card":
                method["amount"] -= payment["amount"]
            elif method["source"] == "certificate":
                del methods[payment["payment_id"]]

    def _charge(self, user: Json, reservation: Json, payment_id: str, price: float) -> None:
        method = user["payment_methods"].get(payment_id)
        if method is None:
            raise RefusedError("payment method not found")
        if method["source"] == "certificate":
            raise RefusedError("certificate cannot be used to update reservation")
        if method["source"] == "gift_card":
            if method["amount"] < price:
                raise RefusedError("gift card balance is not enough")
            method["amount"] -= price
        if price:
            reservation.setdefault("payment_history", []).append({"payment_id": payment_id, "amount": price})


OPERATIONS: Mapping[str, Callable[[Bookings, Json], Json]] = {
    "book_reservation": Bookings.book,
    "update_reservation_flights": Bookings.change_flights,
    "update_reservation_baggages": Bookings.change_bags,
    "update_reservation_passengers": Bookings.change_passengers,
    "cancel_reservation": Bookings.cancel,
    "send_certificate": Bookings.certify,
}


def _table(path: Path) -> Json:
    """Raises ValueError naming the file."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected an object, by id")
    return content


def _new_ids() -> Iterator[str]:
    return itertools.chain(NEW_IDS, (f"HAT{number:03}" for number in itertools.count(1)))


def _joined(segments: list[Json]) -> bool:
    return all(one["destination"] == other["origin"] for one, other in itertools.pairwise(segments))
