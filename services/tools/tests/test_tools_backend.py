"""The airline's reservation system: its ledger is what every promise of tools is measured against."""

import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.stack

BACKEND = Path(__file__).parents[3] / "packs" / "airline" / "backend" / "reservations.py"
FIELDS = {
    "reservation_id", "status", "origin", "destination", "departure_date", "passenger", "cabin", "insurance",
    "airline_cancelled", "hours_since_booking", "amount", "currency", "payment_method", "segments_flown",
}  # fmt: skip


class System:
    def __init__(self, folder, *, keys="on"):
        command = [
            sys.executable,
            str(BACKEND),
            "--ledger",
            str(folder / "ledger.db"),
            "--idempotency-keys",
            keys,
        ]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().split()[-1]

    def ask(self, method, path, *, key="", body=None, timeout=5):
        data = json.dumps(body).encode() if body is not None else None
        headers = {"Idempotency-Key": key} if key else {}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    def cancel(self, found="482915", key=""):
        return self.ask("POST", f"/reservations/{found}/cancel", key=key)

    def effects(self):
        return self.ask("GET", "/ledger")[1]["entries"]

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


def test_a_reservation_has_exactly_its_fields(tmp_path):
    with System(tmp_path) as system:
        status, found = system.ask("GET", "/reservations/482915")
        assert (status, set(found)) == (200, FIELDS)
        assert system.ask("GET", "/reservations/000000")[0] == 404


def test_the_same_key_gets_the_same_answer_and_one_ledger_line(tmp_path):
    with System(tmp_path) as system:
        first, again, other = system.cancel(key="a"), system.cancel(key="a"), system.cancel(key="b")
        assert first == again
        assert first[1]["refund_amount"] == 240
        assert (other[0], other[1]["error"]["code"]) == (409, "cancelled")
        assert system.cancel("290754", key="a")[0] == 422
        assert len(system.effects()) == 1
        assert system.ask("GET", "/operations/a")[1]["answer"] == first[1]
        assert system.ask("GET", "/operations/c")[0] == 404


def test_without_keys_every_cancellation_books_a_refund(tmp_path):
    with System(tmp_path, keys="off") as system:
        assert system.cancel(key="a") == system.cancel(key="a")
        assert len(system.effects()) == 2
        assert system.ask("GET", "/operations/a")[0] == 501


def test_flown_tickets_are_not_cancelled(tmp_path):
    with System(tmp_path) as system:
        assert system.cancel("159372")[1]["error"]["code"] == "flown"
        assert system.effects() == []


def test_the_ledger_survives_kill_9(tmp_path):
    with System(tmp_path) as system:
        system.cancel(key="a")
        system.process.kill()
        system.process.wait(10)
    with System(tmp_path) as system:
        assert len(system.effects()) == 1
        assert system.ask("GET", "/reservations/482915")[1]["status"] == "cancelled"
        system.cancel(key="a")
        assert len(system.effects()) == 1


def test_faults_hit_their_scope_and_are_counted(tmp_path):
    with System(tmp_path) as system:
        fault = {"scope": "482915", "fail_status": 503, "fail_count": 2, "retry_after_s": 1}
        assert system.ask("POST", "/faults", body=fault)[0] == 200
        statuses = [system.ask("GET", "/reservations/482915")[0] for _ in range(3)]
        assert statuses == [503, 503, 200]
        assert system.ask("GET", "/reservations/731604")[0] == 200
        assert system.ask("POST", "/faults", body={"latency": 1})[0] == 422


@pytest.mark.parametrize("fault", ["apply_then_drop", "answer_then_drop", "apply_then_hang"])
def test_an_effect_may_happen_though_its_answer_is_lost(tmp_path, fault):
    with System(tmp_path) as system:
        system.ask("POST", "/faults", body={"scope": "*", "method": "POST", fault: True, "fail_count": 1})
        with pytest.raises((OSError, http.client.HTTPException)):
            system.ask("POST", "/reservations/482915/cancel", key="a", timeout=0.5)
        assert len(system.effects()) == 1


@pytest.mark.parametrize("body", [b"[1]", b"{", b'{"scope": "*", "latency_ms": 1' + b" " * 20_000 + b"}"])
def test_a_bad_body_is_refused(tmp_path, body):
    with System(tmp_path) as system:
        request = urllib.request.Request(system.url + "/faults", data=body, method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        with refused.value:
            assert 400 <= refused.value.code < 500
