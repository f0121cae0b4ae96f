"""Forgetting a caller: each service erases what is its own, memory last, since it alone knows the caller's calls.

Memory names the calls and removes nothing; session, then tools, erase each of them; memory removes the rest. A call
that one of them still holds is kept by memory, too, so that asking again finds it.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from ringback.memory.v1 import memory_pb2, memory_pb2_grpc
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_calling import Channel
from ringback_errors import Conflict

from ringback_cli.reaching import open_channel

__all__ = ["Addresses", "Forgotten", "Place", "forget_caller"]

LOOK_MS = 60_000
ERASE_MS = 30_000
FORGET_MS = 120_000
"""A stream is read to its end twice for each session of the caller."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services answer operators, host:port."""

    session: str
    tools: str
    memory: str


@dataclass(slots=True)
class Place:
    """One bucket or stream: what a first look found, what was removed, what a second look found."""

    found: int = 0
    removed: int = 0
    left: int = 0


@dataclass(slots=True)
class Forgotten:
    """What became of a caller's traces."""

    places: dict[str, Place] = field(default_factory=lambda: defaultdict(Place))
    session_ids: list[str] = field(default_factory=list)
    live_session_ids: list[str] = field(default_factory=list)
    # Calls of which a service could not let go yet, with the place.
    held: dict[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Nothing is left, and no call is under way."""
        return not (self.live_session_ids or self.held or any(place.left for place in self.places.values()))


class _Counts(Protocol):
    @property
    def found(self) -> int: ...
    @property
    def removed(self) -> int: ...
    @property
    def left(self) -> int: ...


async def forget_caller(addresses: Addresses, *, tenant: str, caller_id: str, actor: str) -> Forgotten:
    """Erase a caller everywhere; doing it again is safe, and goes on where it failed. Raises RingbackError."""
    async with AsyncExitStack() as stack:
        memory, session, tools = [
            await stack.enter_async_context(open_channel(address, name=name, option=f"--{name}"))
            for name, address in (
                ("memory", addresses.memory),
                ("session", addresses.session),
                ("tools", addresses.tools),
            )
        ]
        asked = memory_pb2.ForgetCallerRequest(tenant=tenant, caller_id=caller_id, look_only=True)
        looked = await _forget(memory, asked, deadline_ms=LOOK_MS)
        done = Forgotten(live_session_ids=list(looked.live_session_ids))
        # Its client secrets first: they would begin calls that nobody looked for.
        _add(done, "sessions", await _erase_session(session, tenant, caller_id=caller_id, actor=actor))
        for session_id in looked.session_ids:
            await _erase_call(done, session, tools, tenant=tenant, session_id=session_id, actor=actor)
        asked = memory_pb2.ForgetCallerRequest(
            tenant=tenant,
            caller_id=caller_id,
            keep_session_ids=[*done.held, *(set(looked.session_ids) & set(done.live_session_ids))],
            actor=actor,
        )
        rest = await _forget(memory, asked, deadline_ms=FORGET_MS)
    for place in rest.places:
        _add(done, place.place, place)
    done.session_ids = list(rest.session_ids)
    done.live_session_ids = sorted({*done.live_session_ids, *rest.live_session_ids})
    return done


async def _erase_call(
    done: Forgotten, session: Channel, tools: Channel, *, tenant: str, session_id: str, actor: str
) -> None:
    try:
        counts = await _erase_session(session, tenant, session_id=session_id, actor=actor)
    except Conflict:
        done.live_session_ids.append(session_id)
        return
    _add(done, "sessions", counts)
    outcomes = await _erase_outcomes(tools, tenant, session_id=session_id, actor=actor)
    _add(done, "outcomes", outcomes)
    for place, left in (("sessions", counts.left), ("outcomes", outcomes.left)):
        if left:
            done.held[session_id] = place


def _add(done: Forgotten, name: str, counts: _Counts) -> None:
    place = done.places[name]
    place.found += counts.found
    place.removed += counts.removed
    place.left += counts.left


async def _forget(
    channel: Channel, request: memory_pb2.ForgetCallerRequest, *, deadline_ms: int
) -> memory_pb2.ForgetCallerResponse:
    stub = memory_pb2_grpc.MemoryServiceStub(channel.grpc)
    answer: memory_pb2.ForgetCallerResponse = await channel.unary(
        stub.ForgetCaller, request, deadline_ms=deadline_ms, idempotent=True, attempts_max=1
    )
    return answer


async def _erase_session(
    channel: Channel, tenant: str, *, session_id: str = "", caller_id: str = "", actor: str
) -> session_pb2.EraseSessionResponse:
    stub = session_pb2_grpc.SessionAdminServiceStub(channel.grpc)
    request = session_pb2.EraseSessionRequest(
        tenant=tenant, session_id=session_id, caller_id=caller_id, actor=actor
    )
    answer: session_pb2.EraseSessionResponse = await channel.unary(
        stub.EraseSession, request, deadline_ms=ERASE_MS, idempotent=True
    )
    return answer


async def _erase_outcomes(
    channel: Channel, tenant: str, *, session_id: str, actor: str
) -> tools_pb2.EraseSessionResponse:
    stub = tools_pb2_grpc.ToolsServiceStub(channel.grpc)
    request = tools_pb2.EraseSessionRequest(tenant=tenant, session_id=session_id, actor=actor)
    answer: tools_pb2.EraseSessionResponse = await channel.unary(
        stub.EraseSession, request, deadline_ms=ERASE_MS, idempotent=True
    )
    return answer
