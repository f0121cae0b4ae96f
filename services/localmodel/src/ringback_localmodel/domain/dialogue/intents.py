"""Which tool an utterance asks for: its words against the words of each tool, rare ones counting more."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ringback_localmodel.domain.dialogue.schema import Tool
from ringback_localmodel.domain.dialogue.words import content_stems, humanise

__all__ = ["CLEAR", "LIKELY", "Intent", "best_intent"]

LIKELY: Final = 0.4
CLEAR: Final = 0.6
_NAME, _DESCRIPTION, _PARAMETER = 2.0, 1.0, 0.5
_NAME_SHARE: Final = 0.65


@dataclass(frozen=True, slots=True)
class Intent:
    """``score`` is between 0 and 1; ``margin`` is the lead over the next tool."""

    tool: Tool
    score: float
    margin: float


def best_intent(text: str, tools: Sequence[Tool]) -> Intent | None:
    """The tool whose words the utterance shares most, however weakly; None if it shares none."""
    heard = set(content_stems(text))
    if not heard or not tools:
        return None
    documents = [_document(tool) for tool in tools]
    spread = Counter(word for document in documents for word in document)
    rarity = {word: math.log(1 + len(tools) / count) for word, count in spread.items()}
    scores = [_score(heard, tool, document, rarity) for tool, document in zip(tools, documents, strict=True)]
    ranked = sorted(range(len(tools)), key=lambda index: -scores[index])
    top = scores[ranked[0]]
    if top <= 0:
        return None
    return Intent(tools[ranked[0]], top, top - (scores[ranked[1]] if len(ranked) > 1 else 0.0))


def _document(tool: Tool) -> dict[str, float]:
    """Stems of a tool with their weights."""
    weights: dict[str, float] = {}
    parameters = " ".join(
        f"{humanise(p.name)} {p.about} {' '.join(str(option) for option in p.options)}"
        for p in tool.parameters
    )
    for text, weight in (
        (parameters, _PARAMETER),
        (tool.description, _DESCRIPTION),
        (humanise(tool.name), _NAME),
    ):
        for word in content_stems(text):
            weights[word] = weight
    return weights


def _score(heard: set[str], tool: Tool, document: dict[str, float], rarity: dict[str, float]) -> float:
    """How much of the tool's name was said, and how much of what was said is about the tool."""
    named = set(content_stems(humanise(tool.name)))
    said = _mass((word for word in named if word in heard), rarity)
    coverage = said / _mass(named, rarity) if named else 0.0
    shared = {word for word in heard if word in document}
    if not shared:
        return 0.0
    about = sum(document[word] * rarity[word] for word in shared) / (_NAME * _mass(shared, rarity))
    weight = _mass(shared, rarity) / (_mass(shared, rarity) + 0.35 * math.log(2) * len(heard - shared))
    return _NAME_SHARE * coverage + (1 - _NAME_SHARE) * about * weight


def _mass(words: Iterable[str], rarity: dict[str, float]) -> float:
    return sum(rarity[word] for word in words)
