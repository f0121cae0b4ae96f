"""Owns how an answer becomes a result: validated, shaped, with a sentence to speak and the fallback."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

import orjson
from msgspec.structs import replace

from ringback_tools.domain.catalogue import Tool
from ringback_tools.domain.messages import error_message, ok_message
from ringback_tools.domain.outcomes import in_doubt, not_done
from ringback_tools.domain.results import (
    Answer,
    Answered,
    ErrorCode,
    Failed,
    FallbackGiven,
    FallbackKind,
    Result,
    Status,
    field_values,
)
from ringback_tools.domain.schemas import result_error
from ringback_tools.domain.shaping import Shaped, TooLarge, shape
from ringback_tools.ports import Clock
from ringback_tools.usecases.execution import Execution

__all__ = ["Finisher"]

CACHE_MAX: Final = 1_024
# Errors for which the tool's fallback stands in; the others are answers in themselves.
_FALL_BACK: Final = frozenset(
    {
        ErrorCode.TOOL_UNAVAILABLE,
        ErrorCode.TIMEOUT,
        ErrorCode.RATE_LIMITED,
        ErrorCode.OVERLOADED,
        ErrorCode.INVALID_RESULT,
        ErrorCode.INTERNAL,
        ErrorCode.AUTH,
    }
)
_SUBSTITUTE_CONFIDENCE: Final = 0.5
_ACCEPTED: Final = "I have started that, and I will tell you when it is done."


class Finisher:
    """Makes results; remembers the last good answers of reads that may fall back on them."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._good: OrderedDict[tuple[str, str, str, str], tuple[int, Shaped]] = OrderedDict()

    def broken(self, tool: Tool, answer: Answered) -> Failed | None:
        """What is wrong with an answer, if something is: a write may have taken effect all the same."""
        detail = result_error(tool, answer.data)
        if not detail:
            return None
        return Failed(ErrorCode.INVALID_RESULT, in_doubt=tool.effectful, detail=detail)

    def ok(self, execution: Execution, data: Any) -> Result:
        """The result of an answer that keeps its schema."""
        tool = execution.tool
        try:
            shaped = shape(data, bytes_max=tool.limits.result_bytes_max)
        except TooLarge:
            shaped = Shaped("{}", truncated=True)
        if tool.fallback.kind is FallbackKind.CACHED:
            self._remember(execution, shaped)
        return Result(
            status=Status.OK,
            data_json=shaped.data_json,
            truncated=shaped.truncated,
            message=ok_message(tool, field_values(data), arguments=execution.checked.arguments),
            attempts=execution.attempts,
        )

    def failed(self, execution: Execution, failure: Failed) -> Result:
        """The result of an execution that ended, without effect, in this failure."""
        message = self._message(execution, failure.code, text=failure.text)
        result = Result(
            status=Status.ERROR,
            error_code=failure.code,
            message=message,
            confidence=0.0,
            retryable=failure.retryable,
            attempts=execution.attempts,
            # What is wrong with arguments was said before; here it might repeat their values.
            detail="" if failure.code is ErrorCode.INVALID_ARGUMENTS else failure.detail,
        )
        return self._fallback(execution, result) if failure.code in _FALL_BACK else result

    def not_done(self, execution: Execution) -> Result:
        """The result of a write in doubt that a check showed to have had no effect."""
        message = self._message(execution, ErrorCode.TOOL_UNAVAILABLE, name="not_done")
        return _promising(execution.tool, not_done(message=message, attempts=execution.attempts))

    def in_doubt(self, execution: Execution) -> Result:
        """The result of a write whose effect nobody can tell yet."""
        message = self._message(execution, ErrorCode.UNKNOWN_OUTCOME, name="unknown_outcome")
        return _promising(execution.tool, in_doubt(message=message, attempts=execution.attempts))

    def accepted(self, tool: Tool, arguments: Mapping[str, Any]) -> Result:
        """The result of background work that was taken on: how it ends is told later, as a fact."""
        said = error_message(
            tool, ErrorCode.UNKNOWN_OUTCOME, arguments=arguments, text=_ACCEPTED, name="accepted"
        )
        return replace(in_doubt(message=said, attempts=0), detail="accepted")

    def of(self, execution: Execution, answer: Answer) -> Result:
        """The result of a read."""
        if isinstance(answer, Answered):
            broken = self.broken(execution.tool, answer)
            if broken is None:
                return self.ok(execution, answer.data)
            answer = broken
        return self.failed(execution, answer)

    def _message(self, execution: Execution, code: ErrorCode, *, text: str = "", name: str = "") -> str:
        arguments = execution.checked.arguments
        return error_message(execution.tool, code, arguments=arguments, text=text, name=name)

    def _fallback(self, execution: Execution, result: Result) -> Result:
        tool = execution.tool
        match tool.fallback.kind:
            case FallbackKind.CACHED if not tool.effectful:
                return self._cached(execution) or result
            case FallbackKind.STATIC if not tool.effectful:
                return _substitute(
                    execution,
                    orjson.dumps(dict(tool.fallback.data)).decode(),
                    tool.fallback.data,
                    FallbackGiven(FallbackKind.STATIC, tool.fallback.message),
                )
            case FallbackKind.CALLBACK | FallbackKind.PERSON:
                said = tool.fallback.message or result.message
                return replace(result, message=said, fallback=FallbackGiven(tool.fallback.kind, said))
            case _:
                return result

    def _cached(self, execution: Execution) -> Result | None:
        tool = execution.tool
        found = self._good.get(_cache_key(execution))
        if found is None:
            return None
        stored_ms, shaped = found
        age_ms = max(0, self._clock.now_ms() - stored_ms)
        if age_ms > tool.fallback.age_max_ms:
            return None
        given = FallbackGiven(FallbackKind.CACHED, tool.fallback.message, age_ms)
        return _substitute(execution, shaped.data_json, orjson.loads(shaped.data_json), given)

    def _remember(self, execution: Execution, shaped: Shaped) -> None:
        key = _cache_key(execution)
        self._good[key] = (self._clock.now_ms(), shaped)
        self._good.move_to_end(key)
        if len(self._good) > CACHE_MAX:
            self._good.popitem(last=False)


def _cache_key(execution: Execution) -> tuple[str, str, str, str]:
    request = execution.checked.request
    return request.tenant, execution.tool.name, execution.tool.major, execution.checked.canonical.digest


def _substitute(execution: Execution, data_json: str, data: Any, given: FallbackGiven) -> Result:
    values: Mapping[str, Any] = field_values(data)
    message = given.message or ok_message(execution.tool, values, arguments=execution.checked.arguments)
    return Result(
        status=Status.OK,
        data_json=data_json,
        confidence=_SUBSTITUTE_CONFIDENCE,
        message=message,
        attempts=execution.attempts,
        fallback=given,
    )


def _promising(tool: Tool, result: Result) -> Result:
    """A promise of the tool's kind, with this result's own sentence: the caller must hear what is true."""
    if tool.fallback.kind not in (FallbackKind.CALLBACK, FallbackKind.PERSON):
        return result
    return replace(result, fallback=FallbackGiven(tool.fallback.kind, result.message))
