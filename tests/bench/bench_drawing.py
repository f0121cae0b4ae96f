"""Draws lines over seconds as SVG and PNG, without a plotting library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

__all__ = ["Series", "draw"]

WIDTH, HEIGHT, ROOM = 960, 220, 36


@dataclass(frozen=True)
class Series:
    """One line: what it is, its colour, a value for each second."""

    name: str
    colour: str
    values: Sequence[float]


def draw(path: Path, series: Sequence[Series], *, marks: Sequence[float], title: str) -> list[Path]:
    """One panel per line, each with its own scale; vertical lines at `marks`. The PNG has the lines alone."""
    svg, png = path.with_suffix(".svg"), path.with_suffix(".png")
    svg.write_text(_svg(series, marks, title))
    png.write_bytes(_png(series, marks))
    return [svg, png]


def _points(one: Series, panel: int) -> list[tuple[float, float]]:
    top = max(one.values, default=0.0) or 1.0
    step = (WIDTH - 2 * ROOM) / max(1, len(one.values) - 1)
    bottom = (panel + 1) * HEIGHT - ROOM
    return [
        (ROOM + n * step, bottom - value / top * (HEIGHT - 2 * ROOM)) for n, value in enumerate(one.values)
    ]


def _mark_x(mark: float, one: Series) -> float:
    return ROOM + mark * (WIDTH - 2 * ROOM) / max(1, len(one.values) - 1)


def _svg(series: Sequence[Series], marks: Sequence[float], title: str) -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT * len(series)}"'
        f' font-family="sans-serif" font-size="13"><title>{title}</title>'
        '<rect width="100%" height="100%" fill="white"/>'
    ]
    for panel, one in enumerate(series):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in _points(one, panel))
        y = panel * HEIGHT + 20
        most = max(one.values, default=0.0)
        parts.append(f'<text x="{ROOM}" y="{y}" fill="{one.colour}">{one.name} (most: {most:.0f})</text>')
        parts.append(f'<polyline fill="none" stroke="{one.colour}" stroke-width="1.5" points="{points}"/>')
        for mark in marks:
            x = _mark_x(mark, one)
            parts.append(
                f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{y + 8}" y2="{(panel + 1) * HEIGHT - ROOM}" stroke="#bbb"/>'
            )
    return "".join(parts) + "</svg>\n"


def _png(series: Sequence[Series], marks: Sequence[float]) -> bytes:
    height = HEIGHT * len(series)
    pixels = [bytearray(b"\xff\xff\xff" * WIDTH) for _ in range(height)]
    for panel, one in enumerate(series):
        colour = bytes.fromhex(one.colour[1:])
        for mark in marks:
            x = int(_mark_x(mark, one))
            for y in range(panel * HEIGHT + 24, (panel + 1) * HEIGHT - ROOM):
                pixels[y][3 * x : 3 * x + 3] = b"\xbb\xbb\xbb"
        points = _points(one, panel)
        for (x1, y1), (x2, y2) in pairwise(points):
            steps = int(max(abs(x2 - x1), abs(y2 - y1))) + 1
            for n in range(steps + 1):
                x = int(x1 + (x2 - x1) * n / steps)
                y = int(y1 + (y2 - y1) * n / steps)
                pixels[y][3 * x : 3 * x + 3] = colour
    raw = b"".join(b"\0" + bytes(row) for row in pixels)
    head = struct.pack(">IIBBBBB", WIDTH, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", zlib.compress(raw))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
