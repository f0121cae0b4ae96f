"""What a replica tells of its breakers: a fact for everybody, a figure for whoever watches."""

import pytest
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from ringback.events.v1 import events_pb2
from ringback_events import ALL_CONTROL, MemoryBroker, MemoryBus
from ringback_telemetry import setup
from ringback_tools.adapters.clock import LoopClock
from ringback_tools.adapters.facts import BusFacts
from ringback_tools.domain.breaker import Breaker, BreakerRule, BreakerState


@pytest.fixture
def reader():
    made = InMemoryMetricReader()
    telemetry = setup("test", extra_reader=made)
    yield made
    telemetry.shutdown()


def shown(reader):
    """The gauge of each dependency."""
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    points = next(each.data.data_points for each in metrics if each.name == "ringback.breaker.state")
    return {point.attributes["ringback.dependency"]: point.value for point in points}


async def test_a_breaker_that_opens_and_closes_is_told_and_shown(reader):
    bus = MemoryBus(MemoryBroker())
    told = []

    async def take(delivery):
        told.append(events_pb2.ControlFact.FromString(delivery.payload))

    facts, rule = BusFacts(bus, replica="tools-1", clock=LoopClock()), BreakerRule(open_ms=700)
    facts.breaker_changed("airline", Breaker(rule, BreakerState.OPEN, reason="5 failures in a row"))
    assert shown(reader) == {"airline": 2}
    facts.breaker_changed("airline", Breaker(rule))
    assert shown(reader) == {"airline": 0}
    await bus.flush(timeout_ms=5_000)
    tail = await bus.ephemeral(ALL_CONTROL, take, start="all")
    await tail.wait_caught_up()
    opened, closed = told
    assert (
        opened.breaker_opened.dependency,
        opened.breaker_opened.reason,
        opened.breaker_opened.open_ms,
    ) == (
        "airline",
        "5 failures in a row",
        700,
    )
    assert (closed.breaker_closed.dependency, closed.breaker_closed.replica) == ("airline", "tools-1")
    await bus.close()
