"""The replicas of session, each a process that may die, stand still and start again; and the door that callers take."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from ringback_errors import NotFound, RingbackError
from ringback_events import Bus
from ringback_realtime import ProtocolError, closes

from ringback_session.adapters.leases_kv import LeasesInBucket
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.domain.agents import AgentOutline, Contract, Graph
from ringback_session.domain.prices import PriceTable
from ringback_session.domain.rules import Effect, GateFallback, TurnRules
from ringback_session.domain.usage import Budget, Budgets, Tokens
from ringback_session.ports import Caller as Account
from ringback_session.ports import PackInfo
from ringback_session.simulation.caller import Caller
from ringback_session.simulation.model import ModelsOf, ModelWorld
from ringback_session.simulation.peers import PeersOf
from ringback_session.simulation.pipe import Pipe
from ringback_session.simulation.process import Process
from ringback_session.simulation.services import MemoryOf, PolicyOf, PolicyWorld
from ringback_session.simulation.stores import Bucket, BusOf, FactsOf, LateFactsOf, Stream
from ringback_session.simulation.supervisor import CONSULT_RULES, SupervisorOf
from ringback_session.simulation.tool_world import ToolsOf, ToolWorld
from ringback_session.simulation.virtual_loop import VirtualClock
from ringback_session.simulation.voice import VoiceOf
from ringback_session.simulation.watching import StraightWatch, Watch
from ringback_session.simulation.weather import Weather
from ringback_session.usecases.call import Call, Limits
from ringback_session.usecases.calls import Calls
from ringback_session.usecases.gathering import GatheredFacts
from ringback_session.usecases.services import CallsSettings, Services

__all__ = ["SESSION", "Line", "Owner", "Surroundings"]

SESSION = "sess_simulated"
GRAPH = Graph(
    outlines={
        "front": AgentOutline(
            name="front",
            contracts=(Contract(to="billing", when="An invoice is wrong."),),
            consult=CONSULT_RULES,
        ),
        "supervisor": AgentOutline(name="supervisor", speaks=False),
        "billing": AgentOutline(
            name="billing",
            takeover="Billing here.",
            contracts=(Contract(to="front", when="Anything else."),),
        ),
    },
    generalist="front",
    depth_max=3,
)
LIMITS = Limits(journal_wait_ms=4_000, resume_window_ms=15_000)
LEASE_MS = 6_000


class Surroundings:
    """Everything that outlives a process."""

    def __init__(self, weather: Weather) -> None:
        plan = weather.plan
        self.weather = weather
        self.bucket = Bucket(weather)
        self.stream = Stream(weather)
        self.policy = PolicyWorld()
        self.tools = ToolWorld(weather, self.policy)
        self.model = ModelWorld(weather)
        self.owners: dict[str, Owner] = {}
        self.rules = TurnRules(
            input_gate=plan.gate,
            output_gate=plan.output,
            gate_fallbacks={"output": GateFallback(effect=Effect.DENY, say="I can't say that now.")},
            client_tools=plan.client_tools,
            client_instructions=True,
            model_slow_after_ms=plan.slow_after_ms,
            backchannel_window_ms=plan.window_ms,
            backchannel_words=("mm-hm",),
            resume_within_ms=plan.resume_ms,
            hold_prompt_after_ms=3_000,
            person_wait_ms_max=plan.person_ms,
            person_late="callback" if plan.seed % 2 else "agent",
            result_gate=plan.results,
            idle_ms=plan.idle_ms,
            say_goodbye="Goodbye." if plan.idle_ms else "",
            slot_readers=None if plan.slots == "any" else (),
            questions_max=1 if plan.questions else 0,
            questions_over=plan.questions or "count",
        )
        budget = Budgets(session=Budget(hard_tokens=plan.budget_tokens))
        self.account = Account(tenant="local", packs=("airline",), default_pack="airline", budgets=budget)


class Owner:
    """One replica: what bootstrap puts together, over the simulated outside."""

    def __init__(self, around: Surroundings, name: str) -> None:
        self.around = around
        self.name = name
        self.process = Process(name)
        self.calls = self._started()
        around.owners[name] = self

    def dies(self) -> None:
        self.around.weather.note(self.name, "DIES")
        self.process.kill()
        self.around.model.forget(self.process)

    def starts_again(self) -> None:
        if self.process.alive:
            return
        self.around.weather.note(self.name, "starts again")
        self.process = Process(self.name)
        self.calls = self._started()

    def call(self) -> Call | None:
        """The call that it holds."""
        return self.calls.running.get(SESSION) if self.process.alive else None

    def _started(self) -> Calls:
        around, process, weather = self.around, self.process, self.around.weather
        clock = VirtualClock(weather.loop, process.take)
        bus: Bus = BusOf(around.bucket, process)  # type: ignore[assignment]
        leases = LeasesInBucket(bus, clock, owner=self.name, lease_ms=LEASE_MS)
        records = RecordsInBucket(bus, clock, leases.known)
        watch = Watch if weather.plan.recorded else StraightWatch
        weather.loop.create_task(_watched(leases, records))
        calls = Calls(
            Services(
                policy=PolicyOf(around.policy, weather, process, around.rules),
                tools=ToolsOf(around.tools, weather, process),
                memory=MemoryOf(around.stream, weather, process),
                text=SupervisorOf(weather, process),
                voice=VoiceOf(weather, process) if weather.plan.voice else None,
                packs=_Packs(),
                records=records,
                facts=GatheredFacts(FactsOf(around.stream, process), clock),
                late_facts=LateFactsOf(process, sources=around.tools.late),
                models=ModelsOf(around.model, process),
                clock=clock,
                tracing=lambda: _Tracing(weather, self.name),
                presence=records,
                meters=_Meters(),
                prices=PriceTable(),
                recorder=lambda state: watch(state, weather, self.name),
                owners=PeersOf(around.owners, weather, process),
            ),
            owner=self.name,
            settings=CallsSettings(model="gpt-realtime", limits=LIMITS),
        )
        calls.address = self.name
        weather.loop.create_task(self._janitor(calls, process))
        return calls

    async def _janitor(self, calls: Calls, process: Process) -> None:
        await process.passes()
        await calls.settle_forever()


class Line:
    """One connection of the client to one process: frames both ways, until it breaks or is closed."""

    def __init__(self, caller: Caller, owner: Owner) -> None:
        self.process = owner.process
        self.calls = owner.calls
        self.account = owner.around.account
        self._weather = owner.around.weather
        self._caller = caller
        self._call: Call | None = None
        self._early: list[bytes] = []
        self._closed = False
        self._lost_early: list[bool] = []
        self._down = Pipe(self._weather, lambda frame: caller.gets(self, frame), delay_ms=3)
        self._up = Pipe(
            self._weather, lambda frame: self.process.take(lambda: self._arrives(frame)), delay_ms=3
        )

    @property
    def has_call(self) -> bool:
        """Was it answered, and not refused?"""
        return self._call is not None

    # As the call has it: `ports.ClientSocket`.

    def send(self, frame: bytes) -> None:
        if self.process.says() and not self._closed:
            self._down.send(frame)

    def close(self, code: int, reason: str) -> None:
        if not self.process.says() or self._closed:
            return
        self._closed = True
        if not self._down.is_cut:
            self._down.after(lambda: self._caller.line_closed(self, code, reason))
        self._up.cut()
        # The connection's end comes back to who closed it.
        self._weather.later(8, lambda: self.process.take(lambda: self._gone(hung_up=code == 1000)))

    # As the client has it.

    def up(self, frame: bytes) -> None:
        self._up.send(frame)

    def hang_up(self) -> None:
        self._up.after(lambda: self.process.take(lambda: self._gone(hung_up=True)))
        self._down.cut()

    def breaks(self, *, noticed_after_ms: int) -> None:
        self._up.cut()
        self._down.cut()
        self._weather.later(noticed_after_ms, lambda: self.process.take(lambda: self._gone(hung_up=False)))

    # Between them.

    def attach(self, call: Call) -> None:
        self._call = call
        early, self._early = self._early, []
        for frame in early:
            call.client_frame(frame)
        for hung_up in self._lost_early:
            call.client_closed(self, hung_up=hung_up)

    def _arrives(self, frame: bytes) -> None:
        if self._call is None:
            self._early.append(frame)
        elif not self._closed:
            self._call.client_frame(frame)

    def _gone(self, *, hung_up: bool) -> None:
        if self._call is None:
            self._lost_early.append(hung_up)
        else:
            self._call.client_closed(self, hung_up=hung_up)


async def answer(line: Line, *, token: bytes, old_token: bytes) -> None:
    """What the gateway does with a connection: a new call, or one that is resumed."""
    try:
        if old_token:
            call = await line.calls.resume(line, tenant="local", token_hash=old_token, new_token_hash=token)
        else:
            call = await line.calls.start(
                line, caller=line.account, pack="airline", session_id=SESSION, token_hash=token, model=None
            )
    except NotFound:
        line.close(closes.invalid_request("invalid_resume_token").code, "invalid_resume_token")
    except (RingbackError, ProtocolError) as error:
        line.close(closes.BUSY.code, f"unavailable: {error}")
    else:
        line.attach(call)


class _Packs:
    """Implements `ports.Packs`: two agents who may hand the call to each other."""

    async def resolve(self, name: str) -> PackInfo:
        return PackInfo(
            name=name,
            digest=f"sha256:{name}",
            default_agent="front",
            agents={"front": "Hello, how can I help?"},
            client_tools="allow",
            client_instructions=True,
            graph=GRAPH,
        )

    async def pinned(self, digest: str) -> PackInfo:
        return await self.resolve(digest.removeprefix("sha256:"))


class _Meters:
    """Implements `ports.Meters`: nobody looks."""

    def refused(self, reason: str) -> None: ...

    def sessions(self, number: int) -> None: ...

    def loop_lag(self, late_ms: float) -> None: ...

    def spent(self, tenant: str, model: str, tokens: Tokens, *, cost_pico: int, unpriced: int) -> None: ...

    def budget(self, scope: str, level: str) -> None: ...

    def interrupted(self, stop_ms: float) -> None: ...

    def handed_over(self, outcome: str, took_ms: float) -> None: ...


class _Tracing:
    """Implements `ports.Tracing`: a defect is a violation."""

    def __init__(self, weather: Weather, owner: str) -> None:
        self._weather = weather
        self._owner = owner

    def begin_turn(self, attributes: Mapping[str, Any]) -> None:
        pass

    def end_turn(self) -> None:
        pass

    def traceparent(self) -> str | None:
        return None

    def failed(self, error: Exception) -> None:
        self._weather.wrong(f"{self._owner}: {type(error).__name__}: {error}")

    def bad_model_frame(self) -> None:
        self._weather.note(self._owner, "passes over a frame of the model")

    def in_turn(self) -> nullcontext[None]:
        return nullcontext()


async def _watched(leases: LeasesInBucket, records: RecordsInBucket) -> None:
    await leases.watch()
    await records.watch()
    await leases.renew_forever()
