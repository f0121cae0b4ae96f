"""Owns one measured call: the agent speaks, the caller makes one sound, and what is heard then is written down."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from ringback_cli.caller.audio import SAMPLE_RATE, ms_of
from ringback_cli.caller.call import Call
from ringback_cli.overlap.cases import Case

__all__ = ["BACKCHANNEL_WINDOW_MS", "YIELD_WINDOW_MS", "Heard", "play"]

# The windows of τ-voice.
YIELD_WINDOW_MS = 2_000
BACKCHANNEL_WINDOW_MS = 1_000
# How long a call is watched after the sound began.
_WATCHED_MS = 3_200
_BEGIN_MS = 20_000
# The synthesiser's line begins with so much of a soft edge.
_EDGE_MS = 40
# Statements alone: into a question every sound may be its answer.
MONOLOGUE = (
    "The flight leaves from the main terminal in the morning, and boarding begins forty minutes before that. "
    "Two pieces of luggage are included, and a third one can be added at the desk for a small fee. "
    "The seats by the window have all been taken, so the booking holds one on the aisle near the front. "
    "A warm meal is served on board, and drinks are handed out again shortly before the landing. "
    "The train to the city runs every ten minutes from the lower floor of the terminal."
)


@dataclass(frozen=True)
class Heard:
    """What became of a sound, in ms from its onset; -1: it did not happen while the call was watched.

    `told_ms`: the client got `speech_started`. `stopped_ms`: the agent fell silent. `outcome`, `reason` and `held_ms`
    are those of the fact of the rule `backchannel`; `resumed`: the agent went on from the cut.
    """

    case: Case
    session_id: str = ""
    told_ms: int = -1
    stopped_ms: int = -1
    outcome: str = ""
    reason: str = ""
    held_ms: int = 0
    resumed: bool = False
    failure: str = ""

    @property
    def right(self) -> bool:
        """Yielded to an interruption, talked through a backchannel: each within its window."""
        if self.failure:
            return False
        if self.case.interrupts:
            return 0 <= self.stopped_ms <= YIELD_WINDOW_MS
        return not 0 <= self.stopped_ms <= BACKCHANNEL_WINDOW_MS


async def play(case: Case, *, url: str, api_key: str) -> Heard:
    """One call in real time. What goes wrong in it is a failure, not an exception."""
    told: list[int] = []
    call = Call(url, api_key)

    def listen(event: dict[str, object]) -> None:
        if event.get("type") == "input_audio_buffer.speech_started":
            told.append(call.playback.clock)

    call.on_event = listen
    try:
        async with call:
            response = {"instructions": f'Say exactly: "{MONOLOGUE}"'}
            call.client.send({"type": "response.create", "response": response})
            await call.until(lambda: call.playback.sounding, within_ms=_BEGIN_MS, what="the agent's words")
            await _passed(call, call.playback.clock + case.lead_ms * SAMPLE_RATE // 1000)
            told.clear()
            onset = call.speak(case.pcm) + _EDGE_MS * SAMPLE_RATE // 1000
            stopped_ms = -1
            with suppress(TimeoutError):
                await call.until(
                    lambda: not call.playback.sounding, within_ms=_WATCHED_MS, what="the agent's silence"
                )
                stopped_ms = max(0, ms_of(call.playback.clock - onset))
            await _passed(call, onset + _WATCHED_MS * SAMPLE_RATE // 1000)
    except Exception as error:
        return Heard(case, session_id=call.session_id, failure=f"{type(error).__name__}: {error}")
    told_ms = max(0, ms_of(told[0] - onset)) if told else -1
    return Heard(case, session_id=call.session_id, told_ms=told_ms, stopped_ms=stopped_ms)


async def _passed(call: Call, clock: int) -> None:
    await call.until(lambda: call.playback.clock >= clock, within_ms=60_000, what="the moment to speak")
