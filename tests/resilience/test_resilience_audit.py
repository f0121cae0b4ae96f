"""The audit of a replica of policy that is killed while it decides: what it allowed is there, its chain has no gap."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc
from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_cli.audit import Audit, read_audit
from ringback_identity import MacKeys, canonical_json, digest
from ringback_testkit import NatsServer, ServiceProcess

ARGUMENTS = canonical_json({"amount": 5})
PLAIN = b'version: "1"\nowner: test\n'
FILES = {
    "interaction.yaml": PLAIN,
    "domain.yaml": PLAIN,
    "safety.yaml": PLAIN,
    "actions.yaml": PLAIN + b"actions:\n  pay: {side_effect: write}\n  look: {side_effect: read}\n",
}
CALLERS = 8
KILLS = 3
ALLOWED_A_RUN = 60


def question(number: int, bundle: str) -> pb.DecideRequest:
    """Every third is a write; the others are reads, whose entries may wait."""
    write = number % 3 == 0
    asked = pb.DecideRequest(
        decision_id=f"dec_{number}",
        gate=pb.GATE_ACTION,
        tenant="local",
        bundle_digest=bundle,
        session=pb.SessionView(session_id="sess_1", tenant="local"),
        now=Timestamp(seconds=1_795_000_000),
    )
    asked.action.action_id, asked.action.tool_version = f"act_{number}", "1.0"
    asked.action.tool = "pay" if write else "look"
    asked.action.side_effect = pb.SIDE_EFFECT_WRITE if write else pb.SIDE_EFFECT_READ
    asked.action.arguments_json, asked.action.arguments_digest = ARGUMENTS, digest(ARGUMENTS)
    return asked


class Load:
    """Callers that ask until the replica is gone; `allowed` are the writes that somebody was told they may do."""

    def __init__(self) -> None:
        self.allowed: list[str] = []
        self._next = 0

    async def run(self, address: str, bundle: str, *, until: int, done: asyncio.Event) -> None:
        async with grpc.aio.insecure_channel(address) as channel:
            stub = policy_pb2_grpc.PolicyServiceStub(channel)
            await asyncio.gather(*(self._ask(stub, bundle, until, done) for _ in range(CALLERS)))

    async def _ask(
        self, stub: policy_pb2_grpc.PolicyServiceAsyncStub, bundle: str, until: int, done: asyncio.Event
    ) -> None:
        while True:
            self._next += 1
            try:
                answer = await stub.Decide(question(self._next, bundle), timeout=5)
            except grpc.aio.AioRpcError:
                return
            if answer.HasField("proof"):
                self.allowed.append(answer.decision_id)
            if len(self.allowed) >= until:
                done.set()


async def publish(address: str) -> str:
    """The bundle's digest, once the replica has read the store."""
    async with grpc.aio.insecure_channel(address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        async for state in health.Watch(health_pb2.HealthCheckRequest(), timeout=20):
            if state.status == health_pb2.HealthCheckResponse.SERVING:
                break
        admin = policy_pb2_grpc.PolicyAdminServiceStub(channel)
        tools = {"pay": pb.SIDE_EFFECT_WRITE, "look": pb.SIDE_EFFECT_READ}
        request = pb.PublishBundleRequest(pack="shop", files=FILES, tools=tools, actor="test")
        return (await admin.PublishBundle(request, timeout=5)).bundle_digest


async def test_what_a_killed_replica_allowed_is_audited_and_its_chain_has_no_gap(tmp_path: Path) -> None:
    MacKeys.generate(tmp_path / "keys.json")
    with NatsServer.start(tmp_path / "nats") as nats:
        env = {
            "RINGBACK_NATS_URL": nats.url,
            "RINGBACK_MAC_KEYS_FILE": str(tmp_path / "keys.json"),
            "RINGBACK_STATE_DIR": str(tmp_path / "state"),
            "RINGBACK_LOG_LEVEL": "error",
        }
        load = Load()
        with ServiceProcess.start("ringback_policy", env, folder=tmp_path / "policy") as policy:
            for kill in range(1, KILLS + 1):
                bundle = await publish(policy.address)
                done = asyncio.Event()
                running = asyncio.create_task(
                    load.run(policy.address, bundle, until=kill * ALLOWED_A_RUN, done=done)
                )
                await asyncio.wait_for(done.wait(), 30)
                policy.kill9()
                await running
                policy.restart()
            await publish(
                policy.address
            )  # connected again: what the spool held is on its way, and this behind it
            audit = await wait_for_chains(nats.url)
    said = "\n".join(line for kind, line in audit.lines if kind == "decision")
    assert len(load.allowed) >= KILLS * ALLOWED_A_RUN
    assert [one for one in load.allowed if f"{one} " not in said] == []
    assert audit.breaks == ()
    assert audit.chains == KILLS + 1


async def wait_for_chains(nats_url: str) -> Audit:
    for _ in range(10):
        audit = await read_audit(nats_url)
        if audit.chains == KILLS + 1:
            return audit
    pytest.fail("the chain of the last run is not there")
