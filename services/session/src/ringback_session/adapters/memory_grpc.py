"""Memory over gRPC. A call never waits for it longer than it is worth: the answer is then None."""

from __future__ import annotations

from google.protobuf.json_format import MessageToJson
from ringback.memory.v1 import memory_pb2, memory_pb2_grpc
from ringback_calling import Channel
from ringback_errors import RingbackError

from ringback_session.domain.effects import FetchPacket
from ringback_session.domain.inputs import CompactionPlan
from ringback_session.domain.known import StaleValue
from ringback_session.domain.state import SlotValue
from ringback_session.ports import Clock, Pinned, Remembered

__all__ = ["MemoryOverGrpc"]

PACKET_DEADLINE_MS = 2_500
CONTEXT_DEADLINE_MS = 2_000
CONTEXT_TOKENS = 2_000
SLOTS_MAX = 64


class MemoryOverGrpc:
    """Implements `ports.Memory`."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self._stub = memory_pb2_grpc.MemoryServiceStub(channel.grpc)

    async def packet(self, question: FetchPacket, pinned: Pinned) -> str | None:
        request = memory_pb2.GetHandoffPacketRequest(
            tenant=pinned.tenant,
            session_id=pinned.session_id,
            min_epoch=question.min_epoch,
            min_seq=question.min_seq,
            reason=question.reason,
        )
        try:
            answer = await self._channel.unary(
                self._stub.GetHandoffPacket, request, deadline_ms=PACKET_DEADLINE_MS, idempotent=True
            )
        except RingbackError:
            return None
        return MessageToJson(answer.packet, preserving_proto_field_name=True, indent=None)

    async def context(self, pinned: Pinned, *, min_epoch: int, min_seq: int) -> Remembered | None:
        request = memory_pb2.GetContextRequest(
            tenant=pinned.tenant,
            session_id=pinned.session_id,
            budget_tokens=CONTEXT_TOKENS,
            min_epoch=min_epoch,
            min_seq=min_seq,
        )
        try:
            answer = await self._channel.unary(
                self._stub.GetContext,
                request,
                deadline_ms=CONTEXT_DEADLINE_MS,
                idempotent=True,
                attempts_max=1,
            )
        except RingbackError:
            return None
        now_ms = self._clock.now_ms()
        slots = tuple(
            SlotValue(
                name=slot.name,
                value_json=slot.value_json,
                as_of_seq=slot.source_seq,
                at_ms=now_ms - slot.age_ms,
                confidence=slot.confidence,
                ttl_ms=slot.ttl_ms,
            )
            for slot in answer.slots[:SLOTS_MAX]
        )
        stale = tuple(
            StaleValue(
                name=value.name,
                tool=value.refresh_tool,
                arguments_json=value.refresh_arguments_json,
                fact=value.fact,
                ttl_ms=value.ttl_ms,
            )
            for value in answer.stale_slots[:SLOTS_MAX]
        )
        return Remembered(
            text=answer.text,
            slots=slots,
            as_of_epoch=answer.as_of_epoch,
            as_of_seq=answer.as_of_seq,
            plan=_plan(answer.plan) if answer.HasField("plan") else None,
            stale=stale,
        )

    async def recall(self, pinned: Pinned, *, min_epoch: int, min_seq: int, budget_tokens: int) -> str | None:
        request = memory_pb2.GetContextRequest(
            tenant=pinned.tenant,
            session_id=pinned.session_id,
            budget_tokens=budget_tokens,
            min_epoch=min_epoch,
            min_seq=min_seq,
        )
        try:
            answer = await self._channel.unary(
                self._stub.GetContext, request, deadline_ms=CONTEXT_DEADLINE_MS, idempotent=True
            )
        except RingbackError:
            return None
        # Memory names the caller only when they agreed to be remembered and something was left.
        return answer.text if answer.HasField("caller") else None


def _plan(plan: memory_pb2.CompactionPlan) -> CompactionPlan:
    return CompactionPlan(
        epoch=plan.epoch,
        covers_epoch=plan.covers_epoch,
        covers_seq=plan.covers_seq,
        item_ids=tuple(plan.item_ids),
        call_ids=tuple(plan.call_ids),
        compact_context=plan.compact_context,
        summary=plan.summary,
    )
