"""Owns when a backlog is late, and when it is well again: not before the wait has halved, so that it does not flap."""

from __future__ import annotations

from collections.abc import Collection

__all__ = ["late"]


def late(windows_ms: Collection[int], oldest_ms: int, *, before: frozenset[int]) -> frozenset[int]:
    """The windows that the oldest work has passed; one that was passed stays so until the wait is half of it."""
    return frozenset(
        window_ms
        for window_ms in windows_ms
        if oldest_ms > (window_ms // 2 if window_ms in before else window_ms)
    )
