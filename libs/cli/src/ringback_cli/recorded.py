"""Owns the reading of recorded questions: the last ones about a pack that policy kept for replay diffs."""

from __future__ import annotations

import asyncio
from collections import deque

from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_events import Delivery, connect, recorded_decisions

__all__ = ["read_questions"]

# After this long without a word the stream has said all.
SILENCE_S = 2.0


async def read_questions(nats_url: str, pack: str, *, last: int) -> list[pb.DecideRequest]:
    """The last recorded questions about this pack, oldest first; none where recording was never on."""
    found: deque[pb.DecideRequest] = deque(maxlen=last)
    heard = asyncio.Event()

    async def on_message(delivery: Delivery) -> None:
        found.extend(audit_pb2.RecordedQuestions.FromString(delivery.payload).questions)
        heard.set()

    bus = await connect(nats_url, name="ringback-cli")
    try:
        await bus.ephemeral(recorded_decisions(pack), on_message, start="all")
        while True:
            heard.clear()
            try:
                await asyncio.wait_for(heard.wait(), SILENCE_S)
            except TimeoutError:
                break
    finally:
        await bus.close()
    return list(found)
