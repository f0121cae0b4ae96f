"""One message on its way out, and the checks that it must pass before it is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ringback_errors import InvalidInput

from ringback_events.subjects import check_subject
from ringback_events.topology import Topology

__all__ = ["MSG_ID_HEADER", "Message", "checked_message"]

MSG_ID_HEADER = "Nats-Msg-Id"
MSG_ID_CHARS_MAX = 256
HEADERS_BYTES_MAX = 8 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """A message that is ready to be sent."""

    subject: str
    payload: bytes
    msg_id: str
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """What the message costs in a bounded buffer."""
        return len(self.payload) + len(self.subject) + len(self.msg_id) + 64

    def wire_headers(self) -> dict[str, str]:
        """The headers as they are sent, the message id among them."""
        return {**self.headers, MSG_ID_HEADER: self.msg_id}


def checked_message(message: Message, *, topology: Topology) -> Message:
    """Return `message` if a declared stream would take it, else raise InvalidInput naming the part."""
    check_subject(message.subject)
    stream = topology.stream_of(message.subject)
    if len(message.payload) > stream.message_bytes_max:
        raise InvalidInput(
            f"payload: at most {stream.message_bytes_max} bytes expected by stream {stream.name},"
            f" got {len(message.payload)}",
            field="payload",
        )
    if not 1 <= len(message.msg_id) <= MSG_ID_CHARS_MAX or not _printable(message.msg_id):
        raise InvalidInput(
            f"msg_id: 1 to {MSG_ID_CHARS_MAX} printable ASCII characters expected", field="msg_id"
        )
    if not all(_printable(name) and _printable(value) for name, value in message.headers.items()):
        raise InvalidInput("headers: printable ASCII names and values expected", field="headers")
    if sum(len(name) + len(value) for name, value in message.headers.items()) > HEADERS_BYTES_MAX:
        raise InvalidInput(f"headers: at most {HEADERS_BYTES_MAX} bytes expected", field="headers")
    return message


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
