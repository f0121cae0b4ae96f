"""Publish and subscribe on NATS JetStream, and keep small state there.

    bus = await connect("nats://127.0.0.1:4222", name="memory-1", spool_dir=Path("var/state/memory/spool"))
    await bus.ensure(load_topology(), "memory")
    bus.publish(event_subject("local", "sess_x", "turn_ended"), payload, msg_id="sess_x:1:7")
    await bus.consume("EVENTS", durable="memory", handler=fold)

`MemoryBus` is the twin without a server; both pass the same tests. Errors are drawn in `failures`.
"""

from ringback_events.bus import (
    Backlog,
    Bucket,
    Bus,
    BusStats,
    ConsumePolicy,
    Delivery,
    Entry,
    Handler,
    Objects,
    Start,
    Subscription,
    Tail,
    WatchHandler,
)
from ringback_events.dedupe import Deduper
from ringback_events.failures import BusAway, SpoolFull, WriteUnknown
from ringback_events.memory_broker import MemoryBroker
from ringback_events.memory_bus import MemoryBus
from ringback_events.nats_bus import NatsBus, connect
from ringback_events.nats_link import redacted_url
from ringback_events.publisher import PublisherLimits
from ringback_events.spool import DiskSpool, MemorySpool
from ringback_events.subjects import (
    ALL_AUDIT,
    ALL_CONTROL,
    ALL_EVENTS,
    ALL_FACTS,
    EventSubject,
    FactSubject,
    audit_subject,
    control_subject,
    decisions_subject,
    event_subject,
    fact_subject,
    job_subject,
    parked_subject,
    parse_event_subject,
    parse_fact_subject,
    recorded_decisions,
    replica_subject,
    session_decisions,
    session_events,
    session_facts,
)
from ringback_events.topology import Topology, load_topology

__all__ = [
    "ALL_AUDIT",
    "ALL_CONTROL",
    "ALL_EVENTS",
    "ALL_FACTS",
    "Backlog",
    "Bucket",
    "Bus",
    "BusAway",
    "BusStats",
    "ConsumePolicy",
    "Deduper",
    "Delivery",
    "DiskSpool",
    "Entry",
    "EventSubject",
    "FactSubject",
    "Handler",
    "MemoryBroker",
    "MemoryBus",
    "MemorySpool",
    "NatsBus",
    "Objects",
    "PublisherLimits",
    "SpoolFull",
    "Start",
    "Subscription",
    "Tail",
    "Topology",
    "WatchHandler",
    "WriteUnknown",
    "audit_subject",
    "connect",
    "control_subject",
    "decisions_subject",
    "event_subject",
    "fact_subject",
    "job_subject",
    "load_topology",
    "parked_subject",
    "parse_event_subject",
    "parse_fact_subject",
    "recorded_decisions",
    "redacted_url",
    "replica_subject",
    "session_decisions",
    "session_events",
    "session_facts",
]
