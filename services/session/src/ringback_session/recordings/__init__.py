"""Recorded calls: what the core took and what it asked for, step by step, and their replay bit for bit.

A recording is JSON, one line a step. It holds what was said, arguments and results; it holds no audio, no key, and
of a decision's proof only a hash. Format and bounds: `lines`.
"""

from ringback_session.recordings.lines import FORMAT, VERSION, BadRecordingError, Recording, read
from ringback_session.recordings.replaying import Difference, Replayed, replay

__all__ = [
    "FORMAT",
    "VERSION",
    "BadRecordingError",
    "Difference",
    "Recording",
    "Replayed",
    "read",
    "replay",
]
