"""Owns the conversion between the contracts' messages and the domain's types."""

from ringback_memory.wire.answers import context_to_wire, packet_to_wire
from ringback_memory.wire.callers import caller_to_wire, consent_from_wire, erasure_to_wire
from ringback_memory.wire.facts import event_from_bytes, event_from_wire, late_fact_from_bytes

__all__ = [
    "caller_to_wire",
    "consent_from_wire",
    "context_to_wire",
    "erasure_to_wire",
    "event_from_bytes",
    "event_from_wire",
    "late_fact_from_bytes",
    "packet_to_wire",
]
