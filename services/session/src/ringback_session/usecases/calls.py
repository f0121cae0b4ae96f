"""All calls of this replica: taken in within bounds, resumed, looked after, drained."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import msgspec
from ringback_errors import NotFound, RingbackError, Unavailable
from ringback_identity import new_id
from ringback_realtime import SessionConfig

from ringback_session.domain.agents import AgentCard
from ringback_session.domain.inputs import CallStarted, Input, Resumed
from ringback_session.domain.rules import TurnRules
from ringback_session.domain.state import SNAPSHOT_VERSION, CallState
from ringback_session.domain.upkeep import BudgetReached
from ringback_session.domain.usage import Account
from ringback_session.ports import Caller, ClientSocket, PackInfo, Pinned, Record
from ringback_session.usecases.admission import Admission
from ringback_session.usecases.agents import Agents, team_of
from ringback_session.usecases.call import Call
from ringback_session.usecases.keeping import Keeper, load_saved
from ringback_session.usecases.services import CallsSettings, Services
from ringback_session.views.client import ClientView
from ringback_session.views.metering import Metering
from ringback_session.views.model import ModelView, check_tools

__all__ = ["Calls", "fresh_session_id"]

log = logging.getLogger(__name__)

EXPIRED_AT_ONCE_MAX = 20
SETTLE_EVERY_MS = 5_000
BAD_TOKEN = "the resume token is unknown, spent, or its session has ended"


class Calls:
    """The running calls of one replica."""

    def __init__(self, services: Services, *, owner: str, settings: CallsSettings) -> None:
        self._services = services
        self.owner = owner
        self._model = settings.model
        self._limits = settings.limits
        self._agents = Agents(
            policy=services.policy, tools=services.tools, packs=services.packs, text=services.text
        )
        self._one_over = asyncio.Event()
        self.running: dict[str, Call] = {}
        # Where other replicas and operators find this one; known once the admin service listens.
        self.address = ""
        self.on_stop_taking: Callable[[], None] = lambda: None
        self.admission = Admission(
            limits=settings.admission,
            running=self.running,
            presence=services.presence,
            meters=services.meters,
            ledger=services.ledger,
        )
        if services.ledger is not None:
            services.ledger.on_reached = self._budget_reached

    @property
    def draining(self) -> bool:
        return self.admission.draining

    async def start(
        self,
        client: ClientSocket,
        *,
        caller: Caller,
        pack: str,
        session_id: str,
        token_hash: bytes,
        model: str | None,
        session: Mapping[str, Any] | None = None,
    ) -> Call:
        """Take a new call; `session` is what its credential configures it with.

        Raises Refused, NotFound (pack), Unavailable (a service or the model), Conflict, ProtocolError (`session`).
        """
        with self.admission.starting(caller, session_id):
            info = await self._services.packs.resolve(pack)
            bundle, rules = await self._services.policy.session_rules(
                tenant=caller.tenant, pack=info.name, session_id=session_id
            )
            pinned = Pinned(
                tenant=caller.tenant,
                session_id=session_id,
                pack_digest=info.digest,
                bundle_digest=bundle,
                epoch=1,
                agent=info.default_agent,
            )
            (card, breakers), off = await asyncio.gather(
                self._agents.first(pinned, info.graph), self._services.late_facts.tools_off()
            )
            now_ms = self._services.clock.now_ms()
            rules = _stricter(rules, info)
            state = CallState(
                session_id=session_id,
                tenant=caller.tenant,
                pack=info.name,
                pack_digest=info.digest,
                bundle_digest=bundle,
                agent=info.default_agent,
                rules=rules,
                tools=card.tools,
                instructions=card.instructions,
                team=team_of(info.graph, card, tools_off=off),
                greeting=info.agents.get(info.default_agent, ""),
                open_breakers=list(breakers),
                caller_id=caller.caller_id,
                started_at_ms=now_ms,
                account=Account(budgets=caller.budgets),
            )
            config = self._config(session_id, model, now_ms=now_ms, session=session, card=card)
            record = Record(
                session_id=session_id,
                tenant=caller.tenant,
                epoch=1,
                owner=self.owner,
                owner_address=self.address,
                token_hashes=[token_hash],
            )
            call = self._make(state, record, pinned, config)
            # A token that leads nowhere yet harms nobody.
            await asyncio.gather(
                call.keeper.create(), self._services.records.bind_token(token_hash, session_id)
            )
            self.running[session_id] = call
            await self._open(call, client, CallStarted())
            call.feed(call.view.configured())
            return call

    async def resume(
        self, client: ClientSocket, *, tenant: str, token_hash: bytes, new_token_hash: bytes
    ) -> Call:
        """Take over the session of a token, whoever holds it now.

        Raises NotFound for a token that is unknown, spent or of an ended session; Refused when this replica is
        full; Conflict when another one was faster; Unavailable.
        """
        services = self._services
        record = await self._behind(token_hash, tenant=tenant)
        self.admission.check_resume(record.session_id)
        # Before the record changes hands: a token that leads nowhere yet harms nobody.
        await services.records.bind_token(new_token_hash, record.session_id)
        await self._let_go(record, token_hash)
        # What happened since the owner's last write is not lost on the way.
        record = await self._behind(token_hash, tenant=tenant)
        call = await self._take_over(record, token_hashes=[token_hash, new_token_hash])
        known = await services.memory.context(call.pinned, min_epoch=record.epoch, min_seq=0)
        first = Resumed(epoch=call.pinned.epoch, owner=self.owner)
        await self._open(call, client, first, context=known.text if known is not None else "")
        return call

    async def release(self, session_id: str, *, epoch: int, token_hash: bytes) -> bool:
        """Let a session go that its caller resumes elsewhere: written down whole, and nothing more is done here.

        False, and it stays, when the token was spent meanwhile. Raises NotFound; Unavailable while the store is away.
        """
        call = self.running.get(session_id)
        if call is None or call.pinned.epoch != epoch:
            raise NotFound("this replica does not hold the session in that epoch", field="session_id")
        if token_hash not in call.keeper.token_hashes:
            return False
        await call.parting.release()
        return True

    async def settle_expired(self) -> int:
        """Take over sessions that nobody came back for, settle what was journalled, and end them.

        Returns how many. Safe on any number of replicas: the compare-and-set lets one of them through.
        """
        services, ended = self._services, 0
        found = await services.presence.expired(for_ms=self._limits.resume_window_ms, but=self.running)
        for expired in found[:EXPIRED_AT_ONCE_MAX]:
            record = await services.records.load(expired.session_id)
            if record is None or record.ended or record.revision != expired.revision:
                # Somebody was faster: it has an end, or an owner again.
                continue
            try:
                call = await self._take_over(record, token_hashes=[])
            except NotFound:
                await self._bury(record)
                continue
            except RingbackError:
                continue
            call.settle(Resumed(epoch=call.pinned.epoch, owner=self.owner))
            ended += 1
        return ended

    async def _behind(self, token_hash: bytes, *, tenant: str) -> Record:
        """The record that a resume token leads to. Raises NotFound, Unavailable."""
        records = self._services.records
        session_id = await records.find_by_token(token_hash)
        record = await records.load(session_id) if session_id else None
        if record is None or record.ended or record.tenant != tenant or token_hash not in record.token_hashes:
            raise NotFound(BAD_TOKEN)
        return record

    async def _let_go(self, record: Record, token_hash: bytes) -> None:
        """Have the session's owner write down what it knows and stop, unless it is away or does not answer soon.

        Raises NotFound for a token that the owner knows as spent.
        """
        owners = self._services.owners
        try:
            if record.session_id in self.running:
                kept = self.release(record.session_id, epoch=record.epoch, token_hash=token_hash)
            elif owners is not None and record.owner_address not in ("", self.address):
                kept = owners.release(record, token_hash=token_hash, heir=self.owner)
            else:
                return
            valid = await kept
        except RingbackError as error:
            # The record is all there is; from the new epoch on the owner's writes fail, should it live.
            log.info("a session is resumed without its owner: %s", error.code)
            return
        if not valid:
            raise NotFound(BAD_TOKEN)

    def leave_to_heirs(self) -> None:
        """Let go of calls that others have taken over: one that has nothing to write would not notice."""
        for session_id, call in list(self.running.items()):
            present = self._services.presence.find(session_id)
            if present is not None and present.epoch > call.pinned.epoch:
                call.fence()

    async def _bury(self, record: Record) -> None:
        """Nothing can be settled of a session whose owner died before its first write."""
        log.error("a session's record holds no state and is closed", extra={"session_id": record.session_id})
        with suppress(RingbackError):
            await self._services.records.save(msgspec.structs.replace(record, ended=True))

    async def settle_forever(self) -> None:
        """Look after expired sessions until cancelled; while the store is away they wait."""
        while True:
            await asyncio.sleep(SETTLE_EVERY_MS / 1000)
            self.leave_to_heirs()
            try:
                await self.settle_expired()
            except RingbackError as error:
                log.info("expired sessions wait: %s", error.code)
            except Exception:
                log.exception("expired sessions could not be settled")

    def sample(self, late_ms: float) -> None:
        """How late the event loop just was; taken ten times a second."""
        self.admission.lag.note(late_ms)
        self._services.meters.loop_lag(late_ms)
        self._services.meters.sessions(len(self.running))

    def stop_taking(self) -> None:
        """From now on no call is taken in, new or resumed; those that run go on."""
        self.admission.draining = True
        self.on_stop_taking()

    async def drain(self, drain_ms: int) -> None:
        """No new calls; running ones may finish; the rest go to whoever resumes them."""
        self.stop_taking()
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_ms / 1000):
                while self.running:
                    self._one_over.clear()
                    await self._one_over.wait()
        # All at once, and whatever becomes of the others; what was still starting comes last.
        while left := list(self.running.values()):
            await asyncio.gather(*(call.parting.hand_over() for call in left), return_exceptions=True)

    def _config(
        self,
        session_id: str,
        model: str | None,
        *,
        now_ms: int,
        session: Mapping[str, Any] | None,
        card: AgentCard,
    ) -> SessionConfig:
        given = session or {}
        config = SessionConfig.defaults(
            id=session_id,
            model=str(given.get("model") or model or self._model),
            expires_at=(now_ms + self._limits.session_ms_max) // 1000,
            **({"voice": card.outline.voice} if card.outline.voice else {}),
        )
        if given:
            config = config.merge(given)
        check_tools(config.tools, of_agent=card.tools, param="session.tools")
        return config

    async def _take_over(self, record: Record, *, token_hashes: list[bytes]) -> Call:
        """Epoch + 1 by compare-and-set: from here on every write of the owner before fails."""
        services = self._services
        try:
            saved = load_saved(record.snapshot)
        except msgspec.DecodeError:
            raise NotFound("the session's record holds no state that can be read") from None
        if saved.core.version > SNAPSHOT_VERSION:
            raise Unavailable("the session's record was written by a newer release")
        taken = msgspec.structs.replace(
            record,
            epoch=record.epoch + 1,
            owner=self.owner,
            owner_address=self.address,
            token_hashes=token_hashes,
        )
        taken = await services.records.claim(taken)
        state = saved.core
        pinned = Pinned(
            tenant=state.tenant,
            session_id=state.session_id,
            pack_digest=state.pack_digest,
            bundle_digest=state.bundle_digest,
            epoch=taken.epoch,
            agent=state.agent,
        )
        call = self._make(state, taken, pinned, saved.client.config)
        call.view.load(saved.client)
        call.keeper.republish()
        self.running[state.session_id] = call
        return call

    def _make(self, state: CallState, record: Record, pinned: Pinned, config: SessionConfig) -> Call:
        services = self._services
        tracing = services.tracing()
        model_view = ModelView(state, traceparent=tracing.traceparent)
        view = ClientView(
            state, config=config, model=model_view, ids_seed=f"{state.session_id}/{pinned.epoch}"
        )
        return Call(
            state=state,
            view=view,
            model_view=model_view,
            keeper_of=lambda owner: Keeper(
                record=record,
                records=services.records,
                facts=services.facts,
                clock=services.clock,
                pinned=pinned,
                take_snapshot=owner.snapshot,
                on_fenced=owner.fence,
            ),
            pinned=pinned,
            policy=services.policy,
            tools=services.tools,
            memory=services.memory,
            agents=self._agents,
            voice=services.voice,
            late_facts=services.late_facts,
            models=services.models,
            clock=services.clock,
            tracing=tracing,
            limits=self._limits,
            metering=Metering(services.prices),
            on_over=self._over,
            recorder=services.recorder(state),
        )

    async def _open(self, call: Call, client: ClientSocket, first: Input, *, context: str = "") -> None:
        try:
            await call.start(client, first=first, context=context)
            if self._services.ledger and (level := self._services.ledger.level(call.state.tenant)):
                call.feed(BudgetReached(level=level))
        except BaseException:
            # Whoever took the client in tells it what is wrong.
            call.client = None
            if isinstance(first, Resumed):
                # The session is as it was: its token still works, here or elsewhere.
                call.fence()
            else:
                call.end("failed")
            raise

    def _budget_reached(self, tenant: str, level: str) -> None:
        for call in [call for call in self.running.values() if call.state.tenant == tenant]:
            call.feed(BudgetReached(level=level))

    def _over(self, call: Call) -> None:
        if self.running.get(call.state.session_id) is call:
            del self.running[call.state.session_id]
        self._one_over.set()


def _stricter(rules: TurnRules, info: PackInfo) -> TurnRules:
    """What a client may bring along is what both its pack and the bundle allow."""
    order = ("allow", "confirm", "deny")
    tools = max(rules.client_tools, info.client_tools, key=order.index)
    allowed = rules.client_instructions and info.client_instructions
    return msgspec.structs.replace(rules, client_tools=tools, client_instructions=allowed)


def fresh_session_id() -> str:
    return new_id("sess_")
