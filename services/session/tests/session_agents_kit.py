"""A pack's agents for tests of the core and of whole calls: a front desk, baggage, seats, and a text supervisor."""

import json

from ringback_session.domain.agents import AgentCard, AgentOutline, Contract, Graph
from ringback_session.domain.consultation import ConsultRules
from ringback_session.domain.functions import made_for
from ringback_session.usecases.agents import team_of
from session_core_kit import TOOLS, new_state

TAG = json.dumps({"type": "string", "pattern": "^[0-9]{6}$", "description": "The number of the bag tag."})
CONSULT = ConsultRules(agent="backroom", when="A question about rules.", say="I could not find that out.")
GRAPH = Graph(
    outlines={
        "front": AgentOutline(
            name="front",
            greeting="Welcome.",
            takeover="This is the front desk again.",
            notes=True,
            contracts=(
                Contract(to="baggage", when="A bag is lost.", slots={"bag_tag": TAG}, required=("bag_tag",)),
                Contract(to="seats", when="Another seat is wanted."),
            ),
            consult=CONSULT,
        ),
        "baggage": AgentOutline(
            name="baggage",
            greeting="Baggage here.",
            contracts=(
                Contract(to="front", when="Anything else."),
                Contract(to="seats", when="Another seat is wanted."),
            ),
        ),
        "seats": AgentOutline(
            name="seats",
            contracts=(
                Contract(to="front", when="Anything else."),
                Contract(to="baggage", when="A bag is lost."),
            ),
        ),
        "backroom": AgentOutline(name="backroom", speaks=False),
    },
    generalist="front",
    depth_max=2,
)


def card(name, *, consults=True):
    outline = GRAPH.outlines[name]
    tools = {"backroom": ("get_reservation", "add_note", "cancel_reservation")}.get(name, tuple(TOOLS))
    return AgentCard(
        outline=outline,
        instructions=f"You are {name}.",
        tools={**{tool: TOOLS[tool] for tool in tools}, **made_for(outline, consults=consults)},
    )


def team_state(**fields):
    first = card("front")
    values = {"agent": "front", "tools": first.tools, "instructions": first.instructions}
    return new_state(**values | {"team": team_of(GRAPH, first)} | fields)


WORDS = {"reason": "a lost bag", "summary": "The caller misses a suitcase."}
