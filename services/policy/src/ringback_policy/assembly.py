"""The part of `bootstrap` for one replica: the parts that answer, over a bus."""

import grpc
from ringback.policy.v1 import policy_pb2_grpc
from ringback_events import Bus
from ringback_identity import MacKeys, new_id
from ringback_packs import PackStore
from ringback_serving import settle

from ringback_policy.adapters.audit_trail import AuditChain
from ringback_policy.adapters.bundle_store import BundleStore
from ringback_policy.adapters.clock import wall_clock_ms
from ringback_policy.adapters.control_facts import BusControlFacts
from ringback_policy.adapters.intake import AuditIntake
from ringback_policy.adapters.pack_roles import PackRoles
from ringback_policy.adapters.proofs import MacSigner
from ringback_policy.adapters.spoken_values import says_value, speak_value
from ringback_policy.ports import Clock
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import PolicyServicer
from ringback_policy.usecases.deciding import Deciding, Keep
from ringback_policy.usecases.publishing import Publishing
from ringback_policy.usecases.recording import Recording
from ringback_policy.usecases.rolling_out import Questions, RollingOut
from ringback_policy.usecases.second_opinion import Reconsidering
from ringback_policy.wire import read_question

__all__ = ["Policy", "assemble"]


class Policy:
    """The parts of one replica, ready to be served."""

    def __init__(
        self,
        bus: Bus,
        keys: MacKeys,
        *,
        instance: str,
        clock: Clock,
        keep: Keep | None,
        reconsidering: Reconsidering | None,
    ) -> None:
        self.bus, self._reconsidering = bus, reconsidering
        self.store = BundleStore(bus)
        self.audit = AuditChain(bus, replica=new_id(f"{instance or 'policy'}"))
        questions = Questions(read_question)
        self.deciding = Deciding(
            self.store,
            audit=self.audit,
            signer=MacSigner(keys),
            roles=PackRoles(PackStore(bus)),
            clock=clock,
            speaker=speak_value,
            finder=says_value,
            keeps=(questions.keep,) if keep is None else (questions.keep, keep),
            reconsidering=reconsidering,
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
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyServicer(self.deciding), server)
        admin = PolicyAdminServicer(self.publishing, self.rolling_out)
        policy_pb2_grpc.add_PolicyAdminServiceServicer_to_server(admin, server)

    async def close(self) -> None:
        """Ends what reads, then the bus, which keeps in its spool what was not delivered."""
        await self.intake.close()
        await self.store.close()
        if self._reconsidering is not None:
            await self._reconsidering.close()
        self.audit.deliver()
        await self.bus.close()


def assemble(
    bus: Bus,
    keys: MacKeys,
    *,
    instance: str = "",
    clock: Clock = wall_clock_ms,
    keep: Keep | None = None,
    reconsidering: Reconsidering | None = None,
) -> Policy:
    """One replica over a bus; `keep` is given the questions that it decided, `reconsidering` every yes."""
    return Policy(bus, keys, instance=instance, clock=clock, keep=keep, reconsidering=reconsidering)
