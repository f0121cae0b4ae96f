"""How a pack's agents are joined: contracts of hand-overs, consulted text agents, the generalist."""

from __future__ import annotations

from pathlib import Path

import pytest
from ringback_packs import PackError, load_files

SAMPLE = Path(__file__).parent / "sample"
PACK = """\
name: desk
version: 1.0.0
default_agent: front
generalist: front
handoff_depth_max: 3
agents:
  - name: front
    role: I help with anything.
    notes: true
    handoffs:
      - to: baggage
        when: A bag is late or lost.
        slots:
          bag_tag: {type: string, pattern: "^[0-9]{6}$", description: The six-digit number of the bag tag.}
          colour: {type: string}
        required: [bag_tag]
    consult:
      agent: backroom
      when: A question about the rules.
      steps_max: 4
      deadline_ms: 9000
      fallback: person
      say: I could not find that out.
  - name: baggage
    role: I find bags.
    takeover: This is baggage.
    handoffs: [{to: front, when: Anything else.}]
  - name: backroom
    kind: text
    role: You answer questions about the rules.
    tools: [read_note]
"""


def files(text: str = PACK) -> dict[str, bytes]:
    found = {path.relative_to(SAMPLE).as_posix(): path.read_bytes() for path in SAMPLE.rglob("*.yaml")}
    return {**found, "pack.yaml": text.encode()}


def test_an_agent_graph_loads_with_its_contracts() -> None:
    pack = load_files(files())
    assert (pack.generalist, pack.handoff_depth_max) == ("front", 3)
    front, baggage, backroom = pack.agents
    assert (front.handoffs[0].required, set(front.handoffs[0].slots)) == (("bag_tag",), {"bag_tag", "colour"})
    assert front.consult is not None
    assert (front.consult.agent, front.consult.steps_max, front.consult.fallback) == ("backroom", 4, "person")
    assert (front.notes, baggage.notes, baggage.takeover) == (True, False, "This is baggage.")
    assert (backroom.kind, [tool.name for tool in pack.tools_of("backroom")]) == ("text", ["read_note"])


def test_without_a_word_on_it_the_default_agent_is_the_generalist() -> None:
    assert load_files(files(PACK.replace("generalist: front\n", ""))).generalist == "front"


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        ("generalist: front", "generalist: frunt", "generalist", "did you mean 'front'?"),
        ("generalist: front", "generalist: backroom", "generalist", "one of front, baggage expected"),
        ("default_agent: front", "default_agent: backroom", "default_agent", "one of front, baggage"),
        ("to: baggage", "to: backroom", "agents[0].handoffs", "another agent of this pack"),
        ("required: [bag_tag]", "required: [bagtag]", "agents[0].handoffs[0].required", "did you mean"),
        (
            "          colour: {type: string}",
            "          reason: {type: string}",
            "reason",
            "always handed over",
        ),
        ("{type: string}", "{type: strong}", "colour", "valid JSON Schema expected"),
        ("agent: backroom", "agent: baggage", "agents[0].consult", "an agent of kind text expected"),
        ("steps_max: 4", "steps_max: 40", "steps_max", "from 1 to 16"),
        ("kind: text", "kind: silent", "kind", "one of voice, text expected"),
        ("kind: text", "kind: text\n    greeting: Hello.", "agents[2].greeting", "no 'greeting' expected"),
        (
            "handoffs: [{to: front, when: Anything else.}]",
            "handoffs: [{to: front, when: Anything else.}, {to: front, when: Twice.}]",
            "agents[1].handoffs",
            "each agent once",
        ),
        ("tools: [read_note]", "tools: [note]", "agents[2].tools", "a function of the platform"),
    ],
)
def test_what_is_wrong_with_a_graph_is_told_with_its_field(
    old: str, new: str, field: str, message: str
) -> None:
    assert PACK.count(old) >= 1
    with pytest.raises(PackError) as caught:
        load_files(files(PACK.replace(old, new, 1)))
    found = [one for one in caught.value.findings if one.severity == "error"]
    assert any(field in one.field and message in one.message for one in found), found
