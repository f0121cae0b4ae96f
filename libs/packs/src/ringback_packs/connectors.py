"""Reads the `connector` and `check` of a tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ringback_packs import forms
from ringback_packs.descriptors import FILE_NAME, FILE_NAME_FORM, Descriptors
from ringback_packs.fields import Fields, Place
from ringback_packs.model import (
    Check,
    Condition,
    Connector,
    FunctionConnector,
    GrpcConnector,
    HttpConnector,
    HttpError,
    McpConnector,
    NatsConnector,
)
from ringback_packs.templates import ANSWER_ROOTS, REQUEST_ROOTS, check_templates
from ringback_packs.yaml_tree import Scalar, plain

__all__ = ["read_check", "read_connector"]

# What a system can say about the effect that it is asked about; other codes say only that it did not answer.
REFUSALS = ("not_found", "rejected", "invalid_arguments")
# MCP cannot tell a refusal from a failure, so its answers settle nothing.
CHECK_CONNECTORS = ("http", "function", "grpc", "nats")
_STATUS = re.compile(r"(?:[45][0-9][0-9]|[45]xx)\Z")
_ENTRY_POINT = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*\Z")
_GRPC_METHOD = re.compile(r"[A-Za-z_][\w.]*/[A-Za-z_]\w*\Z")
_NATS_SUBJECT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,63}\Z")
_SCHEME = re.compile(r"[A-Za-z-]{1,32}\Z")
_PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\Z")


def read_connector(fields: Fields, *, parameters: Mapping[str, Any], descriptors: Descriptors) -> Connector:
    """Return the connector that the fields describe."""
    kind = fields.choice("kind", forms.CONNECTORS)
    connector = _of_kind(fields, kind, parameters=parameters, descriptors=descriptors)
    fields.done()
    return connector


def _of_kind(
    fields: Fields, kind: str, *, parameters: Mapping[str, Any], descriptors: Descriptors
) -> Connector:
    connector: Connector
    match kind:
        case "function":
            connector = FunctionConnector(
                entry_point=fields.text("entry_point", pattern=_ENTRY_POINT, form="module:function")
            )
        case "grpc":
            connector = _grpc(fields, parameters=parameters, descriptors=descriptors)
        case "nats":
            connector = NatsConnector(
                subject=fields.text("subject", pattern=_NATS_SUBJECT, form="a subject without wildcards")
            )
        case "mcp":
            connector = McpConnector(
                server_ref=fields.text("server_ref", pattern=forms.REFERENCE, form=forms.REFERENCE_FORM),
                tool=fields.text("tool", chars_max=128),
                credential_header=_credential_header(fields),
                credential_scheme=_credential_scheme(fields),
                credential_env=fields.text(
                    "credential_env", "", pattern=_VARIABLE, form="a variable's name such as SHOP_TOKEN"
                ),
            )
        case _:
            connector = _http(fields, parameters=parameters)
    return connector


def read_check(fields: Fields, *, parameters: Mapping[str, Any], descriptors: Descriptors) -> Check:
    """Return the check that the fields describe; its call must be a read: over HTTP a GET."""
    inner = fields.below("connector", required=True)
    connector: Connector = HttpConnector(url="")
    if inner is not None:
        kind = inner.choice("kind", CHECK_CONNECTORS, "http")
        connector = _of_kind(inner, kind, parameters=parameters, descriptors=descriptors)
        if isinstance(connector, HttpConnector) and connector.method != "GET":
            inner.at("method").error("GET expected: a check must not change anything")
        inner.done()
    assert not isinstance(connector, McpConnector), "no kind of a check"
    done = fields.below("done_when", required=True)
    not_done = fields.below("not_done_when")
    check = Check(
        connector=connector,
        done_when=_condition(done) if done else Condition(),
        not_done_when=_condition(not_done) if not_done else None,
        timeout_ms=fields.integer("timeout_ms", 2_000, low=50, high=60_000),
        settle_ms=fields.integer("settle_ms", 3_000, low=0, high=600_000),
    )
    fields.done()
    return check


def _grpc(fields: Fields, *, parameters: Mapping[str, Any], descriptors: Descriptors) -> GrpcConnector:
    connector = GrpcConnector(
        target_ref=fields.text("target_ref", pattern=forms.REFERENCE, form=forms.REFERENCE_FORM),
        method=fields.text("method", pattern=_GRPC_METHOD, form="package.Service/Method"),
        descriptor=fields.text("descriptor", "", pattern=FILE_NAME, form=FILE_NAME_FORM),
        request=_template(fields, "request", roots=REQUEST_ROOTS, parameters=parameters),
        result=_template(fields, "result", roots=ANSWER_ROOTS, parameters=parameters),
    )
    if connector.descriptor:
        if wrong := descriptors.wrong(connector.descriptor):
            fields.at("descriptor").error(wrong)
        elif wrong := descriptors.wrong_method(connector.descriptor, connector.method):
            fields.at("method").error(wrong)
    return connector


def _http(fields: Fields, *, parameters: Mapping[str, Any]) -> HttpConnector:
    base = fields.text("base_url_ref", "", pattern=forms.REFERENCE, form=forms.REFERENCE_FORM)
    url = fields.text("url", chars_max=2_000)
    _check_url(fields, base=base, url=url, parameters=parameters)
    query = _template(fields, "query", roots=REQUEST_ROOTS, parameters=parameters)
    if query is not None and not isinstance(query, dict):
        fields.at("query").error("a mapping of names and values expected")
        query = None
    errors = fields.below("errors")
    return HttpConnector(
        base_url_ref=base,
        method=fields.choice("method", forms.METHODS, "GET"),
        url=url,
        query=query or {},
        headers=_headers(fields.below("headers"), parameters=parameters),
        body=_template(fields, "body", roots=REQUEST_ROOTS, parameters=parameters),
        result=_template(fields, "result", roots=ANSWER_ROOTS, parameters=parameters),
        errors=_errors(errors, parameters=parameters) if errors else {},
        credential_header=_credential_header(fields),
        credential_scheme=_credential_scheme(fields),
    )


def _credential_header(fields: Fields) -> str:
    return fields.text("credential_header", "Authorization", pattern=forms.HEADER, form=forms.HEADER_FORM)


def _credential_scheme(fields: Fields) -> str:
    return fields.text(
        "credential_scheme", "Bearer", pattern=_SCHEME, form="a scheme such as Bearer, or nothing"
    )


def _check_url(fields: Fields, *, base: str, url: str, parameters: Mapping[str, Any]) -> None:
    if not url:
        return
    place = fields.at("url")
    check_templates(place, roots=REQUEST_ROOTS, parameters=parameters)
    if base and not url.startswith("/"):
        place.error("a path beginning with '/' expected, below base_url_ref")
    elif not base and not url.startswith(("http://", "https://")):
        place.error("http:// or https:// expected (or base_url_ref and a path)")
    elif not base and (authority := url.split("/")[2:3]) and ("@" in authority[0] or "{" in authority[0]):
        place.error("a fixed host without user or password expected")


def _headers(fields: Fields | None, *, parameters: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, place in fields.entries() if fields else ():
        value = place.node.value if isinstance(place.node, Scalar) else None
        if not forms.HEADER.match(name):
            place.error(f"{forms.HEADER_FORM} expected, got {name[:60]!r}")
        elif name.lower() in ("authorization", "cookie", "host", "content-length"):
            place.error(f"{name} is not for templates: name a secret with 'credential'")
        elif not isinstance(value, str) or not value.isprintable():
            place.error("printable text expected")
        else:
            check_templates(place, roots=REQUEST_ROOTS, parameters=parameters)
            found[name] = value
    return found


def _errors(fields: Fields, *, parameters: Mapping[str, Any]) -> dict[str, HttpError]:
    found: dict[str, HttpError] = {}
    for status, place in fields.entries():
        if not _STATUS.match(status):
            place.error(f"an HTTP status (404) or class (4xx, 5xx) expected as key, got {status[:20]!r}")
        inner = place.fields()
        if inner is None:
            continue
        found[status] = HttpError(
            code=inner.choice("code", forms.BACKEND_CODES), message=inner.text("message", "", chars_max=500)
        )
        if inner.has("message"):
            check_templates(inner.at("message"), roots=ANSWER_ROOTS, parameters=parameters)
        inner.done()
    return found


def _condition(fields: Fields) -> Condition:
    status = fields.get("status")
    codes: list[int] = []
    for item in _one_or_many(status) if status else ():
        value = item.node.value if isinstance(item.node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int) or not 100 <= value <= 599:
            item.error("an HTTP status expected")
        else:
            codes.append(value)
    refusals = _refusals(fields)
    path = fields.text("path", "", pattern=_PATH, form="a dotted path into the JSON body")
    equals = fields.get("equals")
    values = tuple(plain(item.node) for item in _one_or_many(equals)) if equals else ()
    if bool(path) != bool(values):
        fields.place.error("'path' and 'equals' belong together: both or none expected")
    if not codes and not path and not refusals:
        fields.place.error("'status', or 'path' with 'equals', or 'code' expected")
    if refusals and (codes or path):
        fields.at("code").error("alone expected: a refusal has neither a status nor a body to look at")
    fields.done()
    return Condition(status=tuple(codes), code=refusals, path=path, equals=values)


def _refusals(fields: Fields) -> tuple[str, ...]:
    place = fields.get("code")
    found: list[str] = []
    for item in _one_or_many(place) if place else ():
        value = item.node.value if isinstance(item.node, Scalar) else None
        if isinstance(value, str) and value in REFUSALS:
            found.append(value)
        else:
            item.error(f"one of {', '.join(REFUSALS)} expected: what a system itself can say")
    return tuple(found)


def _one_or_many(place: Place) -> list[Place]:
    return [place] if isinstance(place.node, Scalar) else list(place.items(count_max=32))


def _template(fields: Fields, key: str, *, roots: tuple[str, ...], parameters: Mapping[str, Any]) -> Any:
    place = fields.get(key)
    if place is None:
        return None
    check_templates(place, roots=roots, parameters=parameters)
    return plain(place.node)
