"""Callers: so many connections that send audio, paced as people speak or as fast as it goes. Writes JSON.

They call one after the other, come back when they are told to try again later, and hang up in the end: who vanished
would keep its place for a while.

`python bench_load.py URL --sessions 50 --seconds 5 --to FILE [--window 8] [--key KEY]`; with a window, each connection
keeps so many frames under way instead of sending one every 40 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from array import array
from pathlib import Path

import orjson
import uvloop
from bench_wire import STAMP_CHARS, append, stamped
from picows import (
    WSCloseCode,
    WSFrame,
    WSInvalidStatusError,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

FRAME_S = 0.04
READY_S = 30.0
HANG_UP_S = 10.0
_DELTA = b'"response.output_audio.delta"'
_AUDIO = b'"delta":"'


class Caller(WSListener):  # type: ignore[misc]
    """One connection: opens a response, then sends frames and times what comes back."""

    def __init__(self, up: array[int], down: array[int]) -> None:
        self.ready = asyncio.get_running_loop().create_future()
        self.measuring = False
        self.refill = False
        self.answered = 0
        self.strange: list[str] = []
        self._up, self._down = up, down
        self._asked = False
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                self.strange.append(f"closed: {frame.get_close_code()} {frame.get_close_reason()}")
                transport.disconnect()
            return
        now_ns = time.monotonic_ns()
        payload = frame.get_payload_as_bytes()
        if _DELTA in payload[:64]:
            self._delta(payload, now_ns)
            return
        event = orjson.loads(payload)
        match event["type"]:
            case "session.created" if not self._asked:
                self._asked = True
                transport.send(WSMsgType.TEXT, b'{"type":"response.create"}')
            case "response.content_part.added":
                if not self.ready.done():
                    self.ready.set_result(None)
            case "error":
                self.strange.append(str(event["error"]))

    def say(self) -> None:
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, append(time.monotonic_ns()))

    def _delta(self, payload: bytes, now_ns: int) -> None:
        self.answered += 1
        if self.measuring:
            sent_ns, up_us = stamped(payload, payload.index(_AUDIO) + len(_AUDIO))
            self._up.append(up_us)
            self._down.append((now_ns - sent_ns) // 1000)
        if self.refill:
            self.say()


async def _paced(callers: list[Caller], until: float) -> None:
    """Every caller speaks every 40 ms, spread evenly over them, each frame at its own moment."""
    loop = asyncio.get_running_loop()
    began, turn = loop.time(), 0
    apart_s = FRAME_S / len(callers)
    while (moment := began + turn * apart_s) < until:
        if (wait_s := moment - loop.time()) > 0.0005:
            await asyncio.sleep(wait_s)
        callers[turn % len(callers)].say()
        turn += 1


async def _connect(caller: Caller, url: str, headers: dict[str, str] | None) -> float | None:
    """None: connected; else in how many seconds to try again."""
    try:
        await ws_connect(lambda: caller, url, extra_headers=headers)
    except WSInvalidStatusError as refused:
        wait_s = refused.response.headers.get("Retry-After")
        if wait_s is None:
            raise
        print(f"refused: {bytes(refused.raw_body or b'').decode()}", file=sys.stderr, flush=True)
        return float(wait_s)
    return None


async def _hang_up(callers: list[Caller]) -> None:
    transports = [caller.transport for caller in callers if caller.transport is not None]
    for transport in transports:
        transport.send_close(WSCloseCode.OK)
    gone = (transport.wait_disconnected() for transport in transports)
    await asyncio.wait_for(asyncio.gather(*gone, return_exceptions=True), HANG_UP_S)


async def _run(given: argparse.Namespace) -> dict[str, object]:
    up, down = array("q"), array("q")
    headers = {"Authorization": f"Bearer {given.key}"} if given.key else None
    callers = [Caller(up, down) for _ in range(given.sessions)]
    refused = 0
    for caller in callers:
        async with asyncio.timeout(READY_S):
            while (wait_s := await _connect(caller, given.url, headers)) is not None:
                refused += 1
                await asyncio.sleep(wait_s)
            await caller.ready
    gc.collect()
    gc.freeze()
    gc.disable()
    loop = asyncio.get_running_loop()
    if not given.window:
        await _paced(callers, loop.time() + given.warm)
    before = sum(caller.answered for caller in callers)
    print("measuring", file=sys.stderr, flush=True)
    began = loop.time()
    if given.window:
        for caller in callers:
            caller.refill = True
            for _ in range(given.window):
                caller.say()
        until = began + given.seconds
        while (left_s := until - loop.time()) > 0:
            await asyncio.sleep(left_s)
    else:
        for caller in callers:
            caller.measuring = True
        await _paced(callers, began + given.seconds)
    took_s = loop.time() - began
    answered = sum(caller.answered for caller in callers) - before
    for caller in callers:
        caller.refill = caller.measuring = False
    print("measured", file=sys.stderr, flush=True)
    strange = [word for caller in callers for word in caller.strange]
    await _hang_up(callers)
    return {
        "sessions": given.sessions,
        "seconds": round(took_s, 3),
        "answered": answered,
        "up_us": up.tolist(),
        "down_us": down.tolist(),
        "refused": refused,
        "strange": strange[:5],
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--warm", type=float, default=0.5)
    parser.add_argument("--window", type=int, default=0)
    parser.add_argument("--key", default="")
    parser.add_argument("--to", type=Path, required=True)
    return parser.parse_args()


if __name__ == "__main__":
    assert STAMP_CHARS == 16
    arguments = _arguments()
    arguments.to.write_text(json.dumps(uvloop.run(_run(arguments))))
