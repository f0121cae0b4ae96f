"""Puts policy together: the only file that names concrete adapters."""

import asyncio
from functools import partial

import grpc
from ringback.policy.v1 import policy_pb2, policy_pb2_grpc
from ringback_events import Bus, NatsBus
from ringback_identity import MacKeys, new_id
from ringback_packs import PackStore
from ringback_serving import serve, settle
from ringback_telemetry import setup

from ringback_policy.adapters.audit_trail import AuditChain
from ringback_policy.adapters.bundle_store import BundleStore
from ringback_policy.adapters.clock import wall_clock_ms
from ringback_policy.adapters.control_facts import BusControlFacts
from ringback_policy.adapters.intake import AuditIntake
from ringback_policy.adapters.pack_roles import PackRoles
from ringback_policy.adapters.proofs import MacSigner
from ringback_policy.adapters.question_records import QuestionRecords
from ringback_policy.adapters.spoken_values import says_value, speak_value
from ringback_policy.ports import Clock
from ringback_policy.server import authoring
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import Keep, PolicyServicer
from ringback_policy.settings import PolicySettings
from ringback_policy.usecases.deciding import Deciding
from ringback_policy.usecases.publishing import Publishing
from ringback_policy.usecases.recording import Recording
from ringback_policy.usecases.rolling_out import Questions, RollingOut

__all__ = ["SERVICE_NAMES", "Policy", "assemble", "author", "serve_policy"]

SERVICE_NAMES = tuple(service.full_name for service in policy_pb2.DESCRIPTOR.services_by_name.values())


class Policy:
    """The parts of one replica, ready to be served."""

    def __init__(self, bus: Bus, keys: MacKeys, *, instance: str, clock: Clock, keep: Keep | None) -> None:
        self.bus, self._keep = bus, keep
        self.store = BundleStore(bus)
        self.audit = AuditChain(bus, replica=new_id(f"{instance or 'policy'}"))
        questions = Questions()
        self.deciding = Deciding(
            self.store,
            audit=self.audit,
            signer=MacSigner(keys),
            roles=PackRoles(PackStore(bus)),
            clock=clock,
            speaker=speak_value,
            finder=says_value,
            questions=questions,
        )
        facts = BusControlFacts(bus, clock=clock)
        self.publishing = Publishing(self.store, audit=self.audit, facts=facts, clock=clock)
        self.rolling_out = RollingOut(
            self.store, audit=self.audit, facts=facts, clock=clock, questions=questions, speaker=speak_value
        )
        self.intake = AuditIntake(bus, Recording(self.audit), self.rolling_out)

    async def open(self) -> None:
        """Reads bundles and begins the intake; tries until NATS is there."""
        await self.store.open()
        await self.intake.open()
        settle()

    def register(self, server: grpc.aio.Server) -> None:
        """Adds both servicers."""
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyServicer(self.deciding, self._keep), server)
        admin = PolicyAdminServicer(self.publishing, self.rolling_out)
        policy_pb2_grpc.add_PolicyAdminServiceServicer_to_server(admin, server)

    async def close(self) -> None:
        """Ends what reads, then the bus, which keeps in its spool what was not delivered."""
        await self.intake.close()
        await self.store.close()
        self.audit.deliver()
        await self.bus.close()


def assemble(
    bus: Bus, keys: MacKeys, *, instance: str = "", clock: Clock = wall_clock_ms, keep: Keep | None = None
) -> Policy:
    """One replica over a bus; `keep` is given the questions that it decided."""
    return Policy(bus, keys, instance=instance, clock=clock, keep=keep)


async def serve_policy(settings: PolicySettings) -> None:
    """Serves at once; NOT_SERVING until bundles can be read."""
    telemetry = setup("policy", endpoint=settings.otlp_endpoint, instance=settings.instance)
    name = settings.instance or "policy"
    bus = NatsBus(settings.nats_url, name=name, spool_dir=settings.state_dir / "spool" / name)
    records = QuestionRecords(bus, on=settings.record_decisions)
    keys = MacKeys.load(settings.mac_keys_file)
    policy = assemble(bus, keys, instance=settings.instance, keep=records.keep if records.on else None)

    async def open_all() -> None:
        await bus.open(wait_ms=None)
        await policy.open()

    opening = asyncio.create_task(open_all(), name="policy-open")

    async def close_all() -> None:
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await policy.close()

    await serve(
        "policy",
        settings=settings.serving,
        register=[policy.register],
        service_names=SERVICE_NAMES,
        probes={"bundles": policy.store.probe},
        closers=[records.close, close_all, telemetry.close],
    )


author = partial(authoring.main, speaker=speak_value)
