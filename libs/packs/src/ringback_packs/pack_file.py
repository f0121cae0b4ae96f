"""Reads pack.yaml: the pack's name, its agents, and what a client may bring along."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

from ringback_packs import forms
from ringback_packs.agent_graph import check_graph, read_consult, read_generalist, read_handoffs
from ringback_packs.fields import Fields, Place
from ringback_packs.findings import Report, near
from ringback_packs.model import Agent, AgentKind, ClientRules, ClientTools, ToolSpec
from ringback_packs.yaml_tree import Node

__all__ = ["Manifest", "read_manifest"]

AGENTS_MAX = 32
ROLE_CHARS_MAX = 8_000


@dataclass(frozen=True, slots=True)
class Manifest:
    """What pack.yaml says."""

    name: str = ""
    version: str = ""
    description: str = ""
    agents: tuple[Agent, ...] = ()
    default_agent: str = ""
    generalist: str = ""
    handoff_depth_max: int = 4
    client: ClientRules = field(default_factory=ClientRules)


def read_manifest(root: Node, *, file: str, tools: tuple[ToolSpec, ...], report: Report) -> Manifest:
    """Return what the file says; what is wrong, also against the tools, is noted."""
    fields = Place(root, file=file, path="", report=report).fields()
    if fields is None:
        return Manifest()
    agents = _agents(fields, tools=tools)
    client = fields.below("client")
    default_agent = _default_agent(fields, agents)
    manifest = Manifest(
        name=fields.text("name", pattern=forms.SLUG, form=forms.SLUG_FORM),
        version=fields.as_written("version", pattern=forms.PACK_VERSION, form=forms.PACK_VERSION_FORM),
        description=fields.text("description", "", chars_max=1_024),
        agents=agents,
        default_agent=default_agent,
        generalist=read_generalist(fields, agents, default_agent),
        handoff_depth_max=fields.integer("handoff_depth_max", 4, low=1, high=16),
        client=_client(client) if client else ClientRules(),
    )
    fields.done()
    return manifest


def _agents(fields: Fields, *, tools: tuple[ToolSpec, ...]) -> tuple[Agent, ...]:
    listed = fields.get("agents")
    known = sorted({tool.name for tool in tools} | {f"{tool.name}@{tool.version}" for tool in tools})
    internal = {tool.name for tool in tools if tool.internal}
    found: list[tuple[Fields, Agent]] = []
    for place in listed.items(count_max=AGENTS_MAX) if listed else ():
        inner = place.fields()
        if inner is None:
            continue
        agent = _agent(inner)
        if any(agent.name == other.name for _, other in found):
            inner.at("name").error(f"each agent once expected, {agent.name!r} is there already")
        _check_tools(inner, agent, known=known, internal=internal)
        found.append((inner, agent))
    for inner, agent in found:
        check_graph(inner, agent, [other for _, other in found])
    return tuple(agent for _, agent in found)


def _agent(fields: Fields) -> Agent:
    agent = Agent(
        name=fields.text("name", pattern=forms.NAME, form=forms.NAME_FORM),
        role=fields.text("role", chars_max=ROLE_CHARS_MAX),
        greeting=fields.text("greeting", "", chars_max=500),
        tools=fields.texts("tools", pattern=forms.TOOL_REFERENCE, form=forms.TOOL_REFERENCE_FORM),
        handoffs=read_handoffs(fields),
        voice=fields.text("voice", "", chars_max=64),
        kind=cast(AgentKind, fields.choice("kind", forms.AGENT_KINDS, "voice")),
        takeover=fields.text("takeover", "", chars_max=500),
        notes=fields.flag("notes", False),
        consult=read_consult(fields),
    )
    fields.done()
    return agent


def _check_tools(fields: Fields, agent: Agent, *, known: list[str], internal: set[str]) -> None:
    for index, reference in enumerate(agent.tools):
        if reference not in known:
            fields.at("tools").error(
                f"tools[{index}]: a tool of tools.yaml expected, got {reference!r}{near(reference, known)}"
            )
        elif reference.partition("@")[0] in internal:
            fields.at("tools").error(f"tools[{index}]: {reference!r} is internal, it is not for agents")


def _default_agent(fields: Fields, agents: tuple[Agent, ...]) -> str:
    names = [agent.name for agent in agents if agent.kind == "voice"]
    if not names:
        if fields.text("default_agent", ""):
            fields.at("default_agent").error("no default_agent expected in a pack without agents")
        return ""
    if len(names) == 1 and not fields.has("default_agent"):
        return names[0]
    name = fields.text("default_agent", pattern=forms.NAME, form=forms.NAME_FORM)
    if name and name not in names:
        fields.at("default_agent").error(
            f"one of {', '.join(names)} expected, got {name!r}{near(name, names)}"
        )
    return name


def _client(fields: Fields) -> ClientRules:
    rules = ClientRules(
        tools=cast(ClientTools, fields.choice("tools", forms.CLIENT_TOOLS, "deny")),
        instructions=fields.flag("instructions", False),
    )
    fields.done()
    return rules
