"""The text model that supervisors think with: any OpenAI-compatible chat endpoint, by the `openai` package.

One request per step and no retries: the consultation has a deadline, and its fallback is declared. What an endpoint
that is only nearly compatible leaves out is taken as absent; what it sends too much of is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson
from openai import APIConnectionError, APIError, APITimeoutError, AsyncOpenAI
from ringback_telemetry import names, span

from ringback_session.domain.consultation import TextCall, TextMessage
from ringback_session.domain.effects import AskText
from ringback_session.domain.inputs import TextAnswered
from ringback_session.domain.rules import Tool

__all__ = ["TextModelOverHttp"]

ANSWER_TOKENS_MAX = 600
TEXT_CHARS_MAX = 8_000
ARGUMENTS_CHARS_MAX = 16_000
CALLS_MAX = 16


class TextModelOverHttp:
    """Implements `ports.TextModel`."""

    def __init__(self, *, base_url: str, api_key: str, model: str) -> None:
        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key or "none", max_retries=0)
        self._model = model

    async def answer(self, question: AskText) -> TextAnswered:
        asked = {names.Attr.GEN_AI_OPERATION_NAME: "chat", names.Attr.GEN_AI_REQUEST_MODEL: self._model}
        with span(names.Span.SUPERVISOR_STEP, attributes=asked) as made:
            answered = await self._ask(question)
            made.set_attribute(names.Attr.GEN_AI_USAGE_INPUT_TOKENS, answered.input_tokens)
            made.set_attribute(names.Attr.GEN_AI_USAGE_OUTPUT_TOKENS, answered.output_tokens)
            if answered.error:
                made.set_attribute(names.Attr.ERROR_TYPE, answered.error)
        return answered

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, question: AskText) -> TextAnswered:
        tools = {"tools": [_function(tool) for tool in question.tools]} if question.tools else {}
        try:
            answer = await self._client.chat.completions.create(
                model=self._model,
                messages=cast(Any, [_message(message) for message in question.messages]),
                max_tokens=ANSWER_TOKENS_MAX,
                timeout=question.timeout_ms / 1000,
                **cast(Any, tools),
            )
        except APITimeoutError:
            return _failed(question, "deadline")
        except APIConnectionError:
            return _failed(question, "unavailable")
        except (APIError, ValueError, TypeError):
            # A status that is none of success, or a body that is none of the protocol.
            return _failed(question, "unavailable")
        return _read(question, answer, self._model)


def _failed(question: AskText, error: str) -> TextAnswered:
    return TextAnswered(consult_id=question.consult_id, number=question.number, error=error)


def _read(question: AskText, answer: Any, model: str) -> TextAnswered:
    choices = getattr(answer, "choices", None)
    message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    if message is None:
        return _failed(question, "unusable")
    usage = getattr(answer, "usage", None)
    text = getattr(message, "content", None)
    return TextAnswered(
        consult_id=question.consult_id,
        number=question.number,
        text=text[:TEXT_CHARS_MAX] if isinstance(text, str) else "",
        calls=_calls(getattr(message, "tool_calls", None)),
        input_tokens=_count(getattr(usage, "prompt_tokens", 0)),
        output_tokens=_count(getattr(usage, "completion_tokens", 0)),
        model=model,
    )


def _calls(given: object) -> tuple[TextCall, ...]:
    found = []
    for number, call in enumerate(given[:CALLS_MAX] if isinstance(given, list) else ()):
        function = getattr(call, "function", None)
        name, arguments = getattr(function, "name", None), getattr(function, "arguments", None)
        if isinstance(name, str) and name:
            body = arguments if isinstance(arguments, str) and len(arguments) <= ARGUMENTS_CHARS_MAX else "!"
            call_id = getattr(call, "id", None)
            found.append(TextCall(str(call_id or f"call_{number}")[:128], name[:128], body or "{}"))
    return tuple(found)


def _message(message: TextMessage) -> dict[str, Any]:
    match message.role:
        case "tool":
            return {"role": "tool", "tool_call_id": message.call_id, "content": message.text}
        case "assistant":
            return {"role": "assistant", "content": message.text or None, "tool_calls": _own(message.calls)}
        case _:
            return {"role": message.role, "content": message.text}


def _own(calls: Sequence[TextCall]) -> list[dict[str, Any]]:
    return [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments_json},
        }
        for call in calls
    ]


def _function(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": orjson.loads(tool.parameters_json),
        },
    }


def _count(tokens: object) -> int:
    return max(0, tokens) if isinstance(tokens, int) and not isinstance(tokens, bool) else 0
