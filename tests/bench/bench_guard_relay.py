"""The other design: a relay whose guard stands in the stream. `python bench_guard_relay.py UPSTREAM_URL`.

It awaits BENCH_GUARD_MS for each transcript of the caller before it passes on anything that the model says after it.
"""

from __future__ import annotations

import asyncio
import os
import sys

from bench_process import serve
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websockets
from websockets.exceptions import ConnectionClosed

TRANSCRIPT = '"conversation.item.input_audio_transcription.completed"'


async def open_blocking(upstream: str, late_s: float) -> int:
    async def handle(client: ServerConnection) -> None:
        async with connect(upstream, compression=None) as model:

            async def back() -> None:
                async for message in model:
                    text = message if isinstance(message, str) else message.decode()
                    if TRANSCRIPT in text:
                        await asyncio.sleep(late_s)
                    await client.send(text)

            answering = asyncio.ensure_future(back())
            try:
                async for message in client:
                    await model.send(message)
            except ConnectionClosed:
                pass
            finally:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)

    server = await serve_websockets(handle, "127.0.0.1", 0, compression=None)
    return int(next(iter(server.sockets)).getsockname()[1])


if __name__ == "__main__":
    serve(lambda: open_blocking(sys.argv[1], int(os.environ["BENCH_GUARD_MS"]) / 1000))
