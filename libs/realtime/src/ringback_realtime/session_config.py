"""The resolved configuration of a session and the rules by which an update changes it."""

from collections.abc import Mapping
from typing import Any, Literal, TypeGuard, TypeVar

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from ringback_realtime.errors import (
    ProtocolError,
    invalid_value,
    missing_parameter,
    transcription_session,
    voice_is_fixed,
)
from ringback_realtime.session_patch import (
    AudioFormat,
    InputPatch,
    NoiseReductionPatch,
    OutputPatch,
    Pcm,
    Prompt,
    Reasoning,
    RetentionRatio,
    SemanticVadPatch,
    ServerVadPatch,
    SessionPatch,
    ToolChoice,
    Tracing,
    TranscriptionPatch,
    TurnDetectionPatch,
    VoiceId,
)
from ringback_realtime.tool_schema import Tool, check_modalities, check_tools
from ringback_realtime.validation import as_object, convert

__all__ = ["NoiseReduction", "SemanticVad", "ServerVad", "SessionConfig", "Transcription", "TurnDetection"]

T = TypeVar("T")
S = TypeVar("S", bound=msgspec.Struct)


class ServerVad(msgspec.Struct, frozen=True, tag_field="type", tag="server_vad"):
    """Turns end by silence. The default silence is 500 ms: callers pause between the digits of a number."""

    threshold: float = 0.5
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 500
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True


class SemanticVad(msgspec.Struct, frozen=True, tag_field="type", tag="semantic_vad"):
    """Turns end by meaning; ``eagerness`` bounds the wait (8, 4, 2 s for low, medium, high)."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad


class NoiseReduction(msgspec.Struct, frozen=True, omit_defaults=True):
    type: Literal["near_field", "far_field"]
    strength: float | None = None


class Transcription(msgspec.Struct, frozen=True, omit_defaults=True):
    """Only what the client set is echoed: clients die on keys they do not know, even when null."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    delay: str | None = None


class SessionConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One session's configuration, every leaf resolved. Immutable: ``merge`` returns the next one."""

    id: str
    model: str
    expires_at: int
    output_modality: Literal["audio", "text"] = "audio"
    instructions: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    max_output_tokens: int | Literal["inf"] = "inf"
    reasoning: Reasoning | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio = "auto"
    prompt: Prompt | None = None
    include: tuple[str, ...] | None = None
    input_format: AudioFormat = Pcm()
    noise_reduction: NoiseReduction | None = None
    transcription: Transcription | None = None
    turn_detection: TurnDetection | None = ServerVad()
    output_format: AudioFormat = Pcm()
    voice: str = "marin"
    speed: float = 1.0

    @classmethod
    def defaults(cls, *, id: str, model: str, expires_at: int, voice: str = "marin") -> "SessionConfig":
        """What ``session.created`` announces; ``expires_at`` is in Unix seconds."""
        return cls(id=id, model=model, expires_at=expires_at, voice=voice)

    @property
    def wants_logprobs(self) -> bool:
        """Whether the client asked for the transcription's log probabilities."""
        return "item.input_audio_transcription.logprobs" in (self.include or ())

    def merge(
        self, update: Mapping[str, Any], *, audio_started: bool = False, response_active: bool = False
    ) -> "SessionConfig":
        """The configuration after a ``session.update``.

        Only present fields change and ``audio`` merges deeply; a different ``model`` is ignored.
        ``audio_started`` fixes the voice, ``response_active`` the speed. Raises ProtocolError with
        ``param`` as JSON path.
        """
        if isinstance(update, Mapping) and update.get("type") == "transcription":
            raise transcription_session("session.type")
        patch = convert(_with_vad_type(update, self.turn_detection), SessionPatch, param="session")
        changes: dict[str, Any] = {
            **_present("parallel_tool_calls", patch.parallel_tool_calls),
            **_present("max_output_tokens", patch.max_output_tokens),
            **_present("instructions", patch.instructions),
            **_present("tool_choice", patch.tool_choice),
            **_present("truncation", patch.truncation),
            **_clearable("reasoning", patch.reasoning),
            **_clearable("prompt", patch.prompt),
        }
        if _given(patch.output_modalities):
            changes["output_modality"] = check_modalities(
                patch.output_modalities, param="session.output_modalities"
            )[0]
        if _given(patch.tools):
            changes["tools"] = check_tools(patch.tools, param="session.tools")
        if not isinstance(patch.include, UnsetType):
            changes["include"] = None if patch.include is None else tuple(patch.include)
        if not isinstance(patch.tracing, UnsetType):
            changes["tracing"] = _tracing(self.tracing, patch.tracing)
        if _given(patch.audio):
            if _given(patch.audio.input):
                changes.update(self._input_changes(patch.audio.input))
            if _given(patch.audio.output):
                changes.update(self._output_changes(patch.audio.output, audio_started, response_active))
        return replace(self, **changes)

    def to_wire(self) -> dict[str, Any]:
        """The full resolved session object, as ``session.created`` and ``session.updated`` carry it."""
        wire: dict[str, Any] = {
            "type": "realtime",
            "object": "realtime.session",
            "id": self.id,
            "model": self.model,
            "output_modalities": [self.output_modality],
            "instructions": self.instructions,
            "tools": list(self.tools),
            "tool_choice": msgspec.to_builtins(self.tool_choice),
            "parallel_tool_calls": self.parallel_tool_calls,
            "max_output_tokens": self.max_output_tokens,
            "tracing": msgspec.to_builtins(self.tracing),
            "truncation": msgspec.to_builtins(self.truncation),
            "prompt": msgspec.to_builtins(self.prompt),
            "expires_at": self.expires_at,
            "audio": {
                "input": {
                    "format": msgspec.to_builtins(self.input_format),
                    "noise_reduction": msgspec.to_builtins(self.noise_reduction),
                    "transcription": msgspec.to_builtins(self.transcription),
                    "turn_detection": msgspec.to_builtins(self.turn_detection),
                },
                "output": {
                    "format": msgspec.to_builtins(self.output_format),
                    "voice": self.voice,
                    "speed": self.speed,
                },
            },
            "include": None if self.include is None else list(self.include),
        }
        if self.reasoning is not None:
            wire["reasoning"] = msgspec.to_builtins(self.reasoning)
        return wire

    def _input_changes(self, patch: InputPatch) -> dict[str, Any]:
        changes = _present("input_format", patch.format)
        if not isinstance(patch.turn_detection, UnsetType):
            changes["turn_detection"] = _turn_detection(self.turn_detection, patch.turn_detection)
        if not isinstance(patch.transcription, UnsetType):
            changes["transcription"] = _transcription(self.transcription, patch.transcription)
        if not isinstance(patch.noise_reduction, UnsetType):
            changes["noise_reduction"] = _noise_reduction(self.noise_reduction, patch.noise_reduction)
        return changes

    def _output_changes(
        self, patch: OutputPatch, audio_started: bool, response_active: bool
    ) -> dict[str, Any]:
        changes = _present("output_format", patch.format)
        if isinstance(patch.voice, str | VoiceId):
            voice = voice_name(patch.voice)
            if audio_started and voice != self.voice:
                raise voice_is_fixed()
            changes["voice"] = voice
        if _given(patch.speed) and patch.speed != self.speed:
            if response_active:
                raise invalid_value("session.audio.output.speed", "it changes only between turns")
            changes["speed"] = patch.speed
        return changes


def voice_name(voice: str | VoiceId) -> str:
    """Voices are given as a name or as an object with an id, and echoed as a string."""
    return voice if isinstance(voice, str) else voice.id


def _given(value: T | UnsetType | None) -> TypeGuard[T]:
    """True when a field is present and not null (where null does not clear, it changes nothing)."""
    return value is not UNSET and value is not None


def _present(name: str, value: Any) -> dict[str, Any]:
    return {name: value} if _given(value) else {}


def _clearable(name: str, value: Any) -> dict[str, Any]:
    return {} if value is UNSET else {name: value}


def _with_vad_type(update: Mapping[str, Any], current: TurnDetection | None) -> Mapping[str, Any]:
    """The update with ``turn_detection.type`` filled in from the current one, so that partial ones merge."""
    audio = as_object(update, param="session").get("audio")
    section = audio.get("input") if isinstance(audio, Mapping) else None
    vad = section.get("turn_detection") if isinstance(section, Mapping) else None
    if not isinstance(vad, Mapping) or "type" in vad or current is None:
        return update
    kind = "server_vad" if isinstance(current, ServerVad) else "semantic_vad"
    assert isinstance(audio, Mapping)
    assert isinstance(section, Mapping)
    return {**update, "audio": {**audio, "input": {**section, "turn_detection": {**vad, "type": kind}}}}


def _turn_detection(current: TurnDetection | None, patch: TurnDetectionPatch | None) -> TurnDetection | None:
    match patch:
        case None:
            return None
        case ServerVadPatch():
            base: TurnDetection = current if isinstance(current, ServerVad) else ServerVad()
        case SemanticVadPatch():
            base = current if isinstance(current, SemanticVad) else SemanticVad()
    changes = {name: value for name, value in _fields(patch).items() if _given(value)}
    if isinstance(patch, ServerVadPatch) and patch.idle_timeout_ms is None:
        changes["idle_timeout_ms"] = None
    return replace(base, **changes)


def _transcription(current: Transcription | None, patch: TranscriptionPatch | None) -> Transcription | None:
    if patch is None:
        return None
    changes = {name: value for name, value in _fields(patch).items() if value is not UNSET}
    return replace(current or Transcription(), **changes)


def _noise_reduction(
    current: NoiseReduction | None, patch: NoiseReductionPatch | None
) -> NoiseReduction | None:
    if patch is None:
        return None
    changes = {name: value for name, value in _fields(patch).items() if value is not UNSET}
    if current is None and "type" not in changes:
        raise missing_parameter("session.audio.input.noise_reduction.type")
    return NoiseReduction(**changes) if current is None else replace(current, **changes)


def _tracing(
    current: Literal["auto"] | Tracing | None, wanted: Literal["auto"] | Tracing | None
) -> Literal["auto"] | Tracing | None:
    """Tracing may be switched on once and off again, but not changed while it is on."""
    if current is not None and wanted is not None and current != wanted:
        raise ProtocolError(
            "invalid_value",
            "Invalid value for 'session.tracing': it cannot change once enabled.",
            "session.tracing",
        )
    return wanted


def _fields(struct: msgspec.Struct) -> Mapping[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
