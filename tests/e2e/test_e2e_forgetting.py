"""Forgetting a caller over the running stack: no stream, bucket or object store holds their words or ids afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator

import nats
from nats.js.errors import NotFoundError
from ringback.memory.v1 import memory_pb2, memory_pb2_grpc
from ringback.policy.v1 import audit_pb2, policy_pb2
from ringback.session.v1 import session_pb2, session_pb2_grpc
from ringback_calling import Channel
from ringback_cli.forgetting import Addresses, Forgotten, forget_caller
from ringback_testkit.running_stack import RunningStack
from ringback_testkit.typed_caller import TypedCaller

CALLER = "clr-quackenbush-77"
WORDS = "zebulonian"
# Append-only, and the fact that somebody was forgotten: they name sessions, and never say who or what was said.
NAME_SESSIONS = {"AUDIT", "CONTROL"}
TRIES = 10


async def test_no_word_of_a_forgotten_caller_is_left_anywhere(running: RunningStack) -> None:
    session_id = await _call(running)
    await _recorded(running)
    await _recorded_together(running, session_id)
    before = await _places_with(running, session_id)
    assert {"EVENTS", "DECISIONS", "KV_memory", "KV_sessions", "KV_outcomes"} <= before, (
        "the call left its traces"
    )
    done = await _forget(running)
    assert done.complete, done
    assert done.places["sessions"].removed >= 2, "the record and its token"
    assert done.places["outcomes"].removed >= 2, "the action and the epoch"
    assert done.places["DECISIONS"].removed >= 2, "the call's own, and those recorded together with another's"
    assert await _places_with(running, session_id) == set()


async def _call(running: RunningStack) -> str:
    """One action, done and told; ended by an operator, since a caller who hangs up could come back."""
    at = running.stack.addresses
    async with TypedCaller(running.ws_url, running.stack.api_key, caller_id=CALLER) as caller:
        caller.type(f"Hello, I am {WORDS}. I want to cancel my reservation")
        await caller.hears("reservation id")
        caller.type("375841")
        await caller.hears("shall i go ahead")
        caller.type("yes")
        session_id = caller.session_id
        await running.fact(session_id, "action_finished")
        channel = Channel(at.admin, name="session")
        try:
            stub = session_pb2_grpc.SessionAdminServiceStub(channel.grpc)
            request = session_pb2.EndSessionRequest(
                session_id=session_id, actor="test", reason="the call is over"
            )
            await channel.unary(stub.EndSession, request, deadline_ms=5_000, idempotent=False)
        finally:
            await channel.close()
        ended = await running.fact(session_id, "session_ended")
    await _folded(running, session_id, epoch=ended.epoch, seq=ended.seq)
    return session_id


async def _folded(running: RunningStack, session_id: str, *, epoch: int, seq: int) -> None:
    channel = Channel(running.stack.addresses.memory, name="memory")
    try:
        stub = memory_pb2_grpc.MemoryServiceStub(channel.grpc)
        request = memory_pb2.GetContextRequest(
            tenant="local", session_id=session_id, budget_tokens=500, min_epoch=epoch, min_seq=seq
        )
        await channel.unary(stub.GetContext, request, deadline_ms=20_000, idempotent=True)
    finally:
        await channel.close()


async def _recorded_together(running: RunningStack, session_id: str) -> None:
    """Questions of several sessions in one message, as they were recorded before a session had a subject of its own."""
    client = await nats.connect(running.stack.addresses.nats_url)
    try:
        question = policy_pb2.DecideRequest(
            tenant="local", session=policy_pb2.SessionView(session_id=session_id)
        )
        batch = audit_pb2.RecordedQuestions(questions=[question])
        await client.jetstream().publish("ringback.decisions.local.airline", batch.SerializeToString())
    finally:
        await client.close()


async def _recorded(running: RunningStack) -> None:
    """Wait until policy has handed over what it recorded: a question that was asked later is in the stream."""
    client = await nats.connect(running.stack.addresses.nats_url)
    try:
        async with TypedCaller(running.ws_url, running.stack.api_key) as another:
            tail = await client.jetstream().subscribe(
                f"ringback.decisions.local.*.{another.session_id}", ordered_consumer=True
            )
            another.type("I want to cancel my reservation")
            await another.hears("reservation id")
            another.type("375841")
            await tail.next_msg(timeout=25)
    finally:
        await client.close()


async def _forget(running: RunningStack) -> Forgotten:
    """As often as it takes until session has written down that the call ended."""
    at = running.stack.addresses
    addresses = Addresses(session=at.admin, tools=at.tools, memory=at.memory)
    for _ in range(TRIES):
        done = await forget_caller(addresses, tenant="local", caller_id=CALLER, actor="test")
        if done.complete:
            break
    return done


async def _places_with(running: RunningStack, session_id: str) -> set[str]:
    """The streams (buckets and object stores are streams, too) that hold the caller's id, words, or the call's id."""
    found = set()
    async for stream, text in _everything(running.stack.addresses.nats_url):
        marks = [CALLER, WORDS] if stream in NAME_SESSIONS else [CALLER, WORDS, session_id]
        if any(mark.encode() in text for mark in marks):
            found.add(stream)
    return found


async def _everything(url: str) -> AsyncIterator[tuple[str, bytes]]:
    """Every message and value on the server; of a key that was deleted only its name is left, and that is no value."""
    client = await nats.connect(url)
    try:
        jetstream = client.jetstream()
        for stream in await jetstream.streams_info():
            name, seen = stream.config.name or "", stream.state.first_seq - 1
            # A value that is written anew while it is looked for goes to the end of its stream.
            while (last := (await jetstream.stream_info(name)).state.last_seq) > seen:
                for seq in range(max(1, seen + 1), last + 1):
                    try:
                        message = await jetstream.get_msg(name, seq=seq)
                    except NotFoundError:
                        continue
                    yield name, (message.data or b"").lower()
                seen = last
    finally:
        await client.close()
