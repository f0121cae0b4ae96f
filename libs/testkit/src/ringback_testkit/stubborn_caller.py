"""A typed caller with a goal who does not give up: repeats, comes back, asks again, as people do on a bad line."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from ringback_testkit.typed_caller import ONE_TRY_MS, TypedCaller

__all__ = ["STAGES", "CallStuckError", "Goal", "StubbornCaller"]

Goal = Literal["cancel", "decline"]
# What a caller passes on the way; a kill is timed from one of them.
STAGES: Final = ("connected", "asked", "named", "read_back", "answered")
SILENCE_S: Final = 4.0
CALL_S: Final = 150.0
# People think before they say the same again, and longer each time.
PAUSE_S, PAUSE_S_MAX = 1.0, 4.0

_DONE: Final = re.compile(r"is (already )?cancelled", re.IGNORECASE)
_ASKED: Final = re.compile(r"shall i go ahead", re.IGNORECASE)
_WHICH: Final = re.compile(r"reservation id", re.IGNORECASE)


class CallStuckError(AssertionError):
    """The call did not come to its end; says what was said."""


@dataclass
class StubbornCaller:
    """One call for one reservation. `on_stage` hears of each stage as it is passed."""

    caller: TypedCaller
    reservation_id: str
    goal: Goal
    on_stage: Callable[[str], None]
    told_done: bool = False
    said_yes: bool = False
    comebacks: int = 0
    # When the agent was heard, seconds of the monotonic clock.
    heard_at_s: list[float] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    async def run(self) -> None:
        """Call until the goal is reached. Raises CallStuckError."""
        try:
            async with asyncio.timeout(CALL_S):
                await self._connect()
                await self._talk()
        except TimeoutError:
            raise CallStuckError(
                f"{self.caller.session_id}: no end within {CALL_S:.0f} s: {self.lines}, {self.caller.errors[-3:]}"
            ) from None
        finally:
            self.caller.hang_up()

    async def _connect(self) -> None:
        """A call that could not begin is no call yet: dial again."""
        while True:
            try:
                await self.caller.connect(timeout_ms=ONE_TRY_MS)
                break
            except Exception as error:
                self._note(f"not connected: {error!r}"[:200])
                self.caller.resume_token = ""
                await asyncio.sleep(0.2)
        self.on_stage("connected")

    async def _talk(self) -> None:
        heard, answer, tries = 0, "I want to cancel my reservation", 0
        self._say(answer, "asked")
        while True:
            if not await self._hears_more(heard):
                if self.caller.closed is not None:
                    await self._come_back()
                else:
                    self._say(answer, "asked")
                continue
            news = " ".join(self.caller.said[heard:])
            heard = len(self.caller.said)
            self.heard_at_s.append(time.monotonic())
            self._note(f"agent: {news}")
            if self._over(news):
                return
            answer, stage = self._answer(news)
            if stage == "asked":
                tries += 1
                await asyncio.sleep(min(PAUSE_S * tries, PAUSE_S_MAX))
            self._say(answer, stage)

    def _over(self, news: str) -> bool:
        if _DONE.search(news):
            self.told_done = True
            return True
        return self.goal == "decline" and bool(re.search(r"nothing (was|has been)|not changed|won't", news))

    def _answer(self, news: str) -> tuple[str, str]:
        if _ASKED.search(news):
            self.on_stage("read_back")
            self.said_yes |= self.goal == "cancel"
            return ("yes" if self.goal == "cancel" else "no"), "answered"
        if _WHICH.search(news):
            return self.reservation_id, "named"
        return f"Please cancel reservation {self.reservation_id}", "asked"

    async def _hears_more(self, heard: int) -> bool:
        try:
            await self.caller.until(
                lambda: len(self.caller.said) > heard or self.caller.closed is not None, timeout_s=SILENCE_S
            )
        except TimeoutError:
            return False
        return len(self.caller.said) > heard

    async def _come_back(self) -> None:
        await self.caller.come_back()
        self.comebacks += 1
        self._note("came back")

    def _say(self, line: str, stage: str) -> None:
        self._note(f"caller: {line}")
        self.caller.type(line)
        self.on_stage(stage)

    def _note(self, line: str) -> None:
        self.lines.append(line)
