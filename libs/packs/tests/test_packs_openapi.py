"""An operation of an OpenAPI document becomes an entry that a pack loads."""

from __future__ import annotations

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import InvalidInput, NotFound, RingbackError
from ringback_packs import HttpConnector, load_files
from ringback_packs.openapi import tool_of_operation, tool_text

DOCUMENT = """
openapi: 3.0.3
info: {title: Shop, version: "1"}
paths:
  /orders/{order-id}:
    parameters:
      - {name: order-id, in: path, required: true, schema: {type: string, pattern: "^[0-9]+$"}}
    get:
      operationId: getOrder
      summary: Read an order.
      parameters: [{name: verbose, in: query, description: All of it., schema: {type: boolean}}]
      responses:
        "200":
          description: ok
          content: {application/json: {schema: {$ref: "#/components/schemas/Order"}}}
        "404": {description: none}
  /orders:
    post:
      operationId: createOrder
      requestBody: {content: {application/json: {schema: {$ref: "#/components/schemas/NewOrder"}}}}
      responses: {"201": {description: made}}
  /tree: {get: {operationId: tree, responses: {"200": {description: t, content: {application/json:
    {schema: {$ref: "#/components/schemas/Tree"}}}}}}}
components:
  schemas:
    Order: {type: object, properties: {id: {type: string}, note: {type: string, nullable: true, example: x}}}
    NewOrder: {type: object, required: [item], properties: {item: {type: string}, count: {type: integer}}}
    Tree: {type: object, properties: {left: {$ref: "#/components/schemas/Tree"}}}
"""
PACK = b"name: shop\nversion: 1.0.0\nagents: [{name: desk, role: I help., tools: [%b]}]\n"


@pytest.mark.parametrize(
    ("operation", "name", "method", "side_effect"),
    [("getOrder", "get_order", "GET", "read"), ("createOrder", "create_order", "POST", "irreversible")],
)
def test_the_entry_loads_as_a_tool(operation: str, name: str, method: str, side_effect: str) -> None:
    text = tool_text(DOCUMENT, operation=operation, base_url_ref="shop")
    pack = load_files({"pack.yaml": PACK % name.encode(), "tools.yaml": f"tools:\n{text}".encode()})
    tool = pack.tool(name)
    assert tool is not None
    assert isinstance(tool.connector, HttpConnector)
    assert (tool.side_effect, tool.connector.method, tool.connector.base_url_ref) == (
        side_effect,
        method,
        "shop",
    )


def test_references_are_filled_in_and_arguments_named_as_templates_need_them() -> None:
    entry = tool_of_operation(yaml.safe_load(DOCUMENT), operation="getOrder", base_url_ref="shop")
    assert entry["connector"]["url"] == "/orders/{arguments.order-id}"
    assert entry["connector"]["query"] == {"verbose": "{arguments.verbose}"}
    assert entry["parameters"]["required"] == ["order-id"]
    assert entry["result"]["properties"]["note"] == {"type": ["string", "null"]}
    body = tool_of_operation(yaml.safe_load(DOCUMENT), operation="createOrder", base_url_ref="shop")
    assert body["connector"]["body"] == {"item": "{arguments.item}", "count": "{arguments.count}"}


def test_what_cannot_be_taken_over_says_why() -> None:
    with pytest.raises(NotFound, match="getOrder, createOrder"):
        tool_text(DOCUMENT, operation="deleteOrder", base_url_ref="shop")
    with pytest.raises(InvalidInput, match="contains itself"):
        tool_text(DOCUMENT, operation="tree", base_url_ref="shop")
    with pytest.raises(InvalidInput, match="OpenAPI 3"):
        tool_text("swagger: '2.0'", operation="x", base_url_ref="shop")
    with pytest.raises(InvalidInput, match="YAML or JSON"):
        tool_text("{", operation="x", base_url_ref="shop")
    with pytest.raises(InvalidInput, match="inside the document"):
        tool_text(
            DOCUMENT.replace("#/components/schemas/Order", "http://x/y"),
            operation="getOrder",
            base_url_ref="s",
        )


@given(st.text(max_size=200))
def test_any_text_is_taken_or_refused_in_order(text: str) -> None:
    with contextlib.suppress(RingbackError):
        tool_text(text, operation="x", base_url_ref="shop")
