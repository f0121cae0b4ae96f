"""The system behind the no-op tools: answers every HTTP request at once with {"ok": true}."""

from __future__ import annotations

import asyncio
from typing import Any

from bench_process import serve

_ANSWER = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{"ok":true}'


class Noop(asyncio.Protocol):
    """Requests come one after another on a kept connection and have no body worth reading."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._seen = b""

    def data_received(self, data: bytes) -> None:
        self._seen += data
        while b"\r\n\r\n" in self._seen:
            head, _, rest = self._seen.partition(b"\r\n\r\n")
            length = _length(head)
            if len(rest) < length:
                return
            self._seen = rest[length:]
            self._transport.write(_ANSWER)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def _open() -> int:
    server = await asyncio.get_running_loop().create_server(Noop, "127.0.0.1", 0)
    return int(server.sockets[0].getsockname()[1])


if __name__ == "__main__":
    serve(_open)
