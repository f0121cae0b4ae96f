"""Facts of no session, published by policy on the bus."""

from google.protobuf.timestamp_pb2 import Timestamp
from ringback.events.v1 import events_pb2
from ringback_events import Bus, control_subject
from ringback_identity import new_id

from ringback_policy.ports import Clock

__all__ = ["BusControlFacts"]

SCHEMA_VERSION = 1


class BusControlFacts:
    """Publishes on `ringback.control.<kind>`."""

    def __init__(self, bus: Bus, *, clock: Clock) -> None:
        self._bus = bus
        self._clock = clock

    def bundle_activated(self, pack: str, digest: str, *, previous: str, actor: str) -> None:
        """Tells all services that new sessions of a pack get another bundle."""
        now_ms = self._clock()
        fact = events_pb2.ControlFact(
            schema_version=SCHEMA_VERSION,
            producer="policy",
            occurred_at=Timestamp(seconds=now_ms // 1000, nanos=now_ms % 1000 * 1_000_000),
            bundle_activated=events_pb2.BundleActivated(
                pack=pack, bundle_digest=digest, previous_digest=previous, actor=actor
            ),
        )
        subject = control_subject("bundle_activated")
        self._bus.publish(subject, fact.SerializeToString(), msg_id=new_id("ctl"))
