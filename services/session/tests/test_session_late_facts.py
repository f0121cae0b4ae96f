"""Late facts reach the owner of their session: one tail for all calls that began here, the past for one taken over."""

import asyncio

import pytest
from ringback.events.v1 import events_pb2
from ringback_errors import Unavailable
from ringback_events import MemoryBroker, MemoryBus, fact_subject
from ringback_session.adapters.late_facts_bus import LateFactsOnBus
from ringback_session.domain.inputs import ActionReconciled
from ringback_session.ports import Pinned

# One tail of facts and one of switches, for all calls of a replica.
SHARED = 2


def pinned(session_id, *, epoch=1):
    return Pinned(
        tenant="local", session_id=session_id, pack_digest="p", bundle_digest="b", epoch=epoch, agent="a"
    )


class House:
    """A bus, and whoever follows on it."""

    def __init__(self):
        self.bus = MemoryBus(MemoryBroker())
        self.late = LateFactsOnBus(self.bus)

    async def follows(self, session_id, *, epoch=1):
        heard = []
        stop = await self.late.follow(pinned(session_id, epoch=epoch), heard.append)
        return heard, stop

    async def tells(self, session_id, action_id, *, seq=1):
        fact = events_pb2.LateFact(producer="tools-0", producer_seq=seq)
        fact.action_reconciled.action_id = action_id
        fact.action_reconciled.status = events_pb2.ACTION_STATUS_OK
        await self.bus.publish_now(
            fact_subject("tools", "local", session_id),
            fact.SerializeToString(),
            msg_id=f"{session_id}{action_id}{seq}",
        )
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def house():
    made = House()
    yield made
    await made.bus.close()


def actions(heard):
    return [fact.action_id for fact in heard if isinstance(fact, ActionReconciled)]


async def test_each_session_hears_its_own_and_all_share_their_tails(house):
    followed = {number: await house.follows(f"sess_{number}") for number in range(20)}
    assert len(house.bus._subscriptions) == SHARED
    for number in (3, 7):
        await house.tells(f"sess_{number}", f"act_{number}")
    assert {number: actions(heard) for number, (heard, _) in followed.items() if heard} == {
        3: ["act_3"],
        7: ["act_7"],
    }


async def test_who_stopped_hears_nothing_and_is_forgotten(house):
    heard, stop = await house.follows("sess_1")
    await stop()
    await house.tells("sess_1", "act_1")
    assert heard == []
    assert not house.late._takers


async def test_what_is_told_twice_is_heard_once(house):
    heard, _ = await house.follows("sess_1")
    await house.tells("sess_1", "act_1", seq=1)
    await house.tells("sess_1", "act_1", seq=2)
    house.bus.broker.streams["FACTS"]._ids.clear()
    await house.tells("sess_1", "act_1", seq=1)
    assert len(heard) == 2


async def test_a_session_that_was_taken_over_hears_what_was_told_before(house):
    first, _ = await house.follows("sess_1")
    await house.tells("sess_1", "act_1")
    await house.tells("sess_2", "act_2")
    heir, stop = await house.follows("sess_1", epoch=2)
    await house.tells("sess_1", "act_3", seq=2)
    assert actions(first) == actions(heir) == ["act_1", "act_3"]
    await stop()
    assert len(house.bus._subscriptions) == SHARED


async def test_two_owners_of_one_session_for_a_moment_both_hear(house):
    first, stop = await house.follows("sess_1")
    second, _ = await house.follows("sess_1")
    await stop()
    await house.tells("sess_1", "act_1")
    assert (actions(first), actions(second)) == ([], ["act_1"])


async def test_a_bus_that_is_away_is_said_so_and_the_next_one_is_followed(house):
    house.bus.broker.stop()
    with pytest.raises(Unavailable):
        await house.follows("sess_1")
    assert not house.late._takers
    house.bus.broker.start()
    heard, _ = await house.follows("sess_2")
    await house.tells("sess_2", "act_2")
    assert actions(heard) == ["act_2"]
