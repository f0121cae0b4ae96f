"""The audit under a bus that can keep no more."""

import asyncio

import pytest
from ringback.policy.v1 import audit_pb2
from ringback_errors import InvalidInput, Overloaded
from ringback_events import MemoryBroker, MemoryBus, SpoolFull
from ringback_policy.adapters.audit_trail import AuditChain, chain_breaks
from ringback_policy.domain.auditing import ChangeRecord


class FullBus(MemoryBus):
    """A bus whose spool is full while it is told so."""

    full = False

    def publish(self, subject, payload, **more):
        if self.full:
            raise SpoolFull("full")
        super().publish(subject, payload, **more)


def change(kind):
    return ChangeRecord(at_ms=1, tenant="local", kind=kind)


async def turn():
    """Lets the event loop run what is due."""
    done = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(done.set_result, None)
    await done


async def test_what_cannot_be_audited_is_refused_and_nothing_is_lost_or_doubled_after():
    bus = FullBus(MemoryBroker())
    chain = AuditChain(bus, replica="one")
    chain.append(change("a"))
    await turn()
    bus.full = True
    chain.append(change("b"))
    await turn()
    for _ in range(2):
        with pytest.raises(Overloaded):
            chain.append(change("c"))
    bus.full = False
    chain.append(change("d"))
    await turn()
    await bus.flush()
    kinds = [entry.change.kind for entry in entries(bus)]
    assert kinds == ["a", "b", "d"]
    assert chain_breaks(entries(bus)) == []
    await bus.close()


async def test_a_tenant_that_is_no_name_is_refused_at_once():
    bus = MemoryBus()
    chain = AuditChain(bus, replica="one")
    with pytest.raises(InvalidInput):
        chain.append(ChangeRecord(at_ms=1, tenant="a b", kind="x"))
    chain.append(change("after"))
    await turn()
    await bus.flush()
    assert [entry.change.kind for entry in entries(bus)] == ["after"]
    await bus.close()


def entries(bus):
    found = []
    for stored in bus.broker.streams["AUDIT"].messages:
        entry = audit_pb2.AuditEntry()
        entry.ParseFromString(stored.message.payload)
        found.append(entry)
    return found
