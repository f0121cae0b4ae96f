"""The wall clock."""

import time

__all__ = ["wall_clock_ms"]


def wall_clock_ms() -> int:
    """Unix time, ms."""
    return time.time_ns() // 1_000_000
