"""The model of whole calls: a twin for which a test speaks, and the real adapter at a URL."""

import json

from ringback_errors import Unavailable
from ringback_session.adapters.models_ws import ModelsOverWebSocket
from ringback_session.adapters.upstream_source import UpstreamSource
from ringback_session.adapters.upstream_spec import single_upstream
from ringback_session.ports import Term
from ringback_testkit.scripted_model import Answer, ModelFrames

__all__ = ["UpstreamTwin", "models_at"]


class UpstreamTwin(ModelFrames):
    """The realtime model: keeps what it was sent; a test speaks for it, on the connection that was spoken to last."""

    def __init__(self):
        super().__init__(lambda frame: self._speaker.on_frame(frame), seed="upstream")
        self.sockets = []
        self.asked = []
        self.term = Term()
        self.sent = []
        self.appended = []
        self.refusals = 0
        self.problem = Unavailable("ws://model can not be reached: refused")
        self.hangs_up_at_once = False
        self._speaker = None

    @property
    def connections(self):
        return len(self.sockets)

    @property
    def open(self):
        return any(socket.open for socket in self.sockets)

    async def connect(self, *, model, purpose, on_frame, on_lost):
        self.asked.append((model, purpose))
        if self.refusals:
            self.refusals -= 1
            raise self.problem
        socket = _Socket(self, on_frame, on_lost)
        self.sockets.append(socket)
        if self._speaker is None or not self._speaker.open:
            self._speaker = socket
        if self.hangs_up_at_once:
            on_lost("closed_3000")
        return socket

    def lose(self, number=None):
        """Lose the connection that serves, or the one of a number."""
        socket = self._speaker if number is None else self.sockets[number]
        socket.open = False
        socket.on_lost("closed_1006")

    def got(self, type):
        return [event for event in self.sent if event["type"] == type]

    def own_id(self):
        """The id under which the last response was asked for."""
        return self.got("response.create")[-1]["response"]["metadata"]["ringback"]

    def begins(self, own_id=None, response_id=None):
        return super().begins({"ringback": own_id or self.own_id()}, response_id=response_id)

    def replies(self, words="Sure.", *, calls=(), own_id=None, kind="audio", chunks=1):
        """A whole response to what was asked for last; calls are (name, arguments)."""
        answer = Answer(words, calls, kind=kind, chunks=chunks)
        return self.answers(answer, own_id)

    def speaks(self):
        """Says our own words exactly as asked."""
        asked = self.got("response.create")[-1]["response"]
        return self.replies(asked["instructions"].removeprefix('Say exactly: "').removesuffix('"'))


class _Socket:
    def __init__(self, upstream, on_frame, on_lost):
        self._upstream = upstream
        self.on_frame, self.on_lost = on_frame, on_lost
        self.term = upstream.term
        self.open = True
        self.sent = []

    def send(self, frame):
        assert self.open, "nothing is sent to a connection that is closed"
        event = json.loads(frame)
        upstream = self._upstream
        upstream._speaker = self
        self.sent.append(event)
        (upstream.appended if event["type"].endswith(".append") else upstream.sent).append(event)

    def close(self):
        self.open = False


def models_at(world, url, *, model="m", key="k"):
    """The real adapter for one upstream at a URL."""
    source = UpstreamSource(single_upstream(url, model=model, key_variable="KEY"))
    return ModelsOverWebSocket(source, variable={"KEY": key}.__getitem__, clock=world.clock)
