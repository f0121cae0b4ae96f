"""The airline's bundle, compiled once, and requests against it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ringback_identity import canonical_json, digest
from ringback_policy.domain.compiling import compile_bundle
from ringback_policy.domain.evaluating import decide
from ringback_policy.domain.model import Bundle
from ringback_policy.domain.subjects import (
    ActionSubject,
    Consent,
    Decision,
    Fact,
    Request,
    SessionView,
    Subject,
)
from ringback_policy.domain.vocabulary import Gate, SideEffect

ROOT = Path(__file__).parents[3]
NOW_MS = 1_795_000_000_000
TOOLS = {
    "get_reservation": SideEffect.READ,
    "get_bag": SideEffect.READ,
    "cancel_reservation": SideEffect.IRREVERSIBLE,
}
RESERVATION = {
    "reservation_id": "482915",
    "status": "confirmed",
    "origin": "Boston",
    "destination": "Denver",
    "departure_date": "2026-12-04",
    "passenger": "Maria Lopez",
    "cabin": "economy",
    "insurance": False,
    "airline_cancelled": False,
    "hours_since_booking": 5,
    "amount": 240,
    "currency": "USD",
    "payment_method": "Visa ending in 4417",
    "segments_flown": 0,
}
MINIMAL = {
    "interaction.yaml": b'version: "1"\nowner: team\n',
    "domain.yaml": b'version: "1"\nowner: team\n',
    "safety.yaml": b'version: "1"\nowner: team\n',
    "actions.yaml": b'version: "1"\nowner: team\nactions: {look: {}}\n',
}


def spoken(value: str, kind: str, currency: str) -> str:
    """A renderer that leaves values as they are."""
    return f"{value} {currency}".strip() if kind == "money" else value


class Bench:
    """Asks one bundle."""

    now_ms = NOW_MS
    reservation = RESERVATION
    tools = TOOLS
    minimal = MINIMAL
    root = ROOT

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @staticmethod
    def files(pack: str) -> dict[str, bytes]:
        folder = ROOT / "packs" / pack / "bundle"
        return {path.name: path.read_bytes() for path in folder.glob("*.yaml")}

    @staticmethod
    def compiled(pack: str = "tiny", *, tools: dict[str, SideEffect] | None = None, **files: str) -> "Bench":
        """A bench over the smallest bundle with some files replaced; the header is put before each."""
        content = dict(MINIMAL)
        for name, text in files.items():
            content[f"{name}.yaml"] = b'version: "1"\nowner: team\n' + text.encode()
        return Bench(compile_bundle(content, pack=pack, tools=tools).bundle)

    def ask(self, subject: Subject, *, gate: Gate, facts: tuple[Fact, ...] = (), **view: Any) -> Decision:
        return decide(self.bundle, self.request(subject, gate=gate, facts=facts, **view), renderer=spoken)

    def request(self, subject: Subject, *, gate: Gate, facts: tuple[Fact, ...] = (), **view: Any) -> Request:
        session = SessionView("sess_1", tenant="local", **view)
        return Request("dec_1", gate, "local", self.bundle.digest, session, subject, facts, NOW_MS)

    @staticmethod
    def action(
        tool: str = "cancel_reservation",
        arguments: dict[str, Any] | None = None,
        *,
        side_effect: SideEffect = SideEffect.IRREVERSIBLE,
        consent: Consent | None = None,
        client_tool: bool = False,
    ) -> ActionSubject:
        # As the session would send it, also where the session's own checks would have refused it.
        given = {"reservation_id": "482915"} if arguments is None else arguments
        text = json.dumps(given, separators=(",", ":"), sort_keys=True)
        return ActionSubject("act_1", tool, "1.0", text, digest(text), side_effect, consent, client_tool)

    @staticmethod
    def fact(*, age_ms: int = 10, unavailable: bool = False, for_id: str = "482915", **changes: Any) -> Fact:
        arguments = canonical_json({"reservation_id": for_id})
        value = json.dumps({**RESERVATION, **changes})
        return Fact("reservation", "get_reservation", arguments, value, age_ms, unavailable)

    def consent(self, **changes: Any) -> Consent:
        fields = {
            "consent_id": "con_1",
            "arguments_digest": self.action().arguments_digest,
            "given_at_ms": NOW_MS - 500,
            "expires_at_ms": NOW_MS + 20_000,
        }
        return Consent(**{**fields, **changes})

    def cancel(
        self, *, consent: Consent | None = None, view: dict[str, Any] | None = None, **changes: Any
    ) -> Decision:
        """Asks to cancel with the reservation's facts at hand."""
        action = self.action(consent=consent)
        return self.ask(action, gate=Gate.ACTION, facts=(self.fact(**changes),), **(view or {}))


@pytest.fixture(scope="session")
def airline() -> Bench:
    """The airline's bundle against the pack's tools."""
    return Bench(compile_bundle(Bench.files("airline"), pack="airline", tools=TOOLS).bundle)


@pytest.fixture(scope="session")
def bench_of() -> Callable[..., Bench]:
    """Makes a bench over a small bundle of the test's own."""
    return Bench.compiled


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Public data beside the repository; a test that needs it skips where it is absent."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("the public data is not beside the repository (../shared/data)")
    return path
