"""The Realtime protocol: typed events, classification, validation.

Pure: bytes and objects in, objects and bytes out; no sockets, no clock.
"""

from ringback_realtime import client_events, closes, server_events
from ringback_realtime.builders import ResponseStatus, ServerEvents, Usage, response_object, usage_object
from ringback_realtime.client_events import CLIENT_EVENT_TYPES, ClientEvent, decode_client_event
from ringback_realtime.closes import Close
from ringback_realtime.errors import (
    MalformedFrameError,
    ProtocolError,
    RealtimeError,
    active_response,
    audio_already_shorter,
    cancel_not_active,
    commit_empty,
    invalid_value,
    missing_parameter,
    only_audio_truncates,
    transcription_session,
    unknown_item,
    unknown_parameter,
    unknown_tool_call,
    voice_is_fixed,
)
from ringback_realtime.frames import AudioHead, EventHead, classify, peek, splice_ids
from ringback_realtime.ids import EventIds
from ringback_realtime.item_list import ROOT, ItemList, check_truncation
from ringback_realtime.items import ContentPart, Item, decode_audio, parse_item
from ringback_realtime.response_params import ResponseParams, resolve_response
from ringback_realtime.server_events import (
    SERVER_EVENT_TYPES,
    ServerEvent,
    UnknownEvent,
    decode_server_event,
)
from ringback_realtime.session_config import (
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionConfig,
    Transcription,
    TurnDetection,
)
from ringback_realtime.session_patch import (
    AudioFormat,
    FunctionChoice,
    McpChoice,
    Pcm,
    Pcma,
    Pcmu,
    ToolChoice,
)
from ringback_realtime.tool_schema import Tool

__all__ = [
    "CLIENT_EVENT_TYPES", "ROOT", "SERVER_EVENT_TYPES", "AudioFormat", "AudioHead", "ClientEvent", "Close",
    "ContentPart", "EventHead", "EventIds", "FunctionChoice", "Item", "ItemList", "MalformedFrameError", "McpChoice",
    "NoiseReduction", "Pcm", "Pcma", "Pcmu", "ProtocolError", "RealtimeError", "ResponseParams",
    "ResponseStatus", "SemanticVad", "ServerEvent", "ServerEvents", "ServerVad", "SessionConfig", "Tool",
    "ToolChoice", "Transcription", "TurnDetection", "UnknownEvent", "Usage", "active_response",
    "audio_already_shorter", "cancel_not_active", "check_truncation", "classify",
    "client_events", "closes", "commit_empty", "decode_audio", "decode_client_event", "decode_server_event",
    "invalid_value", "missing_parameter", "only_audio_truncates", "parse_item", "peek", "resolve_response",
    "response_object", "server_events", "splice_ids", "transcription_session", "unknown_item", "unknown_parameter",
    "unknown_tool_call", "usage_object", "voice_is_fixed",
]  # fmt: skip
