"""Owns the services that decide and execute in a replay: started for it, asked over gRPC, stopped after it."""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from ringback.policy.v1 import policy_pb2, policy_pb2_grpc
from ringback.tools.v1 import tools_pb2, tools_pb2_grpc
from ringback_errors import Unavailable
from ringback_packs import Pack, load_pack

from ringback_cli.stack.nats_server import nats_program, write_config
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.ports import free_ports
from ringback_cli.stack.probes import grpc_serving, nats_listening, port_open
from ringback_cli.stack.process import Probe, ProgramSpec
from ringback_cli.stack.provision import publish_and_activate
from ringback_cli.stack.supervisor import Note, Supervisor
from ringback_cli.stack.tenancy import LOCAL_TENANT, ensure_proof_keys

__all__ = ["TENANT", "Desk", "open_desk"]

HOST = "127.0.0.1"
TENANT = LOCAL_TENANT
CALL_TIMEOUT_S = 20.0
BACKEND_TIMEOUT_S = 10.0


class Desk:
    """Policy, tools and the booking system behind them, with the pack that they serve."""

    def __init__(
        self, pack: Pack, *, pack_digest: str, bundle_digest: str, policy: str, tools: str, backend: str
    ) -> None:
        self.pack = pack
        self.bundle_digest = bundle_digest
        self._pack_digest = pack_digest
        self._backend = backend
        self._channels = [grpc.aio.insecure_channel(policy), grpc.aio.insecure_channel(tools)]
        self._policy = policy_pb2_grpc.PolicyServiceStub(self._channels[0])
        self._tools = tools_pb2_grpc.ToolsServiceStub(self._channels[1])

    async def decide(self, request: policy_pb2.DecideRequest) -> policy_pb2.DecideResponse:
        """One decision of the policy service."""
        answer: policy_pb2.DecideResponse = await self._policy.Decide(request, timeout=CALL_TIMEOUT_S)
        return answer

    async def read_consent(self, request: policy_pb2.ReadConsentRequest) -> policy_pb2.ReadConsentResponse:
        """How the policy service reads an answer."""
        answer: policy_pb2.ReadConsentResponse = await self._policy.ReadConsent(
            request, timeout=CALL_TIMEOUT_S
        )
        return answer

    async def execute(self, request: tools_pb2.ExecuteRequest) -> tools_pb2.Result:
        """The result of one execution by the tools service."""
        request.tenant, request.pack_digest, request.epoch = TENANT, self._pack_digest, 1
        request.priority = tools_pb2.PRIORITY_LIVE_CALL
        async for event in self._tools.Execute(request, timeout=CALL_TIMEOUT_S):
            if event.HasField("result"):
                result: tools_pb2.Result = event.result
                return result
        raise Unavailable(f"tools ended {request.tool} without a result")

    async def reset(self) -> None:
        """Brings the recorded state back."""
        await asyncio.to_thread(self._post, "/replay/reset", {})

    async def apply(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Does what the recording did, past policy and tools; whether the booking system took it."""
        body = {"tool": tool, "arguments": arguments}
        return await asyncio.to_thread(self._post, "/replay/apply", body)

    async def close(self) -> None:
        """Closes the channels."""
        for channel in self._channels:
            await channel.close()

    def _post(self, path: str, body: Mapping[str, Any]) -> bool:
        request = urllib.request.Request(self._backend + path, data=json.dumps(body).encode(), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=BACKEND_TIMEOUT_S):
                return True
        except urllib.error.HTTPError:
            return False
        except OSError as error:
            raise Unavailable(f"the booking system: {error}") from None


@asynccontextmanager
async def open_desk(
    pack_folder: Path, *, data: Path, root: Path, environment: Mapping[str, str]
) -> AsyncIterator[Desk]:
    """Starts NATS, the booking system, policy and tools in `root`, and publishes the pack to them."""
    paths = StackPaths(root)
    paths.make()
    ensure_proof_keys(paths.mac_keys)
    nats, backend, policy, tools = free_ports(4, host=HOST)
    starting = _Starting(paths, environment, nats_port=nats)
    async with Supervisor(on_note=_quiet) as supervisor:
        await supervisor.start_together(
            [starting.nats(), starting.backend(pack_folder / "backend" / "bookings.py", backend, data=data)]
        )
        keys = {"RINGBACK_MAC_KEYS_FILE": str(paths.mac_keys)}
        connector = {"RINGBACK_CONNECTOR_AIRLINE_BOOKINGS": f"http://{HOST}:{backend}"}
        await supervisor.start_together(
            [
                starting.service("policy", policy, grpc_serving(f"{HOST}:{policy}"), keys),
                starting.service("tools", tools, grpc_serving(f"{HOST}:{tools}"), {**keys, **connector}),
            ]
        )
        (done,) = await publish_and_activate(
            [pack_folder],
            nats_url=f"nats://{HOST}:{nats}",
            policy_address=f"{HOST}:{policy}",
            reason="replay of recorded conversations",
        )
        desk = Desk(
            load_pack(pack_folder),
            pack_digest=done.pack_digest,
            bundle_digest=done.bundle_digest,
            policy=f"{HOST}:{policy}",
            tools=f"{HOST}:{tools}",
            backend=f"http://{HOST}:{backend}",
        )
        try:
            yield desk
        finally:
            await desk.close()


class _Starting:
    """How each program of the replay is started."""

    def __init__(self, paths: StackPaths, environment: Mapping[str, str], *, nats_port: int) -> None:
        self._paths = paths
        self._environment = dict(environment)
        self._nats_port = nats_port

    def nats(self) -> ProgramSpec:
        config = self._paths.state / "nats.conf"
        write_config(config, host=HOST, port=self._nats_port, store=self._paths.nats_store)
        argv = (str(nats_program()), "--config", str(config))
        return self._spec("nats", argv, nats_listening(HOST, self._nats_port))

    def backend(self, program: Path, port: int, *, data: Path) -> ProgramSpec:
        ready = self._paths.ready_file_of("bookings")
        argv = (
            sys.executable,
            str(program),
            "--data",
            str(data),
            "--port",
            str(port),
            "--ready-file",
            str(ready),
        )
        return self._spec("bookings", argv, port_open(HOST, port), ready_file=ready)

    def service(self, name: str, port: int, probe: Probe, settings: Mapping[str, str]) -> ProgramSpec:
        state = self._paths.state_of(name)
        state.mkdir(parents=True, exist_ok=True)
        ready = self._paths.ready_file_of(name)
        env = {
            "RINGBACK_HOST": HOST,
            "RINGBACK_PORT": str(port),
            "RINGBACK_READY_FILE": str(ready),
            "RINGBACK_NATS_URL": f"nats://{HOST}:{self._nats_port}",
            "RINGBACK_INSTANCE": f"{name}-1",
            "RINGBACK_STATE_DIR": str(state),
            **settings,
        }
        return self._spec(name, (sys.executable, "-m", f"ringback_{name}"), probe, ready_file=ready, env=env)

    def _spec(
        self,
        name: str,
        argv: tuple[str, ...],
        probe: Probe,
        *,
        ready_file: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> ProgramSpec:
        return ProgramSpec(
            name=name,
            argv=argv,
            log_file=self._paths.log_of(name),
            env={**self._environment, **(env or {})},
            ready_file=ready_file,
            probe=probe,
        )


def _quiet(note: Note) -> None:
    """Nobody watches the programs of a replay; a failed start says why by itself."""
