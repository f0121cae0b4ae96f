"""Reads tools.yaml: the tools of a pack, each with its rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from ringback_packs import forms
from ringback_packs.connectors import read_check, read_connector
from ringback_packs.descriptors import Descriptors
from ringback_packs.fields import Fields, Place
from ringback_packs.findings import Report
from ringback_packs.messages import read_messages
from ringback_packs.model import (
    Breaker,
    Check,
    Connector,
    Fallback,
    HttpConnector,
    Idempotency,
    Mode,
    NatsConnector,
    Retry,
    SideEffect,
    ToolSpec,
)
from ringback_packs.schemas import read_schema
from ringback_packs.upgrades import check_upgrades, read_upgrades
from ringback_packs.yaml_tree import MappingNode, Node

__all__ = ["read_tools"]

TOOLS_MAX = 128
DEADLINE_MS_MAX = 600_000
CREDENTIAL_OPTIONS = ("credential_header", "credential_scheme", "credential_env")
FallbackKind = Literal["none", "cached", "static", "callback", "person"]


def read_tools(root: Node, *, file: str, descriptors: Descriptors, report: Report) -> tuple[ToolSpec, ...]:
    """Return the tools of the file; what is wrong is noted."""
    fields = Place(root, file=file, path="", report=report).fields()
    if fields is None:
        return ()
    fields.integer("schema_version", 1, low=1, high=1)
    listed = fields.get("tools", required=True)
    found: dict[tuple[str, str], ToolSpec] = {}
    for place in listed.items(count_max=TOOLS_MAX) if listed else ():
        inner = place.fields()
        if inner is None:
            continue
        tool = _tool(inner, descriptors)
        if (tool.name, tool.version) in found and tool.name:
            inner.at("name").error(
                f"each name and version once expected, {tool.name} {tool.version} is there already"
            )
        _check_breaker(inner, tool, found.values())
        check_upgrades(inner, tool, found.values())
        found[(tool.name, tool.version)] = tool
    fields.done()
    return tuple(found.values())


def _tool(fields: Fields, descriptors: Descriptors) -> ToolSpec:
    name = fields.text("name", pattern=forms.NAME, form=forms.NAME_FORM)
    parameters_at = fields.get("parameters", required=True)
    parameters = read_schema(parameters_at, must_be_object=True) if parameters_at else {}
    result_at = fields.get("result")
    result = read_schema(result_at, must_be_object=False) if result_at else None
    ok_messages, error_messages = read_messages(
        fields.below("messages"), parameters=parameters, result=result
    )
    breaker = fields.below("breaker")
    idempotency = fields.below("idempotency")
    retry = fields.below("retry")
    fallback = fields.below("fallback")
    tool = ToolSpec(
        name=name,
        version=fields.as_written("version", pattern=forms.TOOL_VERSION, form=forms.TOOL_VERSION_FORM)
        or "0.0",
        description=fields.text("description", chars_max=1_024),
        parameters=parameters,
        result=result,
        side_effect=cast(SideEffect, fields.choice("side_effect", forms.SIDE_EFFECTS)),
        connector=_connector(fields, parameters=parameters, descriptors=descriptors),
        deadline_ms=fields.integer("deadline_ms", 10_000, low=50, high=DEADLINE_MS_MAX),
        attempt_timeout_ms=fields.integer("attempt_timeout_ms", 3_000, low=10, high=DEADLINE_MS_MAX),
        slow_after_ms=fields.integer("slow_after_ms", 1_500, low=10, high=DEADLINE_MS_MAX),
        retry=_retry(retry) if retry else Retry(),
        idempotency=_idempotency(idempotency) if idempotency else Idempotency(),
        check=_check(fields, parameters=parameters, descriptors=descriptors),
        concurrency_max=fields.integer("concurrency_max", 16, low=1, high=10_000),
        concurrency_min=fields.integer("concurrency_min", 1, low=1, high=10_000),
        queue_max=fields.integer("queue_max", 32, low=0, high=100_000),
        fallback=_fallback(fallback) if fallback else Fallback(),
        scopes=fields.texts("scopes", pattern=forms.SCOPE, form=forms.SCOPE_FORM),
        credential=fields.text("credential", "", pattern=forms.REFERENCE, form=forms.REFERENCE_FORM),
        dependency=fields.text("dependency", "", pattern=forms.NAME, form=forms.NAME_FORM) or name,
        breaker=_breaker(breaker) if breaker else Breaker(),
        mode=cast(Mode, fields.choice("mode", forms.MODES, "live")),
        backlog_window_ms=fields.integer("backlog_window_ms", 60_000, low=1_000, high=86_400_000),
        upgrades=read_upgrades(fields),
        internal=fields.flag("internal", False),
        result_bytes_max=fields.integer("result_bytes_max", 64 * 1024, low=256, high=1024 * 1024),
        ok_messages=ok_messages,
        error_messages=error_messages,
    )
    _check_sense(fields, tool)
    fields.done()
    return tool


def _connector(fields: Fields, *, parameters: Mapping[str, Any], descriptors: Descriptors) -> Connector:
    inner = fields.below("connector", required=True)
    if inner is None:
        return HttpConnector(url="")
    return read_connector(inner, parameters=parameters, descriptors=descriptors)


def _check(fields: Fields, *, parameters: Mapping[str, Any], descriptors: Descriptors) -> Check | None:
    inner = fields.below("check")
    return read_check(inner, parameters=parameters, descriptors=descriptors) if inner else None


def _retry(fields: Fields) -> Retry:
    standard = Retry()
    retry_on = fields.texts("retry_on", form="an error code")
    for code in retry_on:
        if code not in forms.RETRYABLE_CODES:
            fields.at("retry_on").error(
                f"codes among {', '.join(forms.RETRYABLE_CODES)} expected, got {code!r}"
            )
    retry = Retry(
        attempts_max=fields.integer("attempts_max", standard.attempts_max, low=1, high=10),
        base_ms=fields.integer("base_ms", standard.base_ms, low=1, high=60_000),
        max_ms=fields.integer("max_ms", standard.max_ms, low=1, high=300_000),
        retry_on=retry_on if fields.has("retry_on") else standard.retry_on,
    )
    if retry.base_ms > retry.max_ms:
        fields.place.error(f"base_ms at most max_ms expected, got {retry.base_ms} and {retry.max_ms}")
    fields.done()
    return retry


def _idempotency(fields: Fields) -> Idempotency:
    kind = cast(Literal["none", "key"], fields.choice("kind", ("none", "key")))
    header = fields.text("header", "", pattern=forms.HEADER, form=forms.HEADER_FORM)
    if kind == "none" and header:
        fields.at("header").error("no header expected with kind none")
    fields.done()
    return Idempotency(kind=kind, header=header or ("Idempotency-Key" if kind == "key" else ""))


def _fallback(fields: Fields) -> Fallback:
    kind = cast(FallbackKind, fields.choice("kind", forms.FALLBACKS))
    message = fields.text("message", "", chars_max=500)
    if kind in ("callback", "person") and not message.strip():
        fields.place.error(f"'message' expected with kind {kind}: the words that the caller hears")
    if kind == "static" and not fields.has("data"):
        fields.place.error("'data' expected with kind static: the answer")
    data = fields.get("data")
    if data is not None and not isinstance(data.node, MappingNode):
        data.error("a mapping expected: the answer's data")
    fallback = Fallback(
        kind=kind,
        message=message,
        data=fields.data("data"),
        age_max_ms=fields.integer("age_max_ms", 300_000, low=1_000, high=30 * 86_400_000),
    )
    fields.done()
    return fallback


def _breaker(fields: Fields) -> Breaker:
    standard = Breaker()
    breaker = Breaker(
        failures_max=fields.integer("failures_max", standard.failures_max, low=1, high=10_000),
        rate_max=fields.share("rate_max", standard.rate_max),
        rate_calls_min=fields.integer("rate_calls_min", standard.rate_calls_min, low=1, high=10_000),
        window_ms=fields.integer("window_ms", standard.window_ms, low=100, high=3_600_000),
        slow_ms=fields.integer("slow_ms", standard.slow_ms, low=0, high=600_000),
        open_ms=fields.integer("open_ms", standard.open_ms, low=100, high=3_600_000),
        half_open_probes=fields.integer("half_open_probes", standard.half_open_probes, low=1, high=100),
    )
    fields.done()
    return breaker


def _check_breaker(fields: Fields, tool: ToolSpec, others: Iterable[ToolSpec]) -> None:
    """One dependency has one breaker, so the tools that share it must say the same."""
    for other in others:
        if other.dependency == tool.dependency and other.breaker != tool.breaker:
            fields.at("breaker").error(
                f"the same breaker as in {other.name} expected: both depend on {tool.dependency!r}"
            )
            return


def _check_mode(fields: Fields, tool: ToolSpec) -> None:
    if tool.mode == "background" and tool.internal:
        fields.at("mode").error("live expected: an internal tool is asked for a fact, which is waited for")
    if tool.mode == "live" and fields.has("backlog_window_ms"):
        fields.at("backlog_window_ms").warning("only a tool with 'mode: background' has a backlog")


def _check_credential(fields: Fields, tool: ToolSpec) -> None:
    """A secret that nobody would be sent, or a way to send one where there is none, is a mistake."""
    reached = [tool.connector, *((tool.check.connector,) if tool.check else ())]
    if tool.credential and all(isinstance(each, NatsConnector) for each in reached):
        fields.at("credential").error("none expected with a nats connector: a worker holds its own secrets")
    if tool.credential:
        return
    check = fields.below("check") if tool.check else None
    for connector in (fields.below("connector"), check.below("connector") if check else None):
        for option in CREDENTIAL_OPTIONS:
            if connector is not None and connector.has(option):
                connector.at(option).error("only with the tool's 'credential' expected")


def _check_sense(fields: Fields, tool: ToolSpec) -> None:
    """Rules between fields."""
    if tool.attempt_timeout_ms > tool.deadline_ms:
        fields.at("attempt_timeout_ms").error(
            f"at most deadline_ms ({tool.deadline_ms}) expected, got {tool.attempt_timeout_ms}"
        )
    if tool.concurrency_min > tool.concurrency_max:
        fields.at("concurrency_min").error(
            f"at most concurrency_max ({tool.concurrency_max}) expected, got {tool.concurrency_min}"
        )
    if tool.slow_after_ms >= tool.deadline_ms:
        fields.at("slow_after_ms").warning(
            f"below deadline_ms ({tool.deadline_ms}) expected, else it never shows"
        )
    _check_mode(fields, tool)
    _check_credential(fields, tool)
    if tool.side_effect == "read":
        if tool.check is not None:
            fields.at("check").warning("a read has no effect to check for")
        return
    if tool.check is not None and tool.check.connector == tool.connector:
        fields.at("check").error(
            "another call than the tool's own expected: a check must not change anything"
        )
    if tool.fallback.kind in ("cached", "static"):
        fields.at("fallback").error(f"a {tool.side_effect} cannot fall back to a {tool.fallback.kind} answer")
    if tool.attempted_once:
        fields.place.warning(
            f"{tool.name}: a {tool.side_effect} with neither an idempotency key nor a check is attempted once and"
            " may end with an unknown outcome"
        )
    if tool.retry.attempts_max > 1 and tool.idempotency.kind == "none":
        fields.at("retry").warning(
            f"a {tool.side_effect} without an idempotency key is attempted once, whatever attempts_max says"
        )
