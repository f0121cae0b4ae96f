"""The rules by which ``session.update`` and ``response.create`` resolve."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from ringback_realtime import (
    ProtocolError,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
    resolve_response,
)

TOOL = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}}


def fresh() -> SessionConfig:
    return SessionConfig.defaults(id="sess_1", model="m", expires_at=1)


def merged(update: dict[str, Any], config: SessionConfig | None = None, **state: bool) -> SessionConfig:
    return (config or fresh()).merge({"type": "realtime", **update}, **state)


def refused(update: dict[str, Any], **state: bool) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        fresh().merge(update, **state)
    return caught.value


def audio_in(**fields: Any) -> dict[str, Any]:
    return {"audio": {"input": fields}}


def test_a_partial_update_keeps_the_other_leaves() -> None:
    config = merged({"instructions": "Be kind.", "tools": [TOOL], **audio_in(transcription={"model": "w"})})
    config = merged(audio_in(turn_detection={"type": "server_vad", "silence_duration_ms": 900}), config)
    assert (config.instructions, config.tools, config.transcription) == (
        "Be kind.",
        (TOOL,),
        Transcription(model="w"),
    )
    config = merged(audio_in(turn_detection={"threshold": 0.9}), config)
    assert config.turn_detection == ServerVad(threshold=0.9, silence_duration_ms=900)


def test_empty_values_clear_and_null_where_it_may() -> None:
    config = merged(
        {
            "instructions": "x",
            "tools": [TOOL],
            "tracing": "auto",
            **audio_in(transcription={"model": "w"}, noise_reduction={"type": "near_field"}),
        }
    )
    config = merged(
        {
            "instructions": "",
            "tools": [],
            "tracing": None,
            **audio_in(transcription=None, noise_reduction=None, turn_detection=None),
        },
        config,
    )
    assert (config.instructions, config.tools, config.tracing) == ("", (), None)
    assert (config.transcription, config.noise_reduction, config.turn_detection) == (None, None, None)


def test_null_changes_nothing_where_it_does_not_clear() -> None:
    config = merged({"instructions": "x", "tools": [TOOL]})
    assert (
        merged({"instructions": None, "tools": None, "audio": {"output": {"voice": None}}}, config) == config
    )


def test_vad_defaults_follow_the_type() -> None:
    config = merged(audio_in(turn_detection={"type": "semantic_vad"}))
    assert config.turn_detection == SemanticVad(create_response=True, interrupt_response=True)
    wire = config.to_wire()["audio"]["input"]["turn_detection"]
    assert wire == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }


def test_turn_detection_without_a_type_needs_one_to_merge_with() -> None:
    off = merged(audio_in(turn_detection=None))
    with pytest.raises(ProtocolError) as caught:
        merged(audio_in(turn_detection={"threshold": 0.2}), off)
    assert caught.value.param == "session.audio.input.turn_detection.type"


def test_noise_reduction_without_strength_keeps_it() -> None:
    config = merged(audio_in(noise_reduction={"type": "near_field", "strength": 0.5}))
    config = merged(audio_in(noise_reduction={"type": "far_field"}), config)
    assert config.noise_reduction is not None
    assert (config.noise_reduction.type, config.noise_reduction.strength) == ("far_field", 0.5)


def test_the_transcription_echo_has_only_what_was_set() -> None:
    config = merged(audio_in(transcription={"model": "w", "language": "en"}))
    assert config.to_wire()["audio"]["input"]["transcription"] == {"model": "w", "language": "en"}


def test_the_voice_is_fixed_after_the_first_audio() -> None:
    error = refused({"type": "realtime", "audio": {"output": {"voice": "cedar"}}}, audio_started=True)
    assert error.code == "cannot_update_voice"
    assert merged({"audio": {"output": {"voice": "marin"}}}, audio_started=True).voice == "marin"
    assert merged({"audio": {"output": {"voice": {"id": "custom"}}}}).voice == "custom"


def test_the_speed_changes_only_between_turns() -> None:
    error = refused({"type": "realtime", "audio": {"output": {"speed": 1.2}}}, response_active=True)
    assert error.param == "session.audio.output.speed"


def test_another_model_is_ignored_without_a_word() -> None:
    assert merged({"model": "other"}).model == "m"


@pytest.mark.parametrize(
    ("update", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "realtime", "temperature": 0.8}, "unknown_parameter", "session.temperature"),
        (
            {"type": "realtime", **audio_in(transcription={"modl": "w"})},
            "unknown_parameter",
            "session.audio.input.transcription.modl",
        ),
        (
            {"type": "realtime", "output_modalities": ["text", "audio"]},
            "invalid_value",
            "session.output_modalities",
        ),
        ({"type": "realtime", "output_modalities": []}, "invalid_value", "session.output_modalities"),
        (
            {"type": "realtime", "output_modalities": ["video"]},
            "invalid_value",
            "session.output_modalities[0]",
        ),
        ({"type": "realtime", "max_output_tokens": 0}, "invalid_value", "session.max_output_tokens"),
        (
            {"type": "realtime", "prompt": {"id": "p", "variables": {"n": 1}}},
            "invalid_value",
            "session.prompt.variables[...]",
        ),
        (
            {"type": "realtime", "tools": [{"type": "function"}]},
            "missing_required_parameter",
            "session.tools[0].name",
        ),
        ({"type": "realtime", "tools": [TOOL, TOOL]}, "invalid_value", "session.tools[1].name"),
        ({"type": "realtime", "tools": [{**TOOL, "x": 1}]}, "unknown_parameter", "session.tools[0].x"),
        (
            {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "session.audio.output.format.rate",
        ),
        (
            {"type": "realtime", **audio_in(turn_detection={"type": "server_vad", "threshold": 2})},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
    ],
)
def test_what_is_wrong_is_named_by_its_path(update: dict[str, Any], code: str, param: str) -> None:
    error = refused(update)
    assert (error.code, error.param) == (code, param)


def test_tracing_is_write_once() -> None:
    config = merged({"tracing": "auto"})
    assert merged({"tracing": "auto"}, config) == config
    with pytest.raises(ProtocolError):
        merged({"tracing": {"workflow_name": "w"}}, config)


KEYS = [
    "type",
    "audio",
    "input",
    "output",
    "turn_detection",
    "tools",
    "voice",
    "format",
    "threshold",
    "instructions",
    "tracing",
    "tool_choice",
    "transcription",
    "model",
    "include",
    "speed",
]
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-10, 5_000)
    | st.sampled_from(["auto", "realtime", "server_vad", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_any_update_merges_to_a_full_echo_or_is_refused(update: Any) -> None:
    if isinstance(update, dict):
        update = {"type": "realtime", **update}
    try:
        config = fresh().merge(update)
    except ProtocolError as error:
        code = error.code
    else:
        code = ""
        RealtimeSessionCreateResponse.model_validate(config.to_wire())
    assert code in {"", "invalid_value", "unknown_parameter", "missing_required_parameter"}


def test_the_default_echo_is_full_and_valid() -> None:
    wire = fresh().to_wire()
    RealtimeSessionCreateResponse.model_validate(wire)
    assert {
        "id",
        "object",
        "type",
        "expires_at",
        "model",
        "audio",
        "tools",
        "include",
        "tracing",
    } <= wire.keys()


def test_a_response_takes_what_it_does_not_say_from_the_session() -> None:
    config = merged({"instructions": "S", "tools": [TOOL], "max_output_tokens": 50})
    params = resolve_response({"instructions": None, "conversation": "none", "metadata": {"k": "v"}}, config)
    assert (params.instructions, params.own_instructions, params.tools) == ("S", None, (TOOL,))
    assert (params.out_of_band, params.metadata, params.max_output_tokens) == (True, {"k": "v"}, 50)
    own = resolve_response({"instructions": "R", "tools": [], "output_modalities": ["text"]}, config)
    assert (own.instructions, own.own_instructions, own.tools, own.output_modality) == ("R", "R", (), "text")


def test_a_choice_of_a_tool_that_the_session_has_no_more_forces_nothing() -> None:
    config = merged({"tools": [TOOL], "tool_choice": {"type": "function", "name": TOOL["name"]}})
    assert resolve_response(None, config).tool_choice == config.tool_choice
    assert resolve_response(None, merged({"tools": []}, config)).tool_choice == "auto"
    assert resolve_response({"tools": []}, config).tool_choice == "auto"


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"metadata": {"k": "v" * 513}}, "response.metadata[...]"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "response.metadata"),
        ({"tool_choice": {"type": "function", "name": "nope"}}, "response.tool_choice.name"),
        ({"conversation": "other"}, "response.conversation"),
        ({"output_modalities": ["audio", "text"]}, "response.output_modalities"),
        ({"tools": [{"type": "gadget"}]}, "response.tools[0].type"),
    ],
)
def test_a_wrong_response_is_named_by_its_path(params: dict[str, Any], param: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        resolve_response(params, fresh())
    assert caught.value.param == param
