"""Owns the composing of an agent's prompt from the four layers and the agent's role: the same input, the same text."""

from collections.abc import Mapping

import msgspec

from ringback_policy.domain.model import Bundle
from ringback_policy.domain.vocabulary import SideEffect

__all__ = ["AgentRole", "Instructions", "compose"]


class AgentRole(msgspec.Struct, frozen=True):
    """An agent as its pack describes it; `tools` are name → side effect, `handoffs` the agents it may hand over to."""

    name: str
    role: str
    pack: str
    pack_version: str
    tools: Mapping[str, SideEffect] = {}
    handoffs: tuple[str, ...] = ()


class Instructions(msgspec.Struct, frozen=True):
    """The prompt, and the version of each part in it."""

    text: str
    versions: Mapping[str, str]


def compose(bundle: Bundle, agent: AgentRole) -> Instructions:
    """The prompt. Its first line, the role's own, introduces the agent in one sentence that can be spoken."""
    sections = [
        ("", [_introduction(bundle, agent)]),
        ("Your role", _lines(agent.role)[1:]),
        ("How you talk", _manner(bundle)),
        ("What holds here", list(bundle.prompt.domain)),
        ("Actions", _actions(bundle, agent)),
        ("Safety", list(bundle.prompt.safety)),
    ]
    text = "\n\n".join(_section(title, lines) for title, lines in sections if lines)
    versions = {layer: bundle.versions[layer] for layer in sorted(bundle.versions)}
    return Instructions(text + "\n", {**versions, "agent": agent.pack_version, "bundle": bundle.digest})


def _introduction(bundle: Bundle, agent: AgentRole) -> str:
    own = _lines(agent.role)
    given = own[0] if own else bundle.prompt.introduction or f"You are the agent {_words(agent.name)}"
    sentence = " ".join(given.split())
    return sentence if sentence.endswith((".", "!", "?")) else sentence + "."


def _manner(bundle: Bundle) -> list[str]:
    prompt, rules = bundle.prompt, bundle.turn_rules
    found = [prompt.tone, prompt.brevity]
    if rules.words_max:
        found.append(f"Never use more than {rules.words_max} words in one reply.")
    return [line for line in [*found, *prompt.guidance] if line]


def _actions(bundle: Bundle, agent: AgentRole) -> list[str]:
    found = []
    for name in sorted(agent.tools):
        policy = bundle.actions.get(name)
        if policy is None and not agent.tools[name]:
            continue
        effect = max(agent.tools[name], (policy and policy.side_effect) or SideEffect.READ)
        if effect is SideEffect.IRREVERSIBLE or (policy and policy.consent):
            found.append(
                f"{name}: call it when the caller asks for it; the caller is asked to confirm before it runs."
            )
    if agent.handoffs:
        found.append(f"You may hand over to: {', '.join(sorted(agent.handoffs))}.")
    return found


def _section(title: str, lines: list[str]) -> str:
    if not title:
        return "\n".join(lines)
    return "\n".join([f"# {title}", *(f"- {' '.join(line.split())}" for line in lines)])


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _words(name: str) -> str:
    return name.replace("_", " ").replace("-", " ")
