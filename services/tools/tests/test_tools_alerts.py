"""A burst of refused credentials: one alert, no retry storm, over when a call is answered again."""

from msgspec.structs import replace
from ringback_tools.domain.alerts import WINDOW_MS, Alert, Burst, answered, refused
from ringback_tools.domain.results import Answered, ErrorCode, Failed


class Locked:
    """A system that refuses our credential until the lock is opened."""

    def __init__(self):
        self.locked = True
        self.calls = 0

    async def call(self, call):
        self.calls += 1
        if self.locked:
            return Failed(ErrorCode.AUTH, definitive=True, blames=False, status=401)
        return Answered({"ok": True}, status=200, body={"ok": True})


def test_a_burst_opens_one_alert_and_nothing_is_retried(world, kit):
    locked = Locked()
    world.change("get_reservation", result={}, ok_messages=())

    async def scene():
        service = world.replica(connectors=locked)
        for n in range(8):
            request = replace(world.request("get_reservation"), action_id=f"act_{n}")
            result = await kit.result(service, request)
            assert (result.error_code, result.attempts) == (ErrorCode.AUTH, 1)
            assert result.message == "I could not reach the reservation system. " + (
                "I have made a note, and someone will call you back."
            )
        assert locked.calls == 8
        locked.locked = False
        await kit.result(service, replace(world.request("get_reservation"), action_id="act_9"))

    kit.run(scene())
    opened, closed = world.facts.alerts
    assert (opened.name, opened.subject, opened.open) == ("auth", "airline_reservations", True)
    assert closed == Alert("auth", "airline_reservations", False)


def test_refusals_far_apart_are_no_burst():
    burst = Burst()
    for n in range(20):
        burst = refused(burst, now_ms=n * WINDOW_MS)
    assert not burst.open
    for n in range(5):
        burst = refused(burst, now_ms=10**9 + n)
    assert burst.open
    assert answered(burst) == Burst()


def test_what_only_an_operator_can_mend_is_in_the_log_once(world, kit, caplog):
    class Nowhere:
        async def call(self, call):
            detail = "no address is set for connector airline_reservations"
            return Failed(ErrorCode.TOOL_UNAVAILABLE, blames=False, detail=detail)

    async def scene():
        service = world.replica(connectors=Nowhere())
        for ordinal in range(1, 8):
            await kit.result(service, world.request("get_reservation", ordinal=ordinal))

    kit.run(scene())
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "get_reservation cannot run: no address is set for connector airline_reservations"
    ]
