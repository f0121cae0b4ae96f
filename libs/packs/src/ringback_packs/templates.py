"""Placeholders in a connector's templates: which there are, and whether they can be filled."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from ringback_packs.fields import Place
from ringback_packs.findings import near
from ringback_packs.yaml_tree import MappingNode, Node, Scalar, SequenceNode

__all__ = [
    "ANSWER_ROOTS",
    "PLACEHOLDER",
    "REQUEST_ROOTS",
    "SAID_ROOTS",
    "SPOKEN_FORMS",
    "check_templates",
    "placeholders",
]

PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)(?:\|([a-z]+))?\}")
_SETTING: Final = re.compile(r"\$\{[^}]*\}")
# What a request may be made of, and what a result or a message may be made of besides.
REQUEST_ROOTS: Final = ("arguments", "action_id", "session_id", "tenant")
ANSWER_ROOTS: Final = (*REQUEST_ROOTS, "body", "status")
SAID_ROOTS: Final = ("arguments", "result")
# How a value is said: one by one, underscores as spaces, as a date, as an amount with the `currency` beside it.
SPOKEN_FORMS: Final = ("digits", "words", "date", "money")
_WITH_PATH: Final = ("arguments", "body", "result")


def placeholders(text: str) -> list[str]:
    """Return the dotted paths that a template text asks for, in order."""
    return [path for path, _ in PLACEHOLDER.findall(text)]


def check_templates(
    place: Place,
    *,
    roots: Collection[str],
    parameters: Mapping[str, Any],
    result: Mapping[str, Any] | None = None,
) -> None:
    """Note every placeholder below `place` that nothing can fill, by the schemas of arguments and result."""
    names = {"arguments": _names(parameters), "result": _names(result)}
    for text, line in _texts(place.node):
        if _SETTING.search(text):
            place.report.error(
                place.file, line, place.path, "no ${…} in templates: name the address with base_url_ref"
            )
            continue
        for path, form in PLACEHOLDER.findall(text):
            problem = _problem(path, roots=roots, names=names) or _form_problem(form)
            if problem:
                place.report.error(place.file, line, place.path, problem)


def _names(schema: Mapping[str, Any] | None) -> list[str] | None:
    known = schema.get("properties") if schema else None
    return sorted(known) if isinstance(known, dict) else None


def _form_problem(form: str) -> str:
    if not form or form in SPOKEN_FORMS:
        return ""
    return f"|{form}: one of {', '.join(SPOKEN_FORMS)} expected{near(form, SPOKEN_FORMS)}"


def _problem(path: str, *, roots: Collection[str], names: Mapping[str, list[str] | None]) -> str:
    root, _, rest = path.partition(".")
    if root not in roots:
        return f"{{{path}}}: one of {', '.join(roots)} expected{near(root, list(roots))}"
    if root not in _WITH_PATH:
        return f"{{{path}}}: {root} has no parts" if rest else ""
    if not rest:
        return "" if root == "body" else f"{{{path}}}: {{{root}.<name>}} expected"
    first = rest.partition(".")[0]
    known = names.get(root)
    if known is not None and first not in known:
        return f"{{{path}}}: one of its fields ({', '.join(known) or 'none'}) expected{near(first, known)}"
    return ""


def _texts(root: Node) -> Iterator[tuple[str, int]]:
    stack = [root]
    while stack:
        match stack.pop():
            case MappingNode(entries=entries):
                for key, (line, node) in entries.items():
                    yield key, line
                    stack.append(node)
            case SequenceNode(items=items):
                stack.extend(items)
            case Scalar(value=str() as text, line=line):
                yield text, line
