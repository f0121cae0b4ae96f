"""What one session may use; every buffer of a session names its bound here."""

from dataclasses import dataclass

__all__ = ["SessionLimits"]


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """``retained_audio_bytes_max`` is what stays retrievable; older audio is let go first."""

    items_max: int = 2_000
    audio_buffer_ms_max: int = 300_000
    turn_ms_max: int = 60_000
    retained_audio_bytes_max: int = 16 * 1024 * 1024
    parallel_responses_max: int = 8
    reply_chars_max: int = 8_000
    recognise_timeout_ms: int = 30_000
