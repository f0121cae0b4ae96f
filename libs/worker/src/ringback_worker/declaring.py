"""Owns what a typed function says about itself: its name, its schema, how its arguments are read."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar, get_type_hints

import msgspec
from ringback_errors import ConfigError, InvalidInput

__all__ = ["Context", "SideEffect", "ToolFunction", "tool", "tool_of"]

SideEffect = Literal["read", "write", "irreversible"]
_F = TypeVar("_F", bound=Callable[..., Any])
_ATTRIBUTE: Final = "ringback_tool"
_CONTEXT: Final = "context"
_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Context:
    """What a function learns of its call by a parameter `context: Context`.

    `action_id` is the idempotency key: the same one means the same intended effect. Be done within
    `timeout_ms`, or stop.
    """

    action_id: str = ""
    session_id: str = ""
    tenant: str = ""
    timeout_ms: int = 0
    # Of a function that runs inside the tools service: the tool's credential. A worker holds its own secrets.
    credential: str = field(default="", repr=False)
    tell: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    def progress(self, message: str) -> None:
        """Say how far it is, in a short sentence that may be spoken; from any thread, and never waits."""
        if self.tell is not None:
            self.tell(message)


@dataclass(frozen=True, slots=True)
class ToolFunction:
    """A function with what its types say."""

    function: Callable[..., Any]
    name: str
    version: str
    description: str
    side_effect: SideEffect
    subject: str
    parameters: Mapping[str, Any]
    result: Mapping[str, Any] | None
    arguments_type: type[msgspec.Struct]
    wants_context: bool

    def bound(self, arguments: Mapping[str, Any], *, context: Any) -> dict[str, Any]:
        """The arguments as the function's types; InvalidInput names the field and what was expected."""
        try:
            read = msgspec.convert(dict(arguments), self.arguments_type)
        except msgspec.ValidationError as error:
            raise InvalidInput(f"arguments: {error}", field="arguments") from None
        values = {name: getattr(read, name) for name in read.__struct_fields__}
        return {**values, _CONTEXT: context} if self.wants_context else values

    def plain(self, value: Any) -> Any:
        """The function's answer as plain data, as JSON has it."""
        return msgspec.to_builtins(value, str_keys=True)


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str = "",
    version: str = "1.0",
    side_effect: SideEffect = "read",
    subject: str = "",
) -> Any:
    """Make a tool of a typed function, which stays an ordinary function.

    Every parameter needs a type; the first paragraph of the docstring is the description for the model.
    `subject` is where a worker listens (`tools.<name>` if nothing is said). ConfigError says what is missing.
    """

    def decorate(found: _F) -> _F:
        setattr(
            found,
            _ATTRIBUTE,
            _declared(found, name=name, version=version, side_effect=side_effect, subject=subject),
        )
        return found

    return decorate if function is None else decorate(function)


def tool_of(function: Callable[..., Any]) -> ToolFunction:
    """What a decorated function says about itself; ConfigError for one that is not."""
    found = getattr(function, _ATTRIBUTE, None)
    if not isinstance(found, ToolFunction):
        raise ConfigError(f"{getattr(function, '__name__', function)}: a function with @tool expected")
    return found


def _declared(
    function: Callable[..., Any], *, name: str, version: str, side_effect: SideEffect, subject: str
) -> ToolFunction:
    name = name or function.__name__
    subject = subject or f"tools.{name}"
    if not _SUBJECT.fullmatch(subject) or subject.startswith("ringback."):
        raise ConfigError(
            f"{name}: a subject without wildcards and outside ringback. expected, got {subject!r}"
        )
    description = (inspect.getdoc(function) or "").split("\n\n")[0].replace("\n", " ").strip()
    if not description:
        raise ConfigError(
            f"{name}: a docstring expected; its first paragraph tells the model what the tool does"
        )
    hints = get_type_hints(function, include_extras=True)
    returned = hints.pop("return", Any)
    wants_context = hints.pop(_CONTEXT, None) is not None
    arguments_type = _struct(function, name, hints)
    return ToolFunction(
        function=function,
        name=name,
        version=version,
        description=description,
        side_effect=side_effect,
        subject=subject,
        parameters={"type": "object", "additionalProperties": False, **_schema(arguments_type)},
        result=None if returned in (Any, type(None)) else _schema(returned),
        arguments_type=arguments_type,
        wants_context=wants_context,
    )


def _struct(function: Callable[..., Any], name: str, hints: Mapping[str, Any]) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name == _CONTEXT:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise ConfigError(f"{name}: named parameters expected, got {parameter}")
        if parameter.name not in hints:
            raise ConfigError(f"{name}: a type for parameter {parameter.name} expected")
        field = (parameter.name, hints[parameter.name])
        fields.append(field if parameter.default is parameter.empty else (*field, parameter.default))
    return msgspec.defstruct(f"{name}_arguments", fields, kw_only=True, forbid_unknown_fields=True)


def _schema(of: Any) -> dict[str, Any]:
    """JSON Schema complete in itself: the type's own, its parts under $defs."""
    (found,), parts = msgspec.json.schema_components([of], ref_template="#/$defs/{name}")
    reference = found.get("$ref", "")
    if reference and len(found) == 1:
        found = parts.pop(reference.rpartition("/")[2])
    schema = {key: value for key, value in found.items() if key != "title"}
    return {**schema, "$defs": parts} if parts else schema
