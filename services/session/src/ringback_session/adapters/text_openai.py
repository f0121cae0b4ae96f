"""The text model that supervisors think with: any OpenAI-compatible chat endpoint, by the `openai` package.

One request per step and no retries: the consultation has a deadline, and its fallback is declared. An endpoint that
fails several times in a row is left alone for a while: who consults it then is told so at once. What an endpoint
that is only nearly compatible leaves out is taken as absent; what it sends too much of is cut.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import orjson
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI
from ringback_calling import Breaker, BreakerState, monotonic_ms, show_breaker
from ringback_errors import Unavailable
from ringback_telemetry import names, span

from ringback_session.domain.consultation import TextCall, TextMessage
from ringback_session.domain.effects import AskText
from ringback_session.domain.inputs import TextAnswered
from ringback_session.domain.rules import Tool

__all__ = ["TextModelOverHttp"]

log = logging.getLogger(__name__)

ANSWER_TOKENS_MAX = 600
TEXT_CHARS_MAX = 8_000
ARGUMENTS_CHARS_MAX = 16_000
CALLS_MAX = 16
FAILURES_MAX = 3
OPEN_MS = 10_000
# A request that had less time than this and got no answer says nothing of the endpoint.
PATIENT_MS = 2_000
# What an endpoint answers that is away, overloaded, or does not know us: the next caller would hear the same.
_AWAY = frozenset({401, 403, 404, 408, 429})


class TextModelOverHttp:
    """Implements `ports.TextModel`."""

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        model: str,
        now_ms: Callable[[], int] = monotonic_ms,
        on_breaker: Callable[[BreakerState, int], None] = lambda state, open_ms: None,
    ) -> None:
        self._on_breaker = on_breaker
        self._breaker = Breaker(
            FAILURES_MAX, OPEN_MS, clock=now_ms, name="the text model", on_change=self._changed
        )
        self._client = AsyncOpenAI(base_url=base_url, api_key=api_key or "none", max_retries=0)
        self._model = model

    async def answer(self, question: AskText) -> TextAnswered:
        asked = {names.Attr.GEN_AI_OPERATION_NAME: "chat", names.Attr.GEN_AI_REQUEST_MODEL: self._model}
        with span(names.Span.SUPERVISOR_STEP, attributes=asked) as made:
            answered = await self._admitted(question)
            made.set_attribute(names.Attr.GEN_AI_USAGE_INPUT_TOKENS, answered.input_tokens)
            made.set_attribute(names.Attr.GEN_AI_USAGE_OUTPUT_TOKENS, answered.output_tokens)
            if answered.error:
                made.set_attribute(names.Attr.ERROR_TYPE, answered.error)
        return answered

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _admitted(self, question: AskText) -> TextAnswered:
        try:
            self._breaker.allow()
        except Unavailable:
            return _failed(question, "unavailable")
        try:
            return await self._ask(question)
        except BaseException:
            self._breaker.record_abandoned()
            raise

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
            patient = question.timeout_ms >= PATIENT_MS
            self._breaker.record_failure() if patient else self._breaker.record_abandoned()
            return _failed(question, "deadline")
        except APIStatusError as error:
            away = error.status_code >= 500 or error.status_code in _AWAY
            self._breaker.record_failure() if away else self._breaker.record_success()
            return _failed(question, "unavailable")
        except (APIConnectionError, APIError, ValueError, TypeError):
            # Nobody there, or a body that is none of the protocol.
            self._breaker.record_failure()
            return _failed(question, "unavailable")
        self._breaker.record_success()
        return _read(question, answer, self._model)

    def _changed(self, state: BreakerState) -> None:
        log.warning("the text model: its breaker is %s", state.value)
        show_breaker("text_model", state)
        self._on_breaker(state, OPEN_MS)


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
        cached_tokens=_count(getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", 0)),
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
