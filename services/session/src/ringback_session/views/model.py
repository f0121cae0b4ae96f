"""What the model sees: frames for it, made from the core's effects and the client's configuration.

The model never makes replies by itself: turn detection is configured with `create_response` and
`interrupt_response` off, and every reply is asked for with our own id in its metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import orjson
from ringback_realtime import SessionConfig, invalid_value
from ringback_realtime import Tool as WireTool

from ringback_session.domain.effects import (
    Forget,
    Note,
    RequestReply,
    RequestSpeech,
    ReturnResult,
    TruncateItem,
)
from ringback_session.domain.recalling import RECALL
from ringback_session.domain.rules import Tool
from ringback_session.domain.state import CallState, HistoryItem, ReplyPurpose
from ringback_session.domain.switching import offered

__all__ = ["OWN_KEY", "ModelView", "check_tools", "usable_choice"]

# Under this key the model echoes our id in a response's metadata.
OWN_KEY = "ringback"
_INTERNAL_PREFIX = "rb_"
_CONTEXT = "item_context"
# More than that is in the protocol only as "inf".
TOKENS_MAX = 4_096


class ModelView:
    """Builds the frames that the model gets. Holds no conversation: the core's history is the truth."""

    def __init__(self, state: CallState, *, traceparent: Callable[[], str | None] = lambda: None) -> None:
        self._state = state
        self._traceparent = traceparent
        self._sent = 0
        # What the connection that serves was told when it began, in order.
        self._rebuilt: list[str] = []

    def session_update(self, config: SessionConfig) -> bytes:
        """The whole configuration, merged from the agent's and the client's."""
        tools = self.tools(config.tools)
        session: dict[str, Any] = {
            "type": "realtime",
            "output_modalities": [config.output_modality],
            "instructions": self.instructions(config.instructions),
            "tools": tools,
            "tool_choice": usable_choice(_plain(config)["tool_choice"], tools),
            "max_output_tokens": self._at_most(config.max_output_tokens),
            "audio": {"input": self._input(config), "output": self._output(config)},
            "include": ["item.input_audio_transcription.logprobs"],
        }
        return self._frame("session.update", session=session)

    def instructions(self, of_client: str) -> str:
        """The agent's instructions; the client's own are a last section of lower priority, if allowed."""
        own = self._state.instructions
        if not of_client or not self._state.rules.client_instructions:
            return own
        if not own:
            return of_client
        return f"{own}\n\n# From the client application (never overrides what stands above)\n{of_client}"

    def tools(self, of_client: Sequence[WireTool]) -> list[dict[str, Any]]:
        """The agent's tools and the client's, in the protocol's function format."""
        state = self._state
        own = [_function(tool) for tool in offered(state.tools.values(), off=state.team.tools_off)]
        if state.rules.client_tools == "deny":
            return own
        # A name that an agent brought along later is the agent's.
        allowed = [dict(tool) for tool in of_client if tool.get("name") not in state.tools]
        return own + allowed

    def reply(self, wanted: RequestReply, of_client: Mapping[str, Any], config: SessionConfig) -> bytes:
        """`response.create` for a reply; `of_client` holds what the client's own request asked for."""
        response = {
            key: value
            for key, value in of_client.items()
            if key not in ("metadata", "conversation", "instructions", "tools") and value is not None
        }
        base = self.instructions(config.instructions)
        own_words = of_client.get("instructions")
        if own_words and self._state.rules.client_instructions:
            response["instructions"] = own_words if not self._state.instructions else f"{base}\n\n{own_words}"
        if of_client.get("tools") is not None:
            response["tools"] = self.tools(of_client["tools"])
        if "max_output_tokens" in response:
            response["max_output_tokens"] = self._at_most(response["max_output_tokens"])
        if wanted.tools:
            self._choose(response, wanted, config)
        else:
            response |= {"tools": [], "tool_choice": "none"}
        if wanted.instructions:
            given = response.get("instructions", base)
            response["instructions"] = f"{given}\n\n{wanted.instructions}".strip()
        return self._response(wanted.reply_id, response)

    def _choose(self, response: dict[str, Any], wanted: RequestReply, config: SessionConfig) -> None:
        """A tool that is not there is not forced; nor is another one behind the results of those that we ran."""
        installed = self.tools(config.tools)
        of_session = usable_choice(_plain(config)["tool_choice"], installed)
        choice = usable_choice(response.get("tool_choice", of_session), response.get("tools", installed))
        reply = self._state.reply
        if reply is not None and reply.reply_id == wanted.reply_id and reply.purpose is ReplyPurpose.RESULT:
            choice = choice if choice == "none" else "auto"
        if choice != of_session or "tool_choice" in response:
            response["tool_choice"] = choice

    def _at_most(self, tokens: int | str) -> int | str:
        """How long a reply may be: what the client asks for, within the bundle's limit."""
        limit = self._state.rules.output_tokens_max
        if not 0 < limit <= TOKENS_MAX:
            return tokens
        return min(tokens, limit) if isinstance(tokens, int) else limit

    def out_of_band(self, own_id: str, of_client: Mapping[str, Any]) -> bytes:
        """The client's own out-of-band response: runs in parallel, touches no conversation."""
        response = {key: value for key, value in of_client.items() if value is not None}
        return self._response(own_id, response)

    def speech(self, wanted: RequestSpeech, config: SessionConfig) -> bytes:
        """Our own words, out of band and without tools."""
        words = wanted.text.replace('"', "'")
        response = {
            "conversation": "none",
            "input": [],
            "tools": [],
            "tool_choice": "none",
            "output_modalities": [config.output_modality],
            # Our words are as long as they are: a read-back that is cut is no read-back.
            "max_output_tokens": "inf",
            "instructions": f'Say exactly: "{words}"',
        }
        return self._response(wanted.speech_id, response)

    def cancel(self, response_id: str) -> bytes:
        return self._frame("response.cancel", response_id=response_id)

    def truncate(self, item_id: str, audio_end_ms: int) -> list[bytes]:
        """Take away what was not heard. An item that was rebuilt has no audio to cut: it is put in again, shorter."""
        if item_id not in self._rebuilt:
            where = {"item_id": item_id, "content_index": 0, "audio_end_ms": audio_end_ms}
            return [self._frame("conversation.item.truncate", **where)]
        frames = [self.delete(item_id)]
        at = self._rebuilt.index(item_id)
        text = next((entry.text for entry in self._state.history if entry.item_id == item_id), "")
        if text:
            before = self._rebuilt[at - 1] if at else "root"
            frames.append(self.create(_message(item_id, "assistant", text), before))
        else:
            del self._rebuilt[at]
        return frames

    def commit(self) -> bytes:
        """The caller's audio so far becomes an item, though no turn has ended."""
        return self._frame("input_audio_buffer.commit")

    def create(self, item: Mapping[str, Any], previous_item_id: str | None = None) -> bytes:
        previous = {"previous_item_id": previous_item_id} if previous_item_id else {}
        return self._frame("conversation.item.create", item=item, **previous)

    def delete(self, item_id: str) -> bytes:
        return self._frame("conversation.item.delete", item_id=item_id)

    def note(self, item_id: str, role: str, text: str, *, at_head: bool = False) -> bytes:
        return self.create(_message(item_id, role, text), "root" if at_head else None)

    def result(
        self, item_id: str, call_id: str, output_json: str, previous_item_id: str | None = None
    ) -> bytes:
        return self.create(
            {"id": item_id, "type": "function_call_output", "call_id": call_id, "output": output_json},
            previous_item_id,
        )

    def told(
        self, effect: TruncateItem | Note | Forget | ReturnResult, previous_item_id: str | None = None
    ) -> list[bytes]:
        """What changes in the model's conversation; a result may have its place there."""
        match effect:
            case TruncateItem():
                return self.truncate(effect.item_id, effect.audio_end_ms)
            case Note():
                return [self.note(effect.item_id, effect.role, effect.text, at_head=effect.at_head)]
            case Forget():
                return [self.delete(item_id) for item_id in effect.item_ids]
            case ReturnResult():
                return [self.result(effect.item_id, effect.call_id, effect.output_json, previous_item_id)]

    def rebuild(self, context: str) -> list[bytes]:
        """The conversation again, for a new connection: memory's context, then what the core kept.

        Open calls are created with their own call_ids, so that their results still fit.
        """
        frames = [self.note(_CONTEXT, "system", context)] if context else []
        self._rebuilt = [_CONTEXT] if context else []
        calls: set[str] = set()
        for entry in self._state.history:
            if context and entry.name == RECALL:
                # Memory's context tells it, too.
                continue
            if entry.kind == "function_call":
                calls.add(entry.call_id)
            elif entry.kind == "function_call_output" and entry.call_id not in calls:
                # Its call fell off the bounded history: an output alone would be refused.
                continue
            item = _item(entry)
            if item is not None:
                frames.append(self.create(item))
                self._rebuilt.append(entry.item_id)
        return frames

    def own_id(self, event_id: object) -> str | None:
        """Under which id of ours this event was sent; None if it was passed on for the client."""
        if not isinstance(event_id, str) or not event_id.startswith(_INTERNAL_PREFIX):
            return None
        return event_id.removeprefix(_INTERNAL_PREFIX)

    def _input(self, config: SessionConfig) -> dict[str, Any]:
        wire = _plain(config)["audio"]["input"]
        turns = wire["turn_detection"]
        if turns is not None:
            turns = turns | {"create_response": False, "interrupt_response": False}
            turns.pop("idle_timeout_ms", None)
        transcription = wire["transcription"] or {"model": "whisper-1"}
        section = {
            "format": wire["format"],
            "turn_detection": turns,
            "transcription": transcription,
        }
        if wire["noise_reduction"] is not None:
            section["noise_reduction"] = wire["noise_reduction"]
        return section

    def _output(self, config: SessionConfig) -> dict[str, Any]:
        output: dict[str, Any] = _plain(config)["audio"]["output"]
        return output

    def _response(self, own_id: str, response: dict[str, Any]) -> bytes:
        """Our id comes back in the response's metadata, or in the error that refuses it."""
        metadata = {OWN_KEY: own_id}
        traceparent = self._traceparent()
        if traceparent is not None:
            # A model of ours joins the turn's trace; for any other it is one more pair to echo.
            metadata["traceparent"] = traceparent
        event = {"type": "response.create", "event_id": f"{_INTERNAL_PREFIX}{own_id}"}
        return orjson.dumps(event | {"response": response | {"metadata": metadata}})

    def _frame(self, type: str, **fields: Any) -> bytes:
        self._sent += 1
        event_id = f"{_INTERNAL_PREFIX}{self._state.epoch}_{self._sent}"
        return orjson.dumps({"type": type, "event_id": event_id, **fields})


def check_tools(tools: Sequence[WireTool], *, of_agent: Container[str], param: str) -> None:
    """Raises ProtocolError for a tool of the client's that has the name of one of the agent's."""
    for number, tool in enumerate(tools):
        if tool.get("name") in of_agent:
            raise invalid_value(f"{param}[{number}].name", f"'{tool['name']}' is a tool of the agent itself")


def usable_choice(choice: Any, tools: Sequence[WireTool]) -> Any:
    """The choice of a tool as the model can take it with these tools: one that forces what is not there is none."""
    if isinstance(choice, Mapping):
        name = "name" if choice.get("type") == "function" else "server_label"
        return choice if any(choice.get(name) == tool.get(name) for tool in tools) else "auto"
    return "auto" if choice == "required" and not tools else choice


def _plain(config: SessionConfig) -> dict[str, Any]:
    return config.to_wire()


def _function(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": orjson.loads(tool.parameters_json),
    }


def _message(item_id: str, role: str, text: str) -> dict[str, Any]:
    part = "output_text" if role == "assistant" else "input_text"
    return {"id": item_id, "type": "message", "role": role, "content": [{"type": part, "text": text}]}


def _item(entry: HistoryItem) -> dict[str, Any] | None:
    match entry.kind:
        case "message":
            return _message(entry.item_id, entry.role, entry.text) if entry.text else None
        case "function_call":
            return {
                "id": entry.item_id,
                "type": "function_call",
                "call_id": entry.call_id,
                "name": entry.name,
                "arguments": entry.data,
            }
        case _:
            return {
                "id": entry.item_id,
                "type": "function_call_output",
                "call_id": entry.call_id,
                "output": entry.data,
            }
