"""What the calls of one replica stand on: everything outside, and their bounds."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ringback_session.domain.prices import PriceTable
from ringback_session.domain.state import CallState
from ringback_session.ports import (
    Clock,
    Facts,
    LateFacts,
    Memory,
    Models,
    Owners,
    Packs,
    Policy,
    Records,
    TextModel,
    Tools,
    Tracing,
)
from ringback_session.ports_upkeep import Meters, Presence
from ringback_session.ports_voice import Voice
from ringback_session.usecases.admission import AdmissionLimits
from ringback_session.usecases.bounds import Limits
from ringback_session.usecases.ledger import Ledger
from ringback_session.usecases.recording import Recorder, Unrecorded

__all__ = ["CallsSettings", "Services"]


class Services(msgspec.Struct, frozen=True):
    """Everything outside that a call needs."""

    policy: Policy
    tools: Tools
    memory: Memory
    packs: Packs
    records: Records
    facts: Facts
    late_facts: LateFacts
    models: Models
    clock: Clock
    tracing: Callable[[], Tracing]
    presence: Presence
    meters: Meters
    prices: PriceTable
    text: TextModel | None = None
    voice: Voice | None = None
    ledger: Ledger | None = None
    owners: Owners | None = None
    recorder: Callable[[CallState], Recorder] = Unrecorded


class CallsSettings(msgspec.Struct, frozen=True):
    """Bounds of this replica; `model` is what a client that names none gets told."""

    model: str
    admission: AdmissionLimits = AdmissionLimits()
    limits: Limits = Limits()
