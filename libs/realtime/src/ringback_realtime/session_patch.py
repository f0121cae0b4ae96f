"""The shapes that a ``session.update`` and a ``response.create`` may have: strict, every field optional.

A field that is absent is ``UNSET``. A field that is ``null`` is ``None``; what that means is up to the merge.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "AudioFormat",
    "MaxTokens",
    "Modalities",
    "NoiseReductionPatch",
    "OutputPatch",
    "Pcm",
    "Pcma",
    "Pcmu",
    "ResponsePatch",
    "SemanticVadPatch",
    "ServerVadPatch",
    "SessionPatch",
    "ToolChoice",
    "TranscriptionPatch",
    "TurnDetectionPatch",
]

TOOLS_MAX = 128
METADATA_PAIRS_MAX = 16


class Pcm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="audio/pcm"):
    """PCM16, mono, little endian; no other rate is in the protocol."""

    rate: Literal[24000] = 24000


class Pcmu(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="audio/pcmu"):
    """G.711 µ-law at 8 kHz."""


class Pcma(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="audio/pcma"):
    """G.711 A-law at 8 kHz."""


AudioFormat = Pcm | Pcmu | Pcma
MaxTokens = Annotated[int, Meta(ge=1, le=4096)] | Literal["inf"]
Modalities = Annotated[list[Literal["text", "audio"]], Meta(min_length=1)]
_Text = Annotated[str, Meta(max_length=1_000_000)]
_Name = Annotated[str, Meta(min_length=1, max_length=256)]
_Milliseconds = Annotated[int, Meta(ge=0, le=60_000)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class ServerVadPatch(_Strict, frozen=True, tag_field="type", tag="server_vad"):
    threshold: Annotated[float, Meta(ge=0, le=1)] | UnsetType | None = UNSET
    prefix_padding_ms: _Milliseconds | UnsetType | None = UNSET
    silence_duration_ms: _Milliseconds | UnsetType | None = UNSET
    idle_timeout_ms: Annotated[int, Meta(ge=5_000, le=30_000)] | UnsetType | None = UNSET
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET


class SemanticVadPatch(_Strict, frozen=True, tag_field="type", tag="semantic_vad"):
    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType | None = UNSET
    create_response: bool | UnsetType | None = UNSET
    interrupt_response: bool | UnsetType | None = UNSET


TurnDetectionPatch = ServerVadPatch | SemanticVadPatch


class NoiseReductionPatch(_Strict, frozen=True):
    type: Literal["near_field", "far_field"] | UnsetType = UNSET
    strength: float | UnsetType | None = UNSET


class TranscriptionPatch(_Strict, frozen=True):
    model: _Name | UnsetType | None = UNSET
    language: _Name | UnsetType | None = UNSET
    prompt: _Text | UnsetType | None = UNSET
    languages: list[str] | UnsetType | None = UNSET
    keywords: list[str] | UnsetType | None = UNSET
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | UnsetType | None = UNSET


class VoiceId(_Strict, frozen=True):
    id: _Name


class InputPatch(_Strict, frozen=True):
    format: AudioFormat | UnsetType | None = UNSET
    noise_reduction: NoiseReductionPatch | UnsetType | None = UNSET
    transcription: TranscriptionPatch | UnsetType | None = UNSET
    turn_detection: TurnDetectionPatch | UnsetType | None = UNSET


class OutputPatch(_Strict, frozen=True):
    format: AudioFormat | UnsetType | None = UNSET
    voice: _Name | VoiceId | UnsetType | None = UNSET
    speed: Annotated[float, Meta(ge=0.25, le=1.5)] | UnsetType | None = UNSET


class AudioPatch(_Strict, frozen=True):
    input: InputPatch | UnsetType | None = UNSET
    output: OutputPatch | UnsetType | None = UNSET


class FunctionChoice(_Strict, frozen=True, tag_field="type", tag="function"):
    name: _Name


class McpChoice(_Strict, frozen=True, tag_field="type", tag="mcp"):
    server_label: _Name
    name: str | None = None


ToolChoice = Literal["auto", "none", "required"] | FunctionChoice | McpChoice


class Reasoning(_Strict, frozen=True):
    effort: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class Tracing(_Strict, frozen=True, omit_defaults=True):
    workflow_name: str | None = None
    group_id: str | None = None
    metadata: dict[str, Any] | None = None


class TokenLimits(_Strict, frozen=True, omit_defaults=True):
    post_instructions: int | None = None


class RetentionRatio(_Strict, frozen=True, tag_field="type", tag="retention_ratio", omit_defaults=True):
    retention_ratio: Annotated[float, Meta(ge=0, le=1)]
    token_limits: TokenLimits | None = None


class Prompt(_Strict, frozen=True, omit_defaults=True):
    id: str
    version: str | None = None
    variables: dict[str, str | dict[str, Any]] | None = None


_Tools = Annotated[list[dict[str, Any]], Meta(max_length=TOOLS_MAX)]
_MetadataKey = Annotated[str, Meta(max_length=64)]
_MetadataValue = Annotated[str, Meta(max_length=512)]


class SessionPatch(_Strict, frozen=True):
    """The body of ``session.update``."""

    type: Literal["realtime"]
    model: str | UnsetType | None = UNSET
    output_modalities: Modalities | UnsetType | None = UNSET
    instructions: _Text | UnsetType | None = UNSET
    tools: _Tools | UnsetType | None = UNSET
    tool_choice: ToolChoice | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    max_output_tokens: MaxTokens | UnsetType | None = UNSET
    reasoning: Reasoning | UnsetType | None = UNSET
    tracing: Literal["auto"] | Tracing | UnsetType | None = UNSET
    truncation: Literal["auto", "disabled"] | RetentionRatio | UnsetType | None = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    include: list[Literal["item.input_audio_transcription.logprobs"]] | UnsetType | None = UNSET
    audio: AudioPatch | UnsetType | None = UNSET


class ResponseOutputPatch(_Strict, frozen=True):
    format: AudioFormat | UnsetType | None = UNSET
    voice: _Name | VoiceId | UnsetType | None = UNSET


class ResponseAudioPatch(_Strict, frozen=True):
    output: ResponseOutputPatch | UnsetType | None = UNSET


class ResponsePatch(_Strict, frozen=True):
    """The ``response`` of ``response.create``."""

    conversation: Literal["auto", "none"] | UnsetType | None = UNSET
    input: list[dict[str, Any]] | UnsetType | None = UNSET
    instructions: _Text | UnsetType | None = UNSET
    output_modalities: Modalities | UnsetType | None = UNSET
    audio: ResponseAudioPatch | UnsetType | None = UNSET
    tools: _Tools | UnsetType | None = UNSET
    tool_choice: ToolChoice | UnsetType | None = UNSET
    parallel_tool_calls: bool | UnsetType | None = UNSET
    max_output_tokens: MaxTokens | UnsetType | None = UNSET
    metadata: (
        Annotated[dict[_MetadataKey, _MetadataValue], Meta(max_length=METADATA_PAIRS_MAX)] | UnsetType | None
    ) = UNSET
    prompt: Prompt | UnsetType | None = UNSET
    reasoning: Reasoning | UnsetType | None = UNSET
