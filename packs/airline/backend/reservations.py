"""The airline's reservation system, small: reservations, cancellations, a durable ledger of every refund, bags.

A process of its own, standard library only: a system that is not ours to trust. The ledger is written and
synced before the answer leaves. `POST /faults` makes it slow, failing or silent, for tests and the demo.
With `--idempotency-keys off` it is naive: every cancellation books a refund, also a second one.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import re
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from bags import Bags
from bounded_server import Server

BODY_BYTES_MAX = 16_384
HANG_MS_MAX = 60_000
IDLE_S_MAX = 60.0
PLAIN = ("reservation_id", "origin", "destination", "passenger", "cabin")
DATA = Path(__file__).with_suffix(".csv")

_TABLES = """
CREATE TABLE IF NOT EXISTS statuses (reservation_id TEXT PRIMARY KEY, status TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS operations (key TEXT PRIMARY KEY, reservation_id TEXT NOT NULL, answer TEXT);
CREATE TABLE IF NOT EXISTS ledger (
    line INTEGER PRIMARY KEY AUTOINCREMENT, booked_at_ms INTEGER NOT NULL, effect TEXT NOT NULL,
    reservation_id TEXT NOT NULL, amount REAL NOT NULL, currency TEXT NOT NULL, idempotency_key TEXT);
"""


class RefusedError(Exception):
    """The system says no, with an HTTP status and a text that a caller may hear."""

    def __init__(self, status: int, *, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}


class DroppedError(Exception):
    """The connection goes without an answer."""


class Reservations:
    """All state: the seed reservations, what changed since, and the ledger. One writer at a time."""

    def __init__(self, ledger: Path, *, keys: bool, data: Path = DATA) -> None:
        self._keys = keys
        self._lock = threading.Lock()
        self._started = time.time()
        with data.open(newline="") as file:
            self._seed = {row["reservation_id"]: row for row in csv.DictReader(file)}
        ledger.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(ledger, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_TABLES)

    def reservation(self, reservation_id: str) -> dict[str, Any]:
        with self._lock:
            return self._read(reservation_id)

    def cancel(self, reservation_id: str, *, key: str) -> dict[str, Any]:
        """Cancels and books the refund in one durable transaction; with key support, once per key."""
        with self._lock:
            if self._keys and key and (stored := self._operation(key)) is not None:
                if stored["reservation_id"] != reservation_id:
                    raise RefusedError(422, code="key_reused", message="This key was used elsewhere.")
                return dict(stored["answer"])
            found = self._read(reservation_id)
            if found["status"] == "flown":
                raise RefusedError(409, code="flown", message="The reservation was already flown.")
            if self._keys and found["status"] == "cancelled":
                raise RefusedError(409, code="cancelled", message="The reservation is already cancelled.")
            return self._book(found, key)

    def operation(self, key: str) -> dict[str, Any]:
        if not self._keys:
            raise RefusedError(501, code="no_keys", message="This system does not support idempotency keys.")
        with self._lock:
            if (stored := self._operation(key)) is None:
                raise RefusedError(404, code="unknown_operation", message="No operation has this key.")
            return stored

    def ledger(self) -> list[dict[str, Any]]:
        names = ("line", "booked_at_ms", "effect", "reservation_id", "amount", "currency", "idempotency_key")
        with self._lock:
            rows = self._db.execute(f"SELECT {', '.join(names)} FROM ledger ORDER BY line").fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _read(self, found_id: str) -> dict[str, Any]:
        if found_id not in self._seed:
            raise RefusedError(404, code="not_found", message="There is no such reservation.")
        seed = self._seed[found_id]
        query = "SELECT status FROM statuses WHERE reservation_id = ?"
        row = self._db.execute(query, (found_id,)).fetchone()
        departs = date.today() + timedelta(days=int(seed["departs_in_days"]))
        since_start_h = (time.time() - self._started) / 3600
        return {
            **{name: seed[name] for name in PLAIN},
            "status": row[0] if row else seed["status"],
            "departure_date": departs.isoformat(),
            "insurance": seed["insurance"] == "yes",
            "airline_cancelled": seed["airline_cancelled"] == "yes",
            "hours_since_booking": round(int(seed["hours_since_booking"]) + since_start_h, 1),
            "amount": int(seed["amount"]),
            "currency": "USD",
            "payment_method": "Visa ending in 4417",
            "segments_flown": int(seed["segments_flown"]),
        }

    def _operation(self, key: str) -> dict[str, Any] | None:
        query = "SELECT reservation_id, answer FROM operations WHERE key = ?"
        row = self._db.execute(query, (key,)).fetchone()
        return {"key": key, "reservation_id": row[0], "answer": json.loads(row[1])} if row else None

    def _book(self, found: Mapping[str, Any], key: str) -> dict[str, Any]:
        reservation_id, amount = found["reservation_id"], found["amount"]
        kept = {name: found[name] for name in ("reservation_id", "currency", "payment_method")}
        answer = {**kept, "status": "cancelled", "refund_amount": amount}
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("INSERT OR REPLACE INTO statuses VALUES (?, 'cancelled')", (reservation_id,))
            self._db.execute(
                "INSERT INTO ledger (booked_at_ms, effect, reservation_id, amount, currency, idempotency_key)"
                " VALUES (?, 'refund', ?, ?, ?, ?)",
                (int(time.time() * 1000), reservation_id, amount, found["currency"], key),
            )
            if self._keys and key:
                values = (key, reservation_id, json.dumps(answer))
                self._db.execute("INSERT INTO operations VALUES (?, ?, ?)", values)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return answer


@dataclass
class Fault:
    """What goes wrong for one reservation (or `*`), for `fail_count` requests or until cleared.

    Before anything is done: `latency_ms`, then `hang`, then `fail_status` (with `retry_after_s`). Afterwards:
    `apply_then_hang`, `apply_then_drop`, `apply_latency_ms`, `answer_then_drop` (half an answer), `garbage`.
    """

    scope: str = "*"
    method: str = ""
    latency_ms: int = 0
    fail_status: int = 0
    fail_count: int = 0
    retry_after_s: int = 0
    hang: bool = False
    apply_then_hang: bool = False
    apply_then_drop: bool = False
    apply_latency_ms: int = 0
    answer_then_drop: bool = False
    garbage: bool = False
    left: int | None = None
    cleared: threading.Event = field(default_factory=threading.Event)

    def matches(self, method: str, reservation_id: str) -> bool:
        return self.scope in ("*", reservation_id) and self.method in ("", method)

    def pause(self, wait_ms: int) -> None:
        self.cleared.wait(min(wait_ms, HANG_MS_MAX) / 1000)


class Faults:
    """The faults in force, newest first; 32 at most."""

    SETTABLE = frozenset(Fault.__dataclass_fields__) - {"left", "cleared"}

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, body: Mapping[str, Any]) -> None:
        unknown = set(body) - self.SETTABLE - {"clear"}
        if unknown:
            known = ", ".join(sorted(self.SETTABLE | {"clear"}))
            raise RefusedError(
                422, code="unknown_fault", message=f"Unknown {sorted(unknown)}; known: {known}, clear."
            )
        if body.get("clear"):
            self.clear(str(body.get("scope", "*")))
            return
        fault = Fault(**body)
        fault.left = fault.fail_count or None
        with self._lock:
            self._faults.insert(0, fault)
            del self._faults[32:]

    def clear(self, scope: str) -> None:
        with self._lock:
            gone = [f for f in self._faults if scope in ("*", f.scope)]
            self._faults = [f for f in self._faults if f not in gone]
        for fault in gone:
            fault.cleared.set()

    def take(self, method: str, reservation_id: str) -> Fault:
        """The fault that this request meets; one without effect when there is none."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, reservation_id):
                    self._count(fault)
                    return fault
        return Fault()

    def _count(self, fault: Fault) -> None:
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                self._faults.remove(fault)


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 over the reservations, through the faults."""

    protocol_version = "HTTP/1.1"
    timeout = IDLE_S_MAX
    disable_nagle_algorithm = True
    reservations: Reservations
    bags: Bags
    faults: Faults
    _retry_after_s = 0

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_DELETE(self) -> None:
        self._answer("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the ledger is the record."""

    def _answer(self, method: str) -> None:
        try:
            body = self._read_body()
            status, answer = self._route(method, body)
        except RefusedError as no:
            status, answer = no.status, no.body
        except (json.JSONDecodeError, TypeError, ValueError) as bad:
            status, answer = 400, {"error": {"code": "bad_request", "message": str(bad)[:200]}}
        except DroppedError:
            self._drop()
            return
        self._send(status, json.dumps(answer).encode())

    def _route(self, method: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            return 200, {"status": "ok"}
        if path == "/ledger" and method == "GET":
            return 200, {"entries": self.reservations.ledger()}
        if path == "/faults":
            self.faults.clear("*") if method == "DELETE" else self.faults.add(body)
            return 200, {"status": "ok"}
        if (found := re.fullmatch(r"/operations/([^/]{1,200})", path)) and method == "GET":
            return 200, self.reservations.operation(found[1])
        if (found := re.fullmatch(r"/bags/([0-9]{1,12})", path)) and method == "GET":
            return 200, self._bag(found[1])
        if (found := re.fullmatch(r"/reservations/([^/]{1,40})(/cancel)?", path)) and (
            method == ("POST" if found[2] else "GET")
        ):
            return self._on_reservation(method, found[1])
        raise RefusedError(404, code="no_such_path", message="There is nothing here.")

    def _on_reservation(self, method: str, reservation_id: str) -> tuple[int, dict[str, Any]]:
        fault = self.faults.take(method, reservation_id)
        fault.pause(fault.latency_ms)
        if fault.hang:
            self._hang(fault)
        if fault.fail_status:
            self._retry_after_s = fault.retry_after_s
            raise RefusedError(fault.fail_status, code="fault", message="The reservation system is down.")
        if method == "GET":
            answer = self.reservations.reservation(reservation_id)
        else:
            answer = self.reservations.cancel(reservation_id, key=self.headers.get("Idempotency-Key", ""))
        if fault.apply_then_hang:
            self._hang(fault)
        if fault.apply_then_drop:
            raise DroppedError
        fault.pause(fault.apply_latency_ms)
        if fault.answer_then_drop:
            self._send(200, json.dumps(answer).encode(), cut=True)
            raise DroppedError
        if fault.garbage:
            self._send(200, b"<html>upstream \x00 says hello</html>")
            raise DroppedError
        return 200, answer

    def _bag(self, bag_tag: str) -> dict[str, Any]:
        if (found := self.bags.bag(bag_tag)) is None:
            raise RefusedError(404, code="not_found", message="There is no such bag.")
        return found

    def _hang(self, fault: Fault) -> None:
        fault.pause(HANG_MS_MAX)
        raise DroppedError

    def _read_body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            raise RefusedError(413, code="too_large", message=f"At most {BODY_BYTES_MAX} bytes.")
        raw = self.rfile.read(length) if length else b""
        body = json.loads(raw) if raw else {}
        if not isinstance(body, dict):
            raise RefusedError(400, code="bad_request", message="The body must be a JSON object.")
        return body

    def _send(self, status: int, payload: bytes, *, cut: bool = False) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            if self._retry_after_s:
                self.send_header("Retry-After", str(self._retry_after_s))
                self._retry_after_s = 0
            self.end_headers()
            self.wfile.write(payload[: len(payload) // 2] if cut else payload)
        except OSError:
            self.close_connection = True

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=0, help="0: a free one")
    options.add_argument("--ledger", type=Path, required=True)
    options.add_argument("--idempotency-keys", choices=("on", "off"), default="on")
    options.add_argument("--ready-file", type=Path)
    options.add_argument("--reservations", type=Path, default=DATA, help="CSV to begin with")
    chosen = options.parse_args()
    keys = chosen.idempotency_keys == "on"

    class Bound(Handler):
        reservations = Reservations(chosen.ledger, keys=keys, data=chosen.reservations)
        bags = Bags()
        faults = Faults()

    try:
        server = Server((chosen.host, chosen.port), Bound)
    except OSError as error:
        sys.exit(f"--port {chosen.port}: expected a free port on {chosen.host} ({error.strerror})")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    if chosen.ready_file:
        part = chosen.ready_file.with_suffix(".part")
        part.write_text(f"{server.server_address[1]}\n")
        os.replace(part, chosen.ready_file)
    print(f"reservations on http://{chosen.host}:{server.server_address[1]}", flush=True)
    stop.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
