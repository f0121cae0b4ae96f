"""Owns the picture of one turn's trace: which one to show, and its spans as a tree over the services."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from rich.markup import escape
from rich.tree import Tree

__all__ = ["pick_trace", "trace_tree"]

Span = dict[str, Any]

_STYLES = {"session": "cyan", "policy": "magenta", "tools": "yellow", "memory": "blue", "localmodel": "green"}
_SPANS_MAX = 80
_DETAILS = ("ringback.tool", "ringback.effect", "ringback.rule", "ringback.outcome", "ringback.event_kind")


def pick_trace(spans: Sequence[Span]) -> list[Span]:
    """The spans of the trace that passes through most services; among equals the one in which a tool did most."""
    traces: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        traces[span["trace_id"]].append(span)

    def rank(trace: list[Span]) -> tuple[int, int, int]:
        services = len({span["service"] for span in trace})
        irreversible = sum(span["attributes"].get("ringback.side_effect") == "irreversible" for span in trace)
        return services, min(irreversible, 1), -len(trace)

    return max(traces.values(), key=rank, default=[])


def trace_tree(spans: Sequence[Span]) -> Tree:
    """A tree of spans by parent; a span whose parent is not there is a root. Repeated leaves are counted."""
    spans = sorted(spans, key=lambda span: span["start_ns"])[:_SPANS_MAX]
    known = {span["span_id"] for span in spans}
    children: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        children[span["parent_id"] if span["parent_id"] in known else ""].append(span)
    began = min((span["start_ns"] for span in spans), default=0)
    services = sorted({span["service"] for span in spans})
    trace_id = spans[0]["trace_id"] if spans else "-"
    tree = Tree(f"trace {trace_id} · {len(spans)} spans · {', '.join(services)}")
    _grow(tree, "", children, began)
    return tree


def _grow(branch: Tree, parent_id: str, children: dict[str, list[Span]], began: int) -> None:
    def kind(span: Span) -> tuple[str, str, bool]:
        return span["service"], span["name"], bool(children.get(span["span_id"]))

    for (_, _, has_children), group in groupby(children.get(parent_id, []), key=kind):
        alike = list(group)
        if has_children or len(alike) == 1:
            for span in alike:
                _grow(branch.add(_label(span, began)), span["span_id"], children, began)
        else:
            branch.add(_label(alike[0], began) + f" [dim]× {len(alike)}[/]")


def _label(span: Span, began: int) -> str:
    style = _STYLES.get(span["service"], "white")
    took_ms = (span["end_ns"] - span["start_ns"]) / 1e6
    at_ms = (span["start_ns"] - began) / 1e6
    details = " ".join(str(span["attributes"][name]) for name in _DETAILS if name in span["attributes"])
    failed = " [red]error[/]" if span["error"] else ""
    return (
        f"[{style}]{span['service']:<10}[/] {escape(span['name'])}  "
        f"[dim]+{at_ms:.1f} ms, {took_ms:.1f} ms[/] {escape(details)}{failed}"
    ).rstrip()
