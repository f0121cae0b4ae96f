"""Owns how policy is told that a canary failed a quality gate: as a fact on the bus, which policy counts."""

from __future__ import annotations

import asyncio
import time

from google.protobuf import timestamp_pb2
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_errors import Conflict, Unavailable
from ringback_events import control_subject
from ringback_identity import new_id

from ringback_cli.commands.policy_admin import TIMEOUT_S
from ringback_cli.reaching import open_bus

__all__ = ["GATE_CHARS_MAX", "tell_gate_failed"]

GATE_CHARS_MAX = 64
PUBLISH_MS = 5_000
COUNTED_S = 20.0
PAUSE_S = 0.1


async def tell_gate_failed(
    stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub,
    pack: str,
    failed: events_pb2.GateFailed,
    *,
    nats_url: str,
) -> pb.Rollout:
    """Publishes it and waits until it is counted; the rollout then, without the candidate where it was rolled back.

    Without a digest it is about the candidate. Raises Conflict where no canary runs of that bundle, NotReached, and
    Unavailable when policy has not counted it in COUNTED_S.
    """
    before = await _rollout(stub, pack)
    failed.bundle_digest = failed.bundle_digest or before.candidate_digest
    if not _runs(before, failed.bundle_digest):
        shown = before.candidate_digest if before.canary_percent else "none"
        raise Conflict(
            f"expected the candidate of a running canary of pack {pack}, which is {shown}", field="--bundle"
        )
    fact = events_pb2.ControlFact(
        schema_version=1,
        producer="cli",
        occurred_at=timestamp_pb2.Timestamp(seconds=int(time.time())),
        gate_failed=failed,
    )
    bus = await open_bus(nats_url)
    try:
        await bus.publish_now(
            control_subject("gate_failed"),
            fact.SerializeToString(),
            msg_id=new_id("ctl"),
            timeout_ms=PUBLISH_MS,
        )
    finally:
        await bus.close()
    try:
        async with asyncio.timeout(COUNTED_S):
            return await _counted(stub, pack, failed.bundle_digest, before.gates_failed)
    except TimeoutError:
        raise Unavailable(
            "policy was told and has not counted it yet; it will: do not tell it again, look at `status`"
        ) from None


async def _counted(
    stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub, pack: str, digest: str, before: int
) -> pb.Rollout:
    while True:
        now = await _rollout(stub, pack)
        if now.gates_failed > before or not _runs(now, digest):
            return now
        await asyncio.sleep(PAUSE_S)


def _runs(rollout: pb.Rollout, digest: str) -> bool:
    return bool(rollout.canary_percent) and rollout.candidate_digest == digest


async def _rollout(stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub, pack: str) -> pb.Rollout:
    return (await stub.GetRollout(pb.GetRolloutRequest(pack=pack), timeout=TIMEOUT_S)).rollout
