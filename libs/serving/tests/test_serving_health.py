"""Health speaks for the real dependencies, and is never older than its bound."""

import asyncio

import grpc
import pytest
from grpc_health.v1 import health_pb2
from ringback_serving import Health

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class Dependency:
    error: Exception | None = None
    tried = 0

    async def probe(self):
        self.tried += 1
        if self.error:
            raise self.error


class Refusing:
    """A context whose abort raises, as gRPC's does."""

    code = None

    async def abort(self, code, details):
        self.code = code
        raise grpc.aio.AbortError(details)


def asked(service=""):
    return health_pb2.HealthCheckRequest(service=service)


async def test_it_follows_its_dependency_both_ways():
    nats, clock = Dependency(), Clock()
    health = Health(["a.B"], {"nats": nats.probe}, clock=clock)
    assert (await health.Check(asked("a.B"), Refusing())).status == SERVING
    nats.error = ConnectionError("gone")
    clock.now += 1
    assert (await health.Check(asked(), Refusing())).status == NOT_SERVING
    assert health.failing == {"nats": "ConnectionError: gone"}
    nats.error = None
    clock.now += 1
    assert (await health.Check(asked(), Refusing())).status == SERVING


async def test_many_askers_cost_one_probe_a_second():
    nats, clock = Dependency(), Clock()
    health = Health([], {"nats": nats.probe}, clock=clock)
    await asyncio.gather(*(health.serving() for _ in range(50)))
    clock.now += 0.9
    await health.serving()
    assert nats.tried == 1
    clock.now += 0.1
    await health.serving()
    assert nats.tried == 2


async def test_a_probe_that_hangs_is_cut_short():
    health = Health([], {"nats": asyncio.Event().wait}, probe_timeout_ms=10)
    assert not await health.serving()
    assert "10 ms" in health.failing["nats"]


async def test_after_stop_nothing_is_serving():
    health = Health([], {})
    assert await health.serving()
    health.stop()
    assert not await health.serving()


async def test_a_service_that_is_not_here_is_not_found():
    context = Refusing()
    with pytest.raises(grpc.aio.AbortError):
        await Health(["a.B"], {}).Check(asked("a.C"), context)
    assert context.code is grpc.StatusCode.NOT_FOUND


async def test_a_watcher_sees_every_change_and_the_end():
    nats = Dependency()
    health = Health([], {"nats": nats.probe}, cache_ms=5)
    watching = health.Watch(asked(), Refusing())
    assert (await anext(watching)).status == SERVING
    nats.error = ConnectionError("gone")
    assert (await anext(watching)).status == NOT_SERVING
    nats.error = None
    assert (await anext(watching)).status == SERVING
    health.stop()
    assert [reply.status async for reply in watching] == [NOT_SERVING]


async def test_a_watcher_of_an_unknown_service_is_told_so():
    health = Health([], {})
    watching = health.Watch(asked("x"), Refusing())
    assert (await anext(watching)).status == UNKNOWN
    health.stop()
    assert [reply async for reply in watching] == []


async def test_watchers_are_bounded():
    health, context = Health([], {}, watchers_max=1), Refusing()
    first = health.Watch(asked(), context)
    await anext(first)
    with pytest.raises(grpc.aio.AbortError):
        await anext(health.Watch(asked(), context))
    assert context.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    await first.aclose()
    second = health.Watch(asked(), context)
    assert (await anext(second)).status == SERVING
    await second.aclose()
