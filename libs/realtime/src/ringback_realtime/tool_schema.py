"""Validation of the tools and modalities that a session or a response names."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

from ringback_realtime.errors import invalid_value, missing_parameter, unknown_parameter

__all__ = ["Tool", "check_modalities", "check_tools"]

Tool = Mapping[str, Any]
_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FUNCTION_KEYS: Final = frozenset({"type", "name", "description", "parameters", "strict"})


def check_modalities(values: Sequence[str], *, param: str) -> tuple[Literal["audio", "text"]]:
    """Exactly one of audio and text; audio replies bring their transcript anyway."""
    if len(set(values)) != 1:
        raise invalid_value(param, 'expected ["audio"] or ["text"], never both')
    return (cast(Literal["audio", "text"], values[0]),)


def check_tools(tools: Sequence[Tool], *, param: str) -> tuple[Tool, ...]:
    """The tools, each one well formed and no function name twice."""
    seen: set[str] = set()
    for index, tool in enumerate(tools):
        _check_tool(tool, param=f"{param}[{index}]", seen=seen)
    return tuple(tools)


def _check_tool(tool: Tool, *, param: str, seen: set[str]) -> None:
    match tool.get("type"):
        case None:
            raise missing_parameter(f"{param}.type")
        case "mcp":
            if not isinstance(tool.get("server_label"), str):
                raise missing_parameter(f"{param}.server_label")
        case "function":
            _check_function(tool, param=param)
            name = tool["name"]
            if name in seen:
                raise invalid_value(f"{param}.name", f"the name '{name}' is taken by another tool")
            seen.add(name)
        case _:
            raise invalid_value(f"{param}.type", "expected 'function' or 'mcp'")


def _check_function(tool: Tool, *, param: str) -> None:
    name = tool.get("name")
    if name is None:
        raise missing_parameter(f"{param}.name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise invalid_value(f"{param}.name", "expected 1 to 64 letters, digits, '_' or '-'")
    if not isinstance(tool.get("description", ""), str | None):
        raise invalid_value(f"{param}.description", "expected a string")
    if not isinstance(tool.get("parameters", {}), Mapping | None):
        raise invalid_value(f"{param}.parameters", "expected a JSON schema object")
    unknown = next((key for key in tool if key not in _FUNCTION_KEYS), None)
    if unknown is not None:
        raise unknown_parameter(f"{param}.{unknown}")
