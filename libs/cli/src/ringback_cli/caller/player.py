"""Plays a script into a call, line by line, as a polite caller does: who waits until the agent has finished."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ringback_errors import RingbackError

from ringback_cli.caller.audio import FRAME_MS
from ringback_cli.caller.call import Call
from ringback_cli.caller.script import Expect, Script, Step, WaitFor

__all__ = ["ScriptFailed", "play_script"]

Probe = Callable[[], Awaitable[Any]]
Speak = Callable[[str], bytes]

_FINISH_MS = 60_000


class ScriptFailed(RingbackError):  # noqa: N818 - says what happened
    """The call did not go as the script says; the message names the step."""

    code = "conflict"


async def play_script(
    script: Script, call: Call, *, speak: Speak, probes: Mapping[str, Probe] | None = None
) -> None:
    """Play every step. `speak` turns a line into PCM; `probes` answer the script's questions about the outside."""
    since = 0
    for number, step in enumerate(script.steps, start=1):
        try:
            if step.say:
                since = await _say(step, call, speak)
            elif step.wait_for is not None:
                await _wait(step.wait_for, call, since)
            elif step.expect is not None:
                await _expect(step.expect, call, since, probes or {})
            else:
                end_ms = call.clock_ms + step.pause_ms
                await call.until(
                    lambda end_ms=end_ms: call.clock_ms >= end_ms,  # type: ignore[misc]
                    within_ms=step.pause_ms + FRAME_MS,
                    what="the pause",
                )
        except (TimeoutError, AssertionError) as error:
            raise ScriptFailed(f"{script.name}, step {number} ({_describe(step)}): {error}") from None


async def _say(step: Step, call: Call, speak: Speak) -> int:
    pcm = speak(step.say)
    if step.interrupt_after_ms:
        await _wait_until_audible(call, step.interrupt_after_ms)
    else:
        await call.until(lambda: call.agent_quiet, within_ms=_FINISH_MS, what="the agent to finish")
    start = call.speak(pcm)
    call.add_line("caller", step.say)
    await call.until(lambda: not call.speaking, within_ms=_FINISH_MS, what="the end of the caller's own line")
    return start


async def _wait_until_audible(call: Call, audible_ms: int) -> None:
    """Until one utterance of the agent that is not over yet has lasted so long."""

    def audible() -> bool:
        return any(
            not item.finished and item.played >= audible_ms * 24 for item in call.playback.items.values()
        )

    await call.until(audible, within_ms=_FINISH_MS, what=f"{audible_ms} ms of the agent's words")


async def _wait(wanted: WaitFor, call: Call, since: int) -> None:
    within_ms = int(wanted.within_s * 1000)
    if wanted.heard:
        try:
            await call.until(
                lambda: _found(wanted.heard, call.heard_since(since)),
                within_ms=within_ms,
                what=repr(wanted.heard),
            )
        except TimeoutError as error:
            raise TimeoutError(f"{error}; heard instead: {call.heard_since(since)!r}") from None
    elif wanted.event:
        await call.until(lambda: wanted.event in call.seen, within_ms=within_ms, what=wanted.event)
    else:
        await call.until(
            lambda: bool(call.items_since(since)) and call.agent_quiet,
            within_ms=within_ms,
            what="the agent to finish",
        )


async def _expect(wanted: Expect, call: Call, since: int, probes: Mapping[str, Probe]) -> None:
    heard = call.heard_since(since)
    if wanted.heard and not _found(wanted.heard, heard):
        raise AssertionError(f"{wanted.heard!r} expected, heard {heard!r}")
    if wanted.not_heard and _found(wanted.not_heard, heard):
        raise AssertionError(f"{wanted.not_heard!r} must not be said, heard {heard!r}")
    if wanted.probe:
        if wanted.probe not in probes:
            return  # A caller without a view of that part of the world cannot check it.
        value = await probes[wanted.probe]()
        if value != wanted.equals:
            raise AssertionError(f"{wanted.probe} is {value!r}, {wanted.equals!r} expected")


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, re.sub(r"\s+", " ", text), re.IGNORECASE) is not None


def _describe(step: Step) -> str:
    if step.say:
        return f"say {step.say!r}"
    return "wait_for" if step.wait_for else "expect" if step.expect else "pause"
