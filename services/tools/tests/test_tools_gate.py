"""What is refused before anything is done, and how the refusal names what was wrong."""

import asyncio

import pytest
from msgspec.structs import replace
from ringback_tools.domain.results import ErrorCode, Status


@pytest.mark.parametrize(
    ("changes", "code", "detail"),
    [
        ({"tool": "sell_reservation"}, ErrorCode.UNKNOWN_TOOL, "tool:"),
        ({"tool_version": "2.0"}, ErrorCode.UNKNOWN_TOOL, "tool_version: expected one that"),
        ({"pack_digest": "sha256:0"}, ErrorCode.UNKNOWN_TOOL, "pack_digest:"),
        ({"arguments_json": "{}"}, ErrorCode.INVALID_ARGUMENTS, "arguments.reservation_id"),
        ({"arguments_json": '{"reservation_id": 482915}'}, ErrorCode.INVALID_ARGUMENTS, "expected string"),
        ({"arguments_json": "[1"}, ErrorCode.INVALID_ARGUMENTS, "arguments"),
        (
            {"arguments_json": '{"reservation_id":"' + "4" * 70_000 + '"}'},
            ErrorCode.INVALID_ARGUMENTS,
            "at most",
        ),
        ({"proof": None}, ErrorCode.FORBIDDEN, "proof:"),
        ({"arguments_json": '{"reservation_id":"290754"}'}, ErrorCode.FORBIDDEN, "proof.mac"),
        ({"tenant": "other"}, ErrorCode.FORBIDDEN, "proof.mac"),
        ({"session_id": "sess_other"}, ErrorCode.FORBIDDEN, "proof.mac"),
        ({"action_id": "act_other"}, ErrorCode.FORBIDDEN, "proof.mac"),
    ],
)
def test_a_wrong_request_is_refused_and_names_the_field(world, kit, changes, code, detail):
    request = replace(world.request(), **changes)
    result = kit.run(kit.result(world.replica(), request))
    assert (result.status, result.error_code) == (Status.ERROR, code)
    assert detail in result.detail
    assert "{" not in result.message
    assert world.ledger.calls == []
    assert world.journal.records == {}


def test_a_missing_scope_is_named(world, kit):
    world.change("get_reservation", scopes=frozenset({"reservations.read"}))
    result = kit.run(kit.result(world.replica(), world.request("get_reservation")))
    assert result.error_code is ErrorCode.FORBIDDEN
    assert "reservations.read" in result.detail


def test_arguments_that_mean_the_same_have_the_same_digest(world, kit):
    request = replace(world.request(), arguments_json=' { "reservation_id" : "482915" } ')
    assert kit.run(kit.result(world.replica(), request)).status is Status.OK


def test_an_expired_proof_starts_nothing_but_learns_the_outcome(world, kit):
    async def scene():
        service = world.replica()
        early = await kit.result(service, world.request(expires_in_ms=-1))
        done = await kit.result(service, world.request())
        late = await kit.result(service, world.request(expires_in_ms=-1))
        return early, done, late

    early, done, late = kit.run(scene())
    assert early.error_code is ErrorCode.NOT_STARTED
    assert done.status is Status.OK
    assert late.already_done


def test_a_false_proof_is_in_the_log_by_its_action_and_an_expired_one_is_not(world, kit, caplog):
    kit.run(kit.result(world.replica(), replace(world.request(), session_id="sess_other")))
    (line,) = [record for record in caplog.records if "false proof" in record.getMessage()]
    assert (line.levelname, line.session_id, line.action_id) == (
        "WARNING",
        "sess_other",
        world.request().action_id,
    )
    caplog.clear()
    kit.run(kit.result(world.replica(), world.request(expires_in_ms=-1)))
    assert "false proof" not in caplog.text


def test_attach_only_never_starts(world, kit):
    result = kit.run(kit.result(world.replica(), world.request(attach_only=True)))
    assert result.error_code is ErrorCode.NOT_STARTED
    assert world.ledger.calls == []


def test_a_lower_epoch_is_fenced_even_for_a_stored_outcome(world, kit):
    async def scene():
        service = world.replica()
        await kit.result(service, world.request(epoch=2))
        old = await kit.result(service, world.request(epoch=1))
        other = await kit.result(service, world.request(epoch=1, ordinal=2))
        return old, other

    old, other = kit.run(scene())
    assert old.error_code is other.error_code is ErrorCode.FENCED
    assert len(world.ledger.entries) == 1


def test_a_higher_epoch_attaches_to_the_running_action_and_fences_the_old_owner(world, kit):
    world.ledger.fates.append(kit.Fate(delay_ms=500))

    async def scene():
        service = world.replica()
        first = asyncio.create_task(kit.result(service, world.request(epoch=1)))
        await kit.passed(100)
        second = asyncio.create_task(kit.result(service, world.request(epoch=2)))
        await kit.passed(100)
        third = await kit.result(service, world.request(epoch=1))
        return await first, await second, third

    first, second, third = kit.run(scene())
    assert first.status is second.status is Status.OK
    assert third.error_code is ErrorCode.FENCED
    assert len(world.ledger.entries) == 1


@pytest.mark.parametrize("wait_ms", [0, 50], ids=["running", "stored"])
def test_one_action_id_for_two_different_things_is_refused(world, kit, wait_ms):
    async def scene():
        service = world.replica()
        request = world.request()
        await kit.result(service, request)
        if wait_ms:
            await kit.passed(wait_ms)
        assert service.executor.running == (0 if wait_ms else 1)
        other = world.request(arguments={"reservation_id": "290754"})
        signed = world.mac.sign(
            tenant="local",
            session_id=other.session_id,
            action_id=request.action_id,
            tool=other.tool,
            tool_version="1.0",
            arguments_digest=__import__("ringback_identity").digest(other.arguments_json),
            decision_id="dec_2",
            consent_id="",
            expires_at_ms=world.now_ms() + 1_000,
        )
        return await kit.result(service, replace(other, action_id=request.action_id, proof=signed))

    result = kit.run(scene())
    assert result.error_code is ErrorCode.INVALID_ARGUMENTS
    assert "action_id" in result.detail
    assert len(world.ledger.entries) == 1


def test_a_newer_minor_version_serves_a_session_that_pinned_an_older_one(world, kit):
    world.change("get_reservation", version="1.3")
    assert kit.run(kit.result(world.replica(), world.request("get_reservation"))).status is Status.OK


def test_a_write_whose_journal_is_away_is_not_started(world, kit):
    world.journal.away = True
    result = kit.run(kit.result(world.replica(), world.request()))
    assert (result.status, result.error_code) == (Status.ERROR, ErrorCode.TOOL_UNAVAILABLE)
    assert result.message.startswith("I could not reach the reservation system, and nothing was changed.")
    assert world.ledger.calls == []


def test_a_read_goes_on_while_the_journal_is_away(world, kit):
    world.journal.away = True
    assert kit.run(kit.result(world.replica(), world.request("get_reservation"))).status is Status.OK
