"""The airline's booking system for measurements: reservations, customers and flights of a folder of recorded data.

A process of its own, standard library only. It checks what a booking system checks (flights, seats, amounts) and
nothing of the airline's written policy. `POST /replay/reset` brings the recorded state back, `POST /replay/apply` does
what a recording did, whatever the policy says of it.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BODY_BYTES_MAX = 1_048_576
BAG_PRICE = 50
INSURANCE_PRICE = 30
# Ids in the order in which the recordings' system gave them.
NEW_IDS = ("HATHAT", "HATHAU", "HATHAV")
NEW_CERTIFICATES = ("3221322", "3221323", "3221324")

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
        self._recorded = {
            name: json.loads((folder / f"{name}.json").read_text())
            for name in ("flights", "reservations", "users")
        }
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Back to the recorded state."""
        # Flights are only read; what changes is copied when it is touched.
        self.flights: Mapping[str, Any] = self._recorded["flights"]
        self.reservations: Json = {}
        self.users: Json = {}
        self._changed: set[str] = set()
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
            "name": " ".join(user["name"].values()),
            "membership": user["membership"],
            "sources": sources,
            "reservations": user["reservations"],
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
            "insurance": own["insurance"] == "yes",
            "passengers": len(own["passengers"]),
            "total_baggages": own["total_baggages"],
            "nonfree_baggages": own["nonfree_baggages"],
            "hours_since_booking": (self._now - datetime.fromisoformat(own["created_at"])).total_seconds()
            / 3600,
            "itinerary": [f"{flight['flight_number']} {flight['date']}" for flight in own["flights"]],
            "segments": [self._segment(flight) for flight in own["flights"]],
        }

    def show_itinerary(self, flights: list[Json]) -> Json:
        """The route of a list of flights and whether they can be had."""
        segments = [self._segment(flight) for flight in flights]
        if not segments:
            raise RefusedError("expected at least one flight")
        joined = all(one["destination"] == other["origin"] for one, other in itertools.pairwise(segments))
        return {
            "itinerary": [segment["key"] for segment in segments],
            "segments": segments,
            "starts_at": segments[0]["origin"],
            "ends_at": segments[-1]["destination"],
            "stops": [segment["destination"] for segment in segments],
            "joined": joined,
        }

    def show_trips(self, user_id: str) -> Json:
        """What happened to each reservation of a customer."""
        user = self.user(user_id)
        trips = []
        for reservation_id in user["reservations"]:
            own = self.show_reservation(reservation_id)
            states = {segment["status"] for segment in own["segments"]}
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
        reservation_id = next(name for name in NEW_IDS if name not in self.reservations)
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
        user["reservations"].append(reservation_id)
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
        reservation["flights"], reservation["cabin"] = flights, given["cabin"]
        self._changed.add(reservation["reservation_id"])
        return reservation

    def change_bags(self, given: Json) -> Json:
        reservation = self.reservation(given["reservation_id"])
        user = self.user(reservation["user_id"])
        price = BAG_PRICE * max(0, given["nonfree_baggages"] - reservation["nonfree_baggages"])
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
        refunds = [{**paid, "amount": -paid["amount"]} for paid in reservation["payment_history"]]
        reservation["payment_history"] = [*reservation["payment_history"], *refunds]
        reservation["status"] = "cancelled"
        self._changed.add(reservation["reservation_id"])
        return reservation

    def certify(self, given: Json) -> Json:
        methods = self.user(given["user_id"])["payment_methods"]
        name = next(
            f"certificate_{number}" for number in NEW_CERTIFICATES if f"certificate_{number}" not in methods
        )
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
            reservation["payment_history"].append({"payment_id": payment_id, "amount": price})


OPERATIONS: Mapping[str, Callable[[Bookings, Json], Json]] = {
    "book_reservation": Bookings.book,
    "update_reservation_flights": Bookings.change_flights,
    "update_reservation_baggages": Bookings.change_bags,
    "update_reservation_passengers": Bookings.change_passengers,
    "cancel_reservation": Bookings.cancel,
    "send_certificate": Bookings.certify,
}


class Handler(BaseHTTPRequestHandler):
    """One request; bodies and answers are JSON."""

    protocol_version = "HTTP/1.1"
    bookings: Bookings

    def do_GET(self) -> None:
        """What there is."""
        match self.path.strip("/").split("/"):
            case ["users", user_id]:
                self._answer(lambda: self.bookings.show_user(user_id))
            case ["users", user_id, "trips"]:
                self._answer(lambda: self.bookings.show_trips(user_id))
            case ["reservations", reservation_id]:
                self._answer(lambda: self.bookings.show_reservation(reservation_id))
            case _:
                self._send(404, {"error": {"message": "no such path"}})

    def do_POST(self) -> None:
        """What is done."""
        body = self._body()
        if body is None:
            return
        match self.path.strip("/").split("/"):
            case ["itinerary"]:
                self._answer(lambda: self.bookings.show_itinerary(body["flights"]))
            case ["replay", "reset"]:
                self.bookings.reset()
                self._answer(dict)
            case ["replay", "apply"]:
                self._answer(lambda: self.bookings.do(body["tool"], body["arguments"]))
            case [operation] if operation in OPERATIONS:
                key = self.headers.get("Idempotency-Key", "")
                self._answer(lambda: self.bookings.do(operation, body, key=key))
            case _:
                self._send(404, {"error": {"message": "no such path"}})

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _body(self) -> Json | None:
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_BYTES_MAX:
            self._send(413, {"error": {"message": "too large"}})
            return None
        try:
            body = json.loads(self.rfile.read(size) or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            self._send(400, {"error": {"message": "expected a JSON object"}})
            return None
        return body

    def _answer(self, make: Callable[[], Json]) -> None:
        try:
            self._send(200, make())
        except RefusedError as refused:
            self._send(refused.status, {"error": {"message": str(refused)}})
        except (KeyError, TypeError, ValueError, StopIteration) as error:
            self._send(400, {"error": {"message": f"expected other fields: {error}"}})

    def _send(self, status: int, body: Json) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> int:
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description="The airline's booking system over recorded data.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--now", type=datetime.fromisoformat, default=datetime(2024, 5, 15, 15))
    given = parser.parse_args()
    try:
        Handler.bookings = Bookings(given.data, now=given.now)
    except (OSError, ValueError) as error:
        print(f"{given.data}: {error}", file=sys.stderr)
        return 2
    server = ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if given.ready_file:
        partial = given.ready_file.with_suffix(".partial")
        partial.write_text(f"{server.server_address[1]}\n")
        os.replace(partial, given.ready_file)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
