"""The kill switch: what is switched off does not start, says so, and what ran before keeps its outcome."""

import pytest
from ringback.events.v1 import events_pb2
from ringback_events import Delivery, MemoryBus, control_subject
from ringback_tools.adapters.control import follow_switches
from ringback_tools.domain.results import ErrorCode, FallbackKind, Status
from ringback_tools.usecases.switches import Switches


def fact(tool, *, off, reason="drill"):
    said = events_pb2.ControlFact(schema_version=1, producer="cli")
    said.tool_disabled.CopyFrom(events_pb2.ToolDisabled(tool=tool, disabled=off, reason=reason, actor="ann"))
    return said.SerializeToString()


@pytest.mark.parametrize("tool", ["get_reservation", "cancel_reservation"])
def test_a_tool_that_is_off_does_not_start_and_gives_its_fallback(world, kit, tool):
    async def scene():
        service = world.replica()
        service.switches.turn(tool, off=True, reason="drill")
        off = await kit.result(service, world.request(tool))
        assert (off.status, off.error_code) == (Status.ERROR, ErrorCode.TOOL_UNAVAILABLE)
        assert off.fallback.kind is FallbackKind.CALLBACK
        assert world.ledger.calls == []
        service.switches.turn(tool, off=False, reason="over")
        await kit.passed(1)
        return await kit.result(service, world.request(tool))

    assert kit.run(scene()).status is Status.OK


def test_one_version_may_be_off_while_others_run(world, kit):
    service = kit.run(_made(world))
    service.switches.turn("get_reservation@2.0", off=True, reason="drill")
    assert kit.run(kit.result(service, world.request("get_reservation"))).status is Status.OK
    service.switches.turn("get_reservation@1.0", off=True, reason="drill")
    assert kit.run(kit.result(service, world.request("get_reservation"))).error_code is not None


def test_switching_off_between_attempts_ends_the_retries(world, kit):
    world.ledger.read_fates.extend([kit.Fate("away"), kit.Fate("away")])

    async def scene():
        service = world.replica()
        found = []
        async for event in service.executor.execute(world.request("get_reservation")):
            if type(event).__name__ == "Attempting":
                service.switches.turn("get_reservation", off=True, reason="drill")
            found.append(event)
        return found[-1].result

    result = kit.run(scene())
    assert (result.error_code, result.attempts) == (ErrorCode.TOOL_UNAVAILABLE, 1)


async def _made(world):
    return world.replica()


async def _listed(world):
    service = world.replica()
    service.switches.turn("cancel_reservation", off=True, reason="the desk asked")
    return await service.listing.list(
        pack_digest=world.catalogue.pack.digest, agent="reservations", scopes=()
    )


def test_list_tools_says_which_are_off_and_why(world, kit):
    offers = {offer.tool.name: offer.unavailable_reason for offer in kit.run(_listed(world))}
    assert offers == {"get_reservation": "", "cancel_reservation": "switched off: the desk asked"}


async def test_every_replica_follows_the_control_stream_from_its_start():
    bus = MemoryBus()
    try:
        subject = control_subject("tool_disabled")
        for n, (tool, off) in enumerate([("a", True), ("b", True), ("a", False)]):
            await bus.publish_now(subject, fact(tool, off=off), msg_id=f"ctl_{n}")
        await bus.publish_now(subject, b"\xff\xff", msg_id="garbage")
        late, early = Switches(), Switches()
        await follow_switches(bus, early)
        await follow_switches(bus, late)
        assert late._off == early._off == {"b": "drill"}
        await bus.publish_now(subject, fact("c", off=True), msg_id="ctl_9")
        # A further tail that has caught up comes after the others.
        await follow_switches(bus, Switches())
        assert set(early._off) == {"b", "c"}
    finally:
        await bus.close()


def test_a_delivery_names_its_subject():
    assert Delivery(control_subject("tool_disabled"), b"", {}, 1).subject.endswith("tool_disabled")
