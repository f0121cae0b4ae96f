"""Realtime WebSockets on picows: upgrade, whole messages, bounded sending, defined closes.

`RealtimeLink` is one connection, on either side: it hands over whole messages, never fragments, and closes a peer that
does not read with a reason rather than dropping anything. `listen` serves, `dial` connects.
"""

from ringback_sockets.dialing import UpgradeRefused, dial
from ringback_sockets.http import HttpAnswer, HttpRequest, error_answer, json_answer
from ringback_sockets.link import FRAME_BYTES_MAX, Closed, RealtimeLink
from ringback_sockets.listening import listen
from ringback_sockets.upgrade import (
    Upgrade,
    accepted,
    presented_key,
    read_upgrade,
    refusal,
    text_answer,
)

__all__ = [
    "FRAME_BYTES_MAX",
    "Closed",
    "HttpAnswer",
    "HttpRequest",
    "RealtimeLink",
    "Upgrade",
    "UpgradeRefused",
    "accepted",
    "dial",
    "error_answer",
    "json_answer",
    "listen",
    "presented_key",
    "read_upgrade",
    "refusal",
    "text_answer",
]
