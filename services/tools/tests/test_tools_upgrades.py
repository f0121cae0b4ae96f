"""Schema drift: two versions side by side, and payloads made for a version that is gone."""

from dataclasses import replace

from msgspec import structs
from ringback_identity import action_id, canonical_json, digest
from ringback_tools.adapters.packs import tools_from_pack
from ringback_tools.domain.catalogue import Upgrade, find
from ringback_tools.domain.results import ErrorCode, Status
from ringback_tools.domain.upgrading import upgraded

OLD = {"booking": "482915", "channel": "voice"}


def signed(world, tool, version, arguments):
    """A request as a session makes it whose pack still has that version."""
    text = canonical_json(arguments)
    effect = action_id(
        session_id="sess_test", tool=tool, major_version=1, arguments_digest=digest(text), ordinal=1
    )
    proof = world.mac.sign(
        tenant="local",
        session_id="sess_test",
        action_id=effect,
        tool=tool,
        tool_version=version,
        arguments_digest=digest(text),
        decision_id="dec_1",
        consent_id="",
        expires_at_ms=world.now_ms() + 600_000,
    )
    request = world.request(tool, arguments={"reservation_id": "482915"})
    return structs.replace(request, action_id=effect, tool_version=version, arguments_json=text, proof=proof)


def drifted(world):
    rule = Upgrade("1.0", rename={"booking": "reservation_id"}, drop=frozenset({"channel"}))
    world.change("cancel_reservation", version="2.0", upgrades=(rule,))


def test_a_payload_of_a_version_that_is_gone_is_upgraded_and_keeps_its_identity_and_proof(world, kit):
    drifted(world)
    request = signed(world, "cancel_reservation", "1.0", OLD)

    async def scene():
        service = world.replica()
        first = await kit.result(service, request)
        second = await kit.result(world.replica("tools-2"), request)
        return first, second

    first, second = kit.run(scene())
    assert first.status is Status.OK
    assert second.already_done
    assert world.ledger.entries == [("482915", request.action_id)]
    record = world.record(request)
    assert (record.tool_version, record.arguments_digest) == ("1.0", digest(canonical_json(OLD)))


def test_an_upgraded_write_in_doubt_is_checked_with_the_upgraded_arguments(keyless, kit):
    drifted(keyless)
    keyless.ledger.fates.append(kit.Fate("apply_and_hang"))
    result = kit.run(kit.result(keyless.replica(), signed(keyless, "cancel_reservation", "1.0", OLD)))
    assert result.status is Status.OK
    assert len(keyless.ledger.entries) == 1


def test_a_payload_that_the_upgrade_does_not_make_fit_is_refused_by_field(world, kit):
    drifted(world)
    request = signed(world, "cancel_reservation", "1.0", {"booking": 7})
    result = kit.run(kit.result(world.replica(), request))
    assert result.error_code is ErrorCode.INVALID_ARGUMENTS
    assert "reservation_id" in result.detail
    assert world.ledger.calls == []


def test_a_newer_minor_version_with_a_new_default_takes_an_old_signed_payload(world, kit):
    tool = world.tool("cancel_reservation")
    parameters = {**tool.parameters, "properties": {**tool.parameters["properties"], "fee": {"default": 0}}}
    world.change("cancel_reservation", version="1.4", parameters=parameters)
    request = signed(world, "cancel_reservation", "1.0", {"reservation_id": "482915"})
    assert kit.run(kit.result(world.replica(), request)).status is Status.OK


def test_two_versions_stand_side_by_side_and_each_is_called_itself(world, kit):
    old = world.tool("get_reservation")
    new = replace(old, version="2.0", description="newer")
    world.catalogue.all = (*world.catalogue.all, new)
    assert find(world.catalogue.all, "get_reservation", version="1.0") is old
    assert find(world.catalogue.all, "get_reservation", version="2.0") is new
    assert find(world.catalogue.all, "get_reservation", version="1.9") is old
    assert find(world.catalogue.all, "get_reservation", version="") is new
    assert find(world.catalogue.all, "get_reservation", version="3.0") is None
    assert kit.run(kit.result(world.replica(), world.request("get_reservation"))).status is Status.OK


def test_an_upgrade_renames_drops_and_gives_what_is_absent(world):
    rule = Upgrade("1.0", rename={"a": "b"}, drop=frozenset({"c"}), given={"b": 9, "d": 4})
    tool = replace(world.tool("get_reservation"), upgrades=(rule,))
    assert upgraded(tool, {"a": 1, "c": 2, "e": 3}, version="1.0") == {"b": 1, "d": 4, "e": 3}
    assert upgraded(tool, {"c": 2}, version="1.0") == {"b": 9, "d": 4}
    assert upgraded(tool, {"a": 1}, version="1.1") == {"a": 1}


def test_the_shipped_pack_says_its_own_settling_time_and_sentences(world):
    spec = world.catalogue.pack.tool("cancel_reservation")
    tool = next(one for one in tools_from_pack(world.catalogue.pack) if one.name == "cancel_reservation")
    assert tool.check.settle_ms == spec.check.settle_ms
    assert set(tool.error_messages) == {"unknown_outcome", "not_done"}
