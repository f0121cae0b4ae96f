"""The chain of audit entries as a reader finds it on the stream, which may deliver them twice."""

from ringback_events import MemoryBroker, MemoryBus
from ringback_policy.adapters.audit_trail import AuditChain, chain_breaks, read_entries
from ringback_policy.domain.auditing import ChangeRecord


class KeepingBus(MemoryBus):
    """Keeps what is published on it."""

    def __init__(self, broker):
        super().__init__(broker)
        self.payloads = []

    def publish(self, subject, payload, **more):
        self.payloads.append(payload)
        super().publish(subject, payload, **more)


async def test_entries_that_are_delivered_twice_break_no_chain_and_a_missing_one_does():
    bus = KeepingBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    for kind in ("stage", "canary", "promote"):
        chain.append(ChangeRecord(at_ms=1, tenant="local", kind=kind))
    entries = [entry for payload in bus.payloads for entry in read_entries(payload)]
    assert chain_breaks([*entries, *entries]) == []
    assert chain_breaks([entries[0], entries[2]]) == ["one: entries 2 to 2 are missing"]
    await bus.close()
