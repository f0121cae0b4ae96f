"""A tool that an operator switches off is offered no more within a running call, and again when it is back."""

import asyncio

import pytest
from ringback.events.v1 import events_pb2
from ringback_errors import Unavailable
from ringback_events import MemoryBroker, MemoryBus, control_subject
from ringback_session.adapters.tool_switches_bus import SwitchesOnBus
from ringback_session.domain import effects as fx
from ringback_session.domain.switching import offered
from ringback_session.domain.upkeep import ToolsSwitched
from session_call_kit import World


def names(call):
    state = call.state
    return {tool.name for tool in offered(state.tools.values(), off=state.team.tools_off)}


@pytest.mark.parametrize("off", ["add_note", "add_note@1.2"])
def test_the_model_is_told_when_its_tools_change_and_only_then(call, off):
    everything = names(call)
    call.do(ToolsSwitched(off=("another_packs_tool", "add_note@9.9")))
    assert not call.new(fx.Reconfigure)
    call.do(ToolsSwitched(off=(off,)))
    assert call.one(fx.Reconfigure)
    assert names(call) == everything - {"add_note"}
    call.do(ToolsSwitched(off=(off, "another_packs_tool")))
    assert not call.new(fx.Reconfigure)
    call.do(ToolsSwitched())
    assert call.one(fx.Reconfigure)
    assert names(call) == everything


async def test_a_running_call_offers_what_is_on():
    world = World()
    call, _client = await world.start()

    def shown():
        return {tool["name"] for tool in world.upstream.got("session.update")[-1]["session"]["tools"]}

    assert "add_note" in shown()
    call.feed(ToolsSwitched(off=("add_note",)))
    await world.settle()
    assert "add_note" not in shown()
    call.feed(ToolsSwitched())
    await world.settle()
    assert "add_note" in shown()
    await world.close()


async def test_a_call_that_begins_is_never_offered_what_is_off_already():
    world = World()
    world.late_facts.off = ("add_note",)
    call, _client = await world.start()
    await world.settle()
    updates = world.upstream.got("session.update")
    assert updates
    for update in updates:
        assert "add_note" not in {tool["name"] for tool in update["session"].get("tools", ())}
    call.feed(ToolsSwitched(off=("add_note",)))
    await world.settle()
    assert len(world.upstream.got("session.update")) == len(updates), "what it knows is no news"
    call.feed(ToolsSwitched())
    await world.settle()
    shown = world.upstream.got("session.update")[-1]["session"]["tools"]
    assert "add_note" in {tool["name"] for tool in shown}
    await world.close()


class Desk:
    """An operator's switches on a bus, and calls that follow them."""

    def __init__(self):
        self.bus = MemoryBus(MemoryBroker())
        self.switches = SwitchesOnBus(self.bus)
        self._said = 0

    async def follows(self, *, heir=False):
        heard = []
        stop = await self.switches.follow(heard.append, heir=heir)
        return heard, stop

    async def switches_tool(self, tool, *, off=True):
        self._said += 1
        fact = events_pb2.ControlFact(tool_disabled=events_pb2.ToolDisabled(tool=tool, disabled=off))
        await self.publish(fact.SerializeToString())

    async def publish(self, payload):
        self._said += 1
        await self.bus.publish_now(control_subject("tool_disabled"), payload, msg_id=f"ctl{self._said}")
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def desk():
    made = Desk()
    yield made
    await made.bus.close()


def sets(heard):
    return [set(event.off) for event in heard]


async def test_every_call_of_a_replica_hears_each_change_by_one_tail(desk):
    followed = [await desk.follows() for _ in range(20)]
    assert len(desk.bus._subscriptions) == 1
    await desk.switches_tool("book")
    await desk.switches_tool("book")
    await desk.switches_tool("pay@1.2")
    await desk.switches_tool("book", off=False)
    assert [sets(heard) for heard, _ in followed] == [[{"book"}, {"book", "pay@1.2"}, {"pay@1.2"}]] * 20


async def test_a_call_hears_at_its_start_what_is_off_and_an_heir_also_that_nothing_is(desk):
    assert (sets((await desk.follows())[0]), sets((await desk.follows(heir=True))[0])) == ([], [set()])
    await desk.switches_tool("book")
    assert sets((await desk.follows())[0]) == [{"book"}]
    again = SwitchesOnBus(desk.bus)
    heard = []
    await again.follow(heard.append, heir=False)
    assert sets(heard) == [{"book"}], "another replica reads what was said before"


async def test_what_is_off_can_be_had_at_once_by_whoever_begins(desk):
    assert await desk.switches.off() == ()
    await desk.switches_tool("book")
    assert await desk.switches.off() == ("book",)
    assert await SwitchesOnBus(desk.bus).off() == ("book",), "another replica reads what was said before"


async def test_a_call_that_began_with_what_is_on_again_is_told(desk):
    await desk.switches_tool("book")
    began_with = await desk.switches.off()
    await desk.switches_tool("book", off=False)
    heard, _ = await desk.follows()
    assert (began_with, sets(heard)) == (("book",), [set()])


async def test_nothing_counts_as_off_while_the_bus_is_away(desk):
    desk.bus.broker.stop()
    assert await desk.switches.off() == ()


async def test_who_stopped_hears_nothing_and_nonsense_stops_nobody(desk):
    heard, stop = await desk.follows()
    other, _ = await desk.follows()
    stop()
    stop()
    await desk.publish(b"\xff\xff")
    await desk.switches_tool("book")
    assert (sets(heard), sets(other)) == ([], [{"book"}])


async def test_a_bus_that_is_away_is_said_so_and_followed_later(desk):
    desk.bus.broker.stop()
    with pytest.raises(Unavailable):
        await desk.follows()
    desk.bus.broker.start()
    await desk.switches_tool("book")
    assert sets((await desk.follows())[0]) == [{"book"}]
