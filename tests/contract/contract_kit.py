"""What the contract tests share: the shipped pack, a clock, one call's pins, and released contracts as messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from ringback_events import Bus
from ringback_identity import MacKeys, canonical_json, digest
from ringback_packs import PackStore
from ringback_session.domain.effects import AskPolicy
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import SideEffect, TurnRules
from ringback_session.domain.state import CallState
from ringback_session.domain.view import session_view
from ringback_session.ports import Pinned
from ringback_tools.adapters.clock import LoopClock
from ringback_tools.adapters.facts import BusFacts
from ringback_tools.adapters.memory_jobs import MemoryJobQueue
from ringback_tools.adapters.memory_journal import MemoryJournal
from ringback_tools.adapters.packs import PackCatalogue
from ringback_tools.adapters.pauses import NoPauses
from ringback_tools.adapters.siblings import LocalSiblings
from ringback_tools.adapters.tracing import NoTracing
from ringback_tools.usecases.assembly import Parts, Service, assemble

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "tests" / "contract" / "released"
AIRLINE = ROOT / "packs" / "airline"
SESSION_ID = "sess_contract"
ARGUMENTS = canonical_json({"reservation_id": "482915"})
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


class WallClock:
    """Implements session's `Clock`, as far as adapters use it."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def call_later(self, delay_ms: int, callback: object) -> Any:
        raise AssertionError("an adapter starts no timer")


def pinned(*, bundle: str = "", pack: str = "", epoch: int = 1, **changes: Any) -> Pinned:
    fields = {
        "tenant": "local",
        "session_id": SESSION_ID,
        "pack_digest": pack,
        "bundle_digest": bundle,
        "epoch": epoch,
        "agent": "reservations",
    }
    return Pinned(**{**fields, **changes})


class Unasked:
    """Connectors that lack nothing, and that nobody calls."""

    def lacking(self, spec: Any) -> str:
        return ""


def tools_replica(bus: Bus, keys: MacKeys, *, connectors: Any = None) -> Service:
    """The use cases of tools over a bus; `connectors` stand for what is behind the tools."""
    clock = LoopClock()
    return assemble(
        Parts(
            journal=MemoryJournal(),
            jobs=MemoryJobQueue(),
            siblings=LocalSiblings(),
            catalogue=PackCatalogue(PackStore(bus), settle_ms=1_000),
            connectors=connectors or Unasked(),
            proofs=keys,
            facts=BusFacts(bus, replica="tools-1", clock=clock),
            clock=clock,
            tracing=NoTracing(),
            pauses=NoPauses(),
            roll=lambda: 0.0,
            owner="tools-1#1",
        )
    )


def call_state(**changes: Any) -> CallState:
    fields = {
        "session_id": SESSION_ID,
        "tenant": "local",
        "pack": "airline",
        "pack_digest": "sha256:pack",
        "bundle_digest": "sha256:bundle",
        "agent": "reservations",
        "rules": TurnRules(),
        "tools": {},
        "started_at_ms": 1,
    }
    return CallState(**{**fields, **changes})


def ask_action(*, consent: dict[str, Any] | None = None, **changes: Any) -> AskPolicy:
    """May the reservation be cancelled? As the core asks it."""
    subject = {
        "action_id": "act_1",
        "tool": "cancel_reservation",
        "tool_version": "1.0",
        "arguments_json": ARGUMENTS,
        "arguments_digest": digest(ARGUMENTS),
        "client_tool": False,
        "side_effect": SideEffect.IRREVERSIBLE,
        "consent": consent,
    }
    fields = {
        "decision_id": "dec_1",
        "gate": "action",
        "view": session_view(call_state(), At(now_ms=WallClock().now_ms())),
        "subject": subject,
        "timeout_ms": 5_000,
    }
    return AskPolicy(**{**fields, **changes})


class Wires:
    """The newest released contracts as dynamic messages: an old peer, whatever the generated code has become."""

    def __init__(self) -> None:
        self.files = descriptor_pb2.FileDescriptorSet.FromString(max(RELEASED.glob("*.binpb")).read_bytes())
        self._pool = descriptor_pool.DescriptorPool()
        for file in self.files.file:
            self._pool.Add(file)

    def type(self, name: str) -> type[Message]:
        """A message type by its name below `ringback.`."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"ringback.{name}"))

    def types(self) -> Iterator[type[Message]]:
        """Every message of ours."""
        for file in self.files.file:
            if file.package.startswith("ringback."):
                for message in file.message_type:
                    yield self.type(f"{file.package.removeprefix('ringback.')}.{message.name}")

    def changed(self, change: Any) -> descriptor_pool.DescriptorPool:
        """The contracts after a change of a later release; `change` edits the copy of the files."""
        files = descriptor_pb2.FileDescriptorSet()
        files.CopyFrom(self.files)
        change(files)
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        return pool


def filled(message: Message, *, depth: int = 4) -> Message:
    """Set every field to something; of a oneof the last one stays."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            if depth:
                target = getattr(message, field.name)
                filled(target.add() if field.is_repeated else target, depth=depth - 1)
                if not field.is_repeated:
                    target.SetInParent()
        elif field.is_repeated:
            getattr(message, field.name).append(_sample(field))
        else:
            setattr(message, field.name, _sample(field))
    return message


def _sample(field: FieldDescriptor) -> Any:
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_STRING:
            return b"\x01\x02" if field.type == FieldDescriptor.TYPE_BYTES else f"{field.name} ä"
        case FieldDescriptor.CPPTYPE_BOOL:
            return True
        case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
            return 0.5
        case FieldDescriptor.CPPTYPE_ENUM:
            return field.enum_type.values[-1].number
        case _:
            return 7


def fields_of(descriptor: Descriptor) -> set[str]:
    return {field.name for field in descriptor.fields}
