"""What the server tells of a message in its reply subject, with a domain and without."""

from __future__ import annotations

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from ringback_events.nats_consumer import delivery_of

PLACE = "KV_outcomes.tail_1.2.41.7.1795376855427440498.5"


@pytest.mark.parametrize(
    "reply", [f"$JS.ACK.{PLACE}", f"$JS.ACK.hub.ACCOUNT.{PLACE}", f"$JS.ACK._.ACCOUNT.{PLACE}.a1b2"]
)
def test_a_delivery_knows_its_place_in_the_stream(reply: str) -> None:
    message = Msg(_client=Client(), subject="a.b", reply=reply, data=b"x", headers={"K": "v"})
    found = delivery_of(message)
    assert (found.subject, found.payload, found.headers) == ("a.b", b"x", {"K": "v"})
    assert (found.deliveries, found.stream_seq, found.lag) == (2, 41, 5)
    assert found.stored_at_ms == 1795376855427
    assert found.stream_seq == message.metadata.sequence.stream
    assert found.lag == message.metadata.num_pending
