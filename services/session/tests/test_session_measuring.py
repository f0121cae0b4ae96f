"""What operators see of calls: how soon the agent yields, how long hand-overs take, breakers before the model."""

import pytest
from ringback.events.v1 import events_pb2
from ringback_calling import BreakerState
from ringback_events import MemoryBroker, MemoryBus
from ringback_session.adapters.control_bus import ControlOnBus
from ringback_session.adapters.upstream_spec import single_upstream
from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned
from ringback_session.usecases.measuring import Measuring
from ringback_testkit import FakeClock

PINNED = Pinned(
    tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=1, agent="front"
)


class Seen:
    def __init__(self):
        self.stops, self.handoffs = [], []

    def interrupted(self, stop_ms):
        self.stops.append(stop_ms)

    def handed_over(self, outcome, took_ms):
        self.handoffs.append((outcome, took_ms))


def told(*facts):
    seen = Seen()
    listen = Measuring(seen)
    for kind, body in facts:
        listen(Publish(kind=kind, seq=1, epoch=1, turn_id="t", agent="a", at_ms=1, body=body), PINNED)
    return seen


def held(outcome, wait_ms):
    return ("turn_rule_applied", {"rule": "backchannel", "outcome": outcome, "wait_ms": wait_ms})


def cut(heard_ms):
    return ("interrupted", {"item_id": "i", "heard_ms": heard_ms})


def test_a_sound_that_was_held_back_before_it_interrupted_counts_as_long_as_it_was_held():
    assert told(held("interrupted", 180), cut(900), cut(0)).stops == [180]


def test_without_the_filter_the_agent_stops_at_once():
    assert told(held("ignored", 300), cut(900)).stops == [0.0]


def test_a_hand_over_is_measured():
    assert told(("handed_off", {"outcome": "done", "duration_ms": 40.0})).handoffs == [("done", 40.0)]


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (BreakerState.OPEN, "breaker_opened"),
        (BreakerState.CLOSED, "breaker_closed"),
        (BreakerState.HALF_OPEN, ""),
    ],
)
async def test_a_breaker_before_a_model_is_told_on_the_control_stream(state, kind):
    broker = MemoryBroker()
    bus = MemoryBus(broker)
    upstream = single_upstream("ws://127.0.0.1:1/v1/realtime", model="m", key_variable="KEY")
    ControlOnBus(bus, FakeClock(), replica="session-0").breaker_changed(upstream, state)
    await bus.close()
    stored = [entry.message.payload for entry in broker.streams["CONTROL"].after(0)]
    facts = [events_pb2.ControlFact.FromString(payload) for payload in stored]
    assert [fact.WhichOneof("body") for fact in facts] == ([kind] if kind else [])
    for fact in facts:
        told = getattr(fact, kind)
        assert (told.dependency, told.replica) == (f"model.{upstream.name}", "session-0")
