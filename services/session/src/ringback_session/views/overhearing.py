"""How loud the caller is over the agent, and for how long: measured only while a sound is being judged.

Frames are looked at after they went to the model; what lies before a sound is kept for a moment: its onset counts.
"""

from __future__ import annotations

import math
from array import array
from base64 import b64decode
from collections import deque
from collections.abc import Callable
from typing import Final

from ringback_realtime import AudioHead, Pcm, Pcma, SessionConfig

from ringback_session.domain.floor_inputs import CallerSound
from ringback_session.domain.state import CallState

__all__ = ["Overhearing"]

BLOCK_MS: Final = 20
# Voice activity is found up to so long after its onset.
BEFORE_MS: Final = 400
# Voice is what is less far below the loudest moment, and above a quiet room.
VOICE_BELOW_PEAK_DB: Final = 20.0
ROOM_DB: Final = -55.0
BLOCKS_MAX: Final = 400
# Every fourth sample of PCM16 is enough to know how loud it is.
_STEP: Final = 4
_PCM_BLOCK: Final = 24 * BLOCK_MS
_G711_BLOCK: Final = 8 * BLOCK_MS
_FULL_SCALE: Final = 32_768.0


class Overhearing:
    """One caller's microphone, while the agent is audible."""

    def __init__(self, state: CallState, *, config: Callable[[], SessionConfig]) -> None:
        self._state = state
        self._config = config
        self._before: deque[tuple[int, str]] = deque()
        self._levels: list[float] = []
        self._of = ""

    def frame(self, head: AudioHead, samples: int) -> CallerSound | None:
        """A frame of the caller's, whose last sample is this one. Returns what is known of a sound being judged."""
        overlap = self._state.floor.overlap
        if overlap is None or overlap.ended:
            self._of = ""
            self._keep(head, samples)
            return None
        if overlap.item_id != self._of:
            self._of, self._levels = overlap.item_id, []
            for _, payload in self._before:
                self._measure(payload)
            self._before.clear()
        self._measure(head.audio)
        return self._sound()

    def _keep(self, head: AudioHead, samples: int) -> None:
        state = self._state
        if not state.rules.backchannel_window_ms or samples >= state.playback.ends_at:
            self._before.clear()
            return
        self._before.append((samples, head.audio))
        while samples - self._before[0][0] > BEFORE_MS * 24:
            self._before.popleft()

    def _measure(self, payload: str) -> None:
        try:
            audio = b64decode(payload)
        except (ValueError, TypeError):
            # Not ours to judge: the model says what is wrong with it.
            return
        given = self._config().input_format
        if isinstance(given, Pcm):
            samples = array("h", audio[: len(audio) // 2 * 2])
            levels = [
                _level_db(
                    sum(value * value for value in samples[at : at + _PCM_BLOCK : _STEP]), _PCM_BLOCK // _STEP
                )
                for at in range(0, len(samples) - _PCM_BLOCK + 1, _PCM_BLOCK)
            ]
        else:
            power = _A_LAW if isinstance(given, Pcma) else _MU_LAW
            levels = [
                _level_db(sum(power[value] for value in audio[at : at + _G711_BLOCK]), _G711_BLOCK)
                for at in range(0, len(audio) - _G711_BLOCK + 1, _G711_BLOCK)
            ]
        self._levels.extend(levels)
        del self._levels[: max(0, len(self._levels) - BLOCKS_MAX)]

    def _sound(self) -> CallerSound | None:
        if not self._levels:
            return None
        peak = max(self._levels)
        voiced = [
            at for at, level in enumerate(self._levels) if level >= max(ROOM_DB, peak - VOICE_BELOW_PEAK_DB)
        ]
        if not voiced:
            return CallerSound(voice_ms=0, quiet_ms=len(self._levels) * BLOCK_MS, level_db=peak)
        return CallerSound(
            voice_ms=(voiced[-1] - voiced[0] + 1) * BLOCK_MS,
            quiet_ms=(len(self._levels) - 1 - voiced[-1]) * BLOCK_MS,
            level_db=peak,
        )


def _level_db(power: float, samples: int) -> float:
    return 10 * math.log10(power / samples / _FULL_SCALE**2 + 1e-10)


def _mu_law(code: int) -> int:
    """The magnitude of a code, at 16 bits (ITU-T G.711)."""
    code = ~code & 0xFF
    return (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84


def _a_law(code: int) -> int:
    code ^= 0x55
    exponent, magnitude = code >> 4 & 7, (code & 0x0F) << 4
    return magnitude + 8 if exponent == 0 else magnitude + 0x108 << exponent - 1


_MU_LAW: Final = tuple(_mu_law(code) ** 2 for code in range(256))
_A_LAW: Final = tuple(_a_law(code) ** 2 for code in range(256))
