"""A Realtime model that costs almost nothing: answers every frame of audio with one, and calls a tool when told to.

`response.create` opens an audio response that goes on until the connection ends; every append is answered by one
`response.output_audio.delta` of it. After a user's text "call NAME ARGUMENTS" a response is that function call
instead, and the response after its output says how long the output took, in ns, as "took N".
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from bench_process import serve
from bench_wire import APPEND_HEAD, TAIL, stamp, stamped
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

_DELTA = (
    b'{"type":"response.output_audio.delta","event_id":"event_1","response_id":"%b","item_id":"%b",'
    b'"output_index":0,"content_index":0,"delta":"'
)


class Model(WSListener):  # type: ignore[misc]
    """One connection."""

    def __init__(self) -> None:
        self._transport: WSTransport | None = None
        self._made = 0
        self._delta_head = b""
        self._call: tuple[str, str] | None = None
        self._called_ns = 0
        self._took_ns = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send("session.created", session={"id": "sess_model", "type": "realtime"})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            if frame.msg_type is WSMsgType.CLOSE:
                transport.disconnect()
            return
        now_ns = time.monotonic_ns()
        payload = frame.get_payload_as_bytes()
        if payload.startswith(APPEND_HEAD):
            if self._delta_head:
                up_us = (now_ns - stamped(payload, len(APPEND_HEAD))[0]) // 1000
                head = self._delta_head + stamp(time.monotonic_ns(), max(0, up_us))
                transport.send(WSMsgType.TEXT, head + TAIL)
            return
        event = orjson.loads(payload)
        match event["type"]:
            case "response.create":
                self._respond((event.get("response") or {}).get("metadata"))
            case "conversation.item.create":
                self._item(event["item"], now_ns)

    def _item(self, item: dict[str, Any], now_ns: int) -> None:
        self._send("conversation.item.added", item=item)
        self._send("conversation.item.done", item=item)
        if item["type"] == "function_call_output":
            self._took_ns = now_ns - self._called_ns
        elif item.get("role") == "user":
            word, _, rest = str(item["content"][0].get("text", "")).partition(" ")
            name, _, arguments = rest.partition(" ")
            self._call = (name, arguments) if word == "call" else None

    def _respond(self, metadata: object) -> None:
        self._made += 1
        response = {
            "id": f"resp_{id(self)}_{self._made}",
            "object": "realtime.response",
            "status": "in_progress",
            "status_details": None,
            "output": [],
            "output_modalities": ["audio"],
            "usage": None,
            "metadata": metadata,
        }
        self._send("response.created", response=response)
        if self._call is not None:
            (name, arguments), self._call = self._call, None
            self._function_call(response, name, arguments)
        elif self._took_ns:
            took_ns, self._took_ns = self._took_ns, 0
            self._text(response, f"took {took_ns}")
        else:
            self._open_audio(response)

    def _open_audio(self, response: dict[str, Any]) -> None:
        where = self._message(response)
        self._delta_head = _DELTA % (where["response_id"].encode(), where["item_id"].encode())

    def _text(self, response: dict[str, Any], text: str) -> None:
        where = self._message(response)
        self._send("response.output_audio_transcript.delta", **where, content_index=0, delta=text)
        part = {"type": "audio", "transcript": text}
        self._send("response.content_part.done", **where, content_index=0, part=part)
        content = [{"type": "output_audio", "transcript": text}]
        self._done(
            response, {"id": where["item_id"], "type": "message", "role": "assistant", "content": content}
        )

    def _message(self, response: dict[str, Any]) -> dict[str, Any]:
        item = {"id": f"item_{response['id']}", "type": "message", "role": "assistant", "content": []}
        where = {"response_id": response["id"], "output_index": 0}
        self._send("response.output_item.added", **where, item=item | {"status": "in_progress"})
        where["item_id"] = item["id"]
        part = {"type": "audio", "transcript": ""}
        self._send("response.content_part.added", **where, content_index=0, part=part)
        return where

    def _function_call(self, response: dict[str, Any], name: str, arguments: str) -> None:
        call_id = f"call_{self._made}"
        item = {"id": f"item_{response['id']}", "type": "function_call", "call_id": call_id, "name": name}
        where = {"response_id": response["id"], "output_index": 0}
        added = item | {"status": "in_progress", "arguments": ""}
        self._send("response.output_item.added", **where, item=added)
        self._called_ns = time.monotonic_ns()
        done = {"item_id": item["id"], "call_id": call_id, "name": name, "arguments": arguments}
        self._send("response.function_call_arguments.done", **where, **done)
        self._done(response, item | {"arguments": arguments})

    def _done(self, response: dict[str, Any], item: dict[str, Any]) -> None:
        whole = item | {"status": "completed"}
        self._send("response.output_item.done", response_id=response["id"], output_index=0, item=whole)
        self._send("response.done", response=response | {"status": "completed", "output": [whole]})

    def _send(self, kind: str, **fields: Any) -> None:
        assert self._transport is not None
        message = {"type": kind, "event_id": "event_1"} | fields
        self._transport.send(WSMsgType.TEXT, orjson.dumps(message))


async def _open() -> int:
    def admit(_: WSUpgradeRequest) -> Model:
        return Model()

    server = await ws_create_server(admit, "127.0.0.1", 0, max_frame_size=22 * 1024 * 1024)
    return int(server.sockets[0].getsockname()[1])


if __name__ == "__main__":
    serve(_open)
