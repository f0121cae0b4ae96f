"""Owns the standard health service (``grpc.health.v1``), answered from the service's real dependencies.

A failing probe makes the replica NOT_SERVING and nothing else: the process goes on and recovers by itself.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_log: Final = logging.getLogger(__name__)
_Reply = health_pb2.HealthCheckResponse

Probe = Callable[[], Awaitable[None]]


class Health(health_pb2_grpc.HealthServicer):
    """Health of ``""`` and of each named service: all probes pass, and nobody has said stop."""

    def __init__(
        self,
        service_names: Sequence[str],
        probes: Mapping[str, Probe],
        *,
        probe_timeout_ms: int = 500,
        cache_ms: int = 1_000,
        watchers_max: int = 64,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._names = frozenset({"", *service_names})
        self._probes = dict(probes)
        self._probe_timeout_s = probe_timeout_ms / 1000
        self._cache_s = cache_ms / 1000
        self._watchers_max = watchers_max
        self._clock = clock
        self._lock = asyncio.Lock()
        self._checked_at: float | None = None
        self._failing: dict[str, str] = {}
        self._stopping = asyncio.Event()
        self._watchers = 0

    @property
    def failing(self) -> Mapping[str, str]:
        """The probes that failed when last tried, and why."""
        return dict(self._failing)

    def stop(self) -> None:
        """NOT_SERVING from now on; watchers are told and let go."""
        self._stopping.set()

    async def serving(self) -> bool:
        """Whether all probes pass; the answer is at most `cache_ms` old."""
        async with self._lock:
            now = self._clock()
            if self._checked_at is None or now - self._checked_at >= self._cache_s:
                found = await asyncio.gather(*(self._try(name) for name in self._probes))
                self._checked_at = self._clock()
                self._learn({name: why for name, why in found if why})
        return not self._failing and not self._stopping.is_set()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        """The status now; NOT_FOUND for a service that is not served here."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "not served here")
        return health_pb2.HealthCheckResponse(status=await self._status())

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802 - gRPC's name
        """The status now and at every change, until stop."""
        if self._watchers >= self._watchers_max:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"at most {self._watchers_max} watchers")
        self._watchers += 1
        try:
            known = request.service in self._names
            last = None
            while True:
                stopping = self._stopping.is_set()  # asked before the status: the last one must be told
                status = await self._status() if known else _Reply.SERVICE_UNKNOWN
                if status != last:
                    last = status
                    yield health_pb2.HealthCheckResponse(status=status)
                if stopping:
                    return
                await self._pause()
        finally:
            self._watchers -= 1

    async def _status(self) -> Any:
        return _Reply.SERVING if await self.serving() else _Reply.NOT_SERVING

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(self._cache_s):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _try(self, name: str) -> tuple[str, str]:
        try:
            async with asyncio.timeout(self._probe_timeout_s):
                await self._probes[name]()
        except TimeoutError:
            return name, f"no answer within {int(self._probe_timeout_s * 1000)} ms"
        except Exception as error:
            return name, f"{type(error).__name__}: {error}"
        return name, ""

    def _learn(self, failing: dict[str, str]) -> None:
        for name in failing.keys() - self._failing.keys():
            _log.warning("probe %s fails: %s", name, failing[name])
        for name in self._failing.keys() - failing.keys():
            _log.info("probe %s passes again", name)
        self._failing = failing
