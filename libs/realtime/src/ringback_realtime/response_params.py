"""What one response is asked to be: ``response.create`` resolved against its session."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from ringback_realtime.errors import invalid_value
from ringback_realtime.session_config import SessionConfig, voice_name
from ringback_realtime.session_patch import (
    AudioFormat,
    FunctionChoice,
    ResponseOutputPatch,
    ResponsePatch,
    ToolChoice,
)
from ringback_realtime.tool_schema import Tool, check_modalities, check_tools
from ringback_realtime.validation import convert

__all__ = ["ResponseParams", "resolve_response"]


class ResponseParams(msgspec.Struct, frozen=True, kw_only=True):
    """A response's parameters, every leaf resolved.

    ``own_instructions`` are those of this response alone (None when it brought none); ``instructions``
    are the ones in force. ``input`` is None when the conversation is the context.
    """

    conversation: Literal["auto", "none"]
    input: tuple[Mapping[str, Any], ...] | None
    own_instructions: str | None
    instructions: str
    output_modality: Literal["audio", "text"]
    output_format: AudioFormat
    voice: str
    tools: tuple[Tool, ...]
    tool_choice: ToolChoice
    parallel_tool_calls: bool
    max_output_tokens: int | Literal["inf"]
    metadata: Mapping[str, str] | None

    @property
    def out_of_band(self) -> bool:
        return self.conversation == "none"


def resolve_response(params: Mapping[str, Any] | None, config: SessionConfig) -> ResponseParams:
    """Resolve ``response.create``; absent and null fields take the session's value.

    Raises ProtocolError whose ``param`` starts with ``response``.
    """
    patch = convert(params or {}, ResponsePatch, param="response")
    output = _output(patch)
    modality: Literal["audio", "text"] = config.output_modality
    if isinstance(patch.output_modalities, list):
        modality = check_modalities(patch.output_modalities, param="response.output_modalities")[0]
    tools = config.tools
    if isinstance(patch.tools, list):
        tools = check_tools(patch.tools, param="response.tools")
    own = _or(patch.instructions, None)
    voice = _or(output.voice, config.voice)
    return ResponseParams(
        conversation=_or(patch.conversation, "auto"),
        input=tuple(patch.input) if isinstance(patch.input, list) else None,
        own_instructions=own,
        instructions=config.instructions if own is None else own,
        output_modality=modality,
        output_format=_or(output.format, config.output_format),
        voice=voice_name(voice),
        tools=tools,
        tool_choice=_choice(_or(patch.tool_choice, None), config, tools),
        parallel_tool_calls=_or(patch.parallel_tool_calls, config.parallel_tool_calls),
        max_output_tokens=_or(patch.max_output_tokens, config.max_output_tokens),
        metadata=_or(patch.metadata, None),
    )


def _choice(own: ToolChoice | None, config: SessionConfig, tools: tuple[Tool, ...]) -> ToolChoice:
    """A choice that the session made of a tool that is not there (any more) forces nothing."""
    choice = config.tool_choice if own is None else own
    if not isinstance(choice, FunctionChoice) or any(tool.get("name") == choice.name for tool in tools):
        return choice
    if own is None:
        return "auto"
    raise invalid_value("response.tool_choice.name", f"no tool is called '{choice.name}'")


def _output(patch: ResponsePatch) -> ResponseOutputPatch:
    audio = _or(patch.audio, None)
    return _or(audio.output, None) or ResponseOutputPatch() if audio else ResponseOutputPatch()


def _or(value: Any, fallback: Any) -> Any:
    return fallback if value is UNSET or value is None else value
