"""Owns whether a result is what its tool promised."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

from ringback_tools.domain.catalogue import Tool

__all__ = ["result_error"]


def result_error(tool: Tool, data: Any) -> str:
    """Where and how the data breaks the tool's result schema, without its values; empty if it does not."""
    if not tool.result:
        return ""
    for error in _validator(orjson.dumps(tool.result, option=orjson.OPT_SORT_KEYS)).iter_errors(data):
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.instance_path)
        return f"result{path}: {error.message}"
    return ""


@lru_cache(maxsize=512)
def _validator(schema: bytes) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(orjson.loads(schema), mask="the value", offline=True)
