"""Owns how a frame of the benchmark carries its moment: 12 bytes at the head of the audio, as 16 base64 characters.

The monotonic clock is one for all processes of a machine, so a frame's way can be timed from end to end.
"""

from __future__ import annotations

import base64
import struct

__all__ = ["APPEND_HEAD", "FRAME_BYTES", "STAMP_CHARS", "TAIL", "append", "stamp", "stamped"]

_LAYOUT = struct.Struct("<qI")
# 40 ms of PCM16 at 24 kHz: what browsers and phones send.
FRAME_BYTES = 1_920
STAMP_CHARS = 16
APPEND_HEAD = b'{"type":"input_audio_buffer.append","audio":"'
TAIL = base64.b64encode(bytes(FRAME_BYTES - _LAYOUT.size)) + b'"}'


def stamp(sent_ns: int, up_us: int = 0) -> bytes:
    """`sent_ns` is when this frame was sent, `up_us` how long the frame that it answers was under way."""
    return base64.b64encode(_LAYOUT.pack(sent_ns, min(up_us, 0xFFFF_FFFF)))


def stamped(frame: bytes, audio_at: int) -> tuple[int, int]:
    """(sent_ns, up_us) of a frame whose audio begins at `audio_at`."""
    sent_ns, up_us = _LAYOUT.unpack(base64.b64decode(frame[audio_at : audio_at + STAMP_CHARS]))
    return int(sent_ns), int(up_us)


def append(sent_ns: int) -> bytes:
    """One frame of the caller's audio."""
    return APPEND_HEAD + stamp(sent_ns) + TAIL
