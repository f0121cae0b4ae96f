"""The airline's booking system for measurements: reservations, customers and flights of a folder of recorded data.

A process of its own, standard library only. `POST /replay/reset` brings the recorded state back, `POST /replay/apply`
does what a recording did, whatever the policy says of it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from booking_state import OPERATIONS, Bookings, Json, RefusedError

BODY_BYTES_MAX = 1_048_576


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
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
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
