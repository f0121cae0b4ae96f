"""The twin of the queue in memory: for tests, and for trying a tool without NATS."""

from __future__ import annotations

from ringback_errors import Overloaded

from ringback_tools.domain.requests import ActionRequest
from ringback_tools.ports import JournalAway, Waiting

__all__ = ["MemoryJobQueue"]


class MemoryJobQueue:
    """Requests in order, each action once; `away` makes it unreachable."""

    def __init__(self, *, jobs_max: int = 1_000) -> None:
        self.away = False
        self.requests: dict[tuple[str, str, str], ActionRequest] = {}
        self.oldest_ms = 0
        self._jobs_max = jobs_max

    async def put(self, request: ActionRequest) -> None:
        self._reach()
        if request.key not in self.requests and len(self.requests) >= self._jobs_max:
            raise Overloaded("the queue is full", field="queue")
        self.requests.setdefault(request.key, request)

    async def waiting(self) -> Waiting:
        self._reach()
        return Waiting(len(self.requests), self.oldest_ms if self.requests else 0)

    def _reach(self) -> None:
        if self.away:
            raise JournalAway("the queue is away")
