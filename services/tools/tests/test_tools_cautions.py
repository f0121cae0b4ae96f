"""A write whose check cannot run is as one without a check: said at load and in ListTools, and never in false doubt."""

import asyncio
import dataclasses

import pytest
from ringback_tools.adapters.connectors import ConnectorsByKind
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.http import HttpConnector
from ringback_tools.domain.catalogue import CheckRule, Condition, ConnectorSpec, SideEffect, Tool
from ringback_tools.domain.checking import caution
from ringback_tools.domain.results import Status
from ringback_tools.usecases.listing import Offer
from ringback_tools.wire import offer_to_wire

SPEC = ConnectorSpec("http", {"method": "GET", "url": "/x"})
CHECK = CheckRule(SPEC, done_when=Condition(status=(200,)))
NO_ADDRESS = "no address is set"


def write(**changes):
    given = {"side_effect": SideEffect.WRITE, "parameters": {}, "connector": SPEC, **changes}
    return Tool("order", "1.0", "Orders.", **given)


@pytest.mark.parametrize(
    ("tool", "lacks", "said"),
    [
        (write(side_effect=SideEffect.READ), "", ""),
        (write(side_effect=SideEffect.READ, check=CHECK), NO_ADDRESS, ""),
        (write(key_field="Key"), "", ""),
        (write(check=CHECK), "", ""),
        (write(key_field="Key", check=CHECK), "", ""),
        (write(), "", "neither a key nor a check: attempted once, a lost answer stays unknown"),
        (
            write(check=CHECK),
            NO_ADDRESS,
            "its check cannot run: no address is set; attempted once, a lost answer stays unknown until it can",
        ),
        (
            write(key_field="Key", check=CHECK),
            NO_ADDRESS,
            "its check cannot run: no address is set; a lost answer stays unknown until it can",
        ),
    ],
)
def test_why_it_may_stay_unknown_what_became_of_a_write_is_said(tool, lacks, said):
    assert caution(tool, check_lacks=lacks) == said
    assert offer_to_wire(Offer(tool, caution=said)).caution == said


def uncheckable(world):
    """The pack's cancellation, its check at a system whose address nobody has set."""
    check = world.tool("cancel_reservation").check
    elsewhere = ConnectorSpec("http", {**check.connector.options, "base_url_ref": "elsewhere"})
    world.change("cancel_reservation", check=dataclasses.replace(check, connector=elsewhere))


async def test_a_check_that_cannot_run_is_said_when_the_pack_is_loaded_and_listed(world, caplog):
    uncheckable(world)
    addresses = {"airline_reservations": "http://127.0.0.1:1"}
    connectors = ConnectorsByKind({"http": HttpConnector(addresses=addresses, credentials=Credentials(None))})
    try:
        await connectors.prepare(world.catalogue.all)
        offers = await world.replica(connectors=connectors).listing.list(
            pack_digest=world.catalogue.pack.digest, agent="reservations", scopes=()
        )
    finally:
        await connectors.close()
    why = "no address is set for connector elsewhere (RINGBACK_CONNECTOR_ELSEWHERE)"
    (record,) = caplog.records
    assert record.getMessage().startswith(f"cancel_reservation 1.0: its check cannot run: {why};")
    found = {offer.tool.name: offer for offer in offers}
    assert found["cancel_reservation"].unavailable_reason == ""
    assert found["cancel_reservation"].caution.startswith(f"its check cannot run: {why};")
    assert found["get_reservation"].caution == ""


def blind(world):
    """The ledger, whose check lacks its secret until `sees`."""
    world.ledger.sees = False
    lacking = "no secret is set for credential desk"
    world.ledger.lacking = lambda spec: (
        "" if world.ledger.sees or spec.options["method"] == "POST" else lacking
    )


def test_a_write_whose_check_cannot_run_is_admitted_before_it_is_attempted(keyless, kit):
    blind(keyless)
    states = []
    create, update = keyless.journal.create, keyless.journal.update

    async def created(record):
        states.append(record.state)
        return await create(record)

    async def updated(stored, record):
        states.append(record.state)
        return await update(stored, record)

    keyless.journal.create, keyless.journal.update = created, updated
    assert kit.run(kit.result(keyless.replica(), keyless.request())).status is Status.OK
    assert states == ["admitted", "attempting", "finished"]


def test_a_lost_answer_is_unknown_at_once_while_the_check_cannot_run_and_known_when_it_can(keyless, kit):
    blind(keyless)
    keyless.ledger.fates.append(kit.Fate("drop_after"))

    async def scene():
        service = keyless.replica()
        background = asyncio.create_task(service.reconciler.run())
        told = await kit.result(service, keyless.request())
        took_ms = keyless.clock.elapsed_ms()
        keyless.ledger.sees = True
        await kit.passed(600_000)
        background.cancel()
        return told, took_ms, await kit.result(service, keyless.request())

    told, took_ms, later = kit.run(scene())
    assert (told.status, took_ms < 1_000) == (Status.UNKNOWN_OUTCOME, True)
    assert (later.status, later.already_done) == (Status.OK, True)
    assert len(keyless.ledger.entries) == 1
