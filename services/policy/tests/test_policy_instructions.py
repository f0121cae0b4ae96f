"""The composed prompt, against a golden file."""

from pathlib import Path

import pytest
from ringback_errors import NotFound
from ringback_events import MemoryBus
from ringback_packs import PackStore, load_pack, publish_pack
from ringback_policy.adapters.pack_roles import PackRoles
from ringback_policy.domain.instructions import AgentRole, compose
from ringback_policy.domain.vocabulary import SideEffect

GOLDEN = Path(__file__).parent / "golden" / "airline_reservations.txt"


def role(**changes):
    fields = {
        "name": "reservations",
        "role": "I help with airline reservations.\nAsk for the reservation id first.",
        "pack": "airline",
        "pack_version": "1.0.0",
        "tools": {"get_reservation": SideEffect.READ, "cancel_reservation": SideEffect.IRREVERSIBLE},
    }
    return AgentRole(**{**fields, **changes})


def test_the_prompt_is_the_golden_one(airline):
    assert compose(airline.bundle, role()).text == GOLDEN.read_text()


def test_the_order_of_tools_and_handoffs_does_not_matter(airline):
    tools = {"cancel_reservation": SideEffect.IRREVERSIBLE, "get_reservation": SideEffect.READ}
    first = compose(airline.bundle, role(handoffs=("b", "a")))
    assert first == compose(airline.bundle, role(tools=tools, handoffs=("a", "b")))
    assert "You may hand over to: a, b." in first.text


def test_a_pack_without_agents_is_introduced_by_its_bundle_or_its_name(airline, bench_of):
    assert compose(airline.bundle, role(role="")).text.startswith("You are the voice assistant of an airline")
    tiny = bench_of()
    assert compose(tiny.bundle, role(role="", name="front_desk")).text.startswith(
        "You are the agent front desk."
    )


def test_each_part_has_its_version(airline):
    versions = compose(airline.bundle, role()).versions
    assert set(versions) == {"interaction", "domain", "safety", "actions", "agent", "bundle"}
    assert versions["agent"] == "1.0.0"


async def test_the_role_comes_out_of_the_published_pack(airline):
    bus = MemoryBus()
    pack = await publish_pack(bus, load_pack(airline.root / "packs" / "airline"))
    roles = PackRoles(PackStore(bus))
    found = await roles.role(pack, "reservations")
    made = compose(airline.bundle, found)
    assert made.text.splitlines()[0].startswith("I help with airline reservations")
    assert "cancel_reservation: call it when" in made.text
    assert await roles.role(pack, "") == found
    with pytest.raises(NotFound):
        await roles.role(pack, "nobody")
    with pytest.raises(NotFound):
        await roles.role("sha256:" + "0" * 64, "reservations")
    await bus.close()
