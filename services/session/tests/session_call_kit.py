"""Whole calls in one process: real use cases, records and facts over the bus's twin, twins for everybody else."""

import asyncio
import base64
import json
from contextlib import nullcontext
from typing import ClassVar, get_args

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from ringback.events.v1 import events_pb2
from ringback_errors import NotFound, Unavailable
from ringback_events import MemoryBroker, MemoryBus
from ringback_session.adapters.facts_bus import FactsOnBus
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.domain.agents import Graph
from ringback_session.domain.inputs import ActionResult, ConsentRead, Decided, FactFetched
from ringback_session.domain.prices import PriceTable
from ringback_session.domain.rules import Effect, SideEffect, TurnRules
from ringback_session.domain.usage import Price
from ringback_session.ports import Caller, PackInfo
from ringback_session.usecases.admission import AdmissionLimits
from ringback_session.usecases.call import Limits
from ringback_session.usecases.calls import Calls
from ringback_session.usecases.leases import Lease, Leases
from ringback_session.usecases.recording import Unrecorded
from ringback_session.usecases.services import CallsSettings, Services
from ringback_testkit import FakeClock
from ringback_testkit.scripted_model import CHUNK
from session_core_kit import PROOF, TOOLS, read_back
from session_model_kit import UpstreamTwin, models_at

# By their type: validating against the whole union tries each member in turn, a millisecond for every frame.
ADAPTERS = {
    kind: TypeAdapter(event)
    for event in get_args(get_args(RealtimeServerEvent)[0])
    for kind in get_args(event.model_fields["type"].annotation)
}
CALLER = Caller(tenant="local", packs=("airline", "passthrough"), default_pack="airline")
LEASE_MS = 60_000
FRAME_40_MS = b"\0\1" * 960
# What a client sees of a reply of one spoken message.
SPOKEN_ORDER = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
__all__ = ["CHUNK", "LEASE_MS", "UpstreamTwin", "models_at"]


class ClientTwin:
    """The caller's socket: keeps what it got, each frame checked against the openai package's types."""

    def __init__(self):
        self.raw = []
        self.frames = []
        self.closed = None
        self._read = 0

    def send(self, frame):
        event = json.loads(frame)
        ADAPTERS[event["type"]].validate_python(event)
        self.raw.append(frame)
        self.frames.append(event)

    def close(self, code, reason):
        self.closed = self.closed or (code, reason)

    def news(self):
        """Frames since the last look."""
        found, self._read = self.frames[self._read :], len(self.frames)
        return found

    def of(self, type):
        return [frame for frame in self.frames if frame["type"] == type]

    def types(self):
        return [frame["type"] for frame in self.news()]


class PolicyTwin:
    """Lets speech pass, confirms what cannot be undone, reads yes and no; or what a test sets."""

    def __init__(self):
        self.away = False
        self.questions = []
        self.rules = TurnRules(client_tools="allow", client_instructions=True)

    async def decide(self, question, pinned):
        self.questions.append(question)
        if self.away:
            return Decided(decision_id=question.decision_id, source="fallback", reason="UNAVAILABLE")
        effect, more = Effect.ALLOW, {}
        if question.gate == "action":
            subject = question.subject
            more = {"proof": PROOF}
            if subject["side_effect"] is SideEffect.IRREVERSIBLE and subject["consent"] is None:
                effect, more = Effect.CONFIRM, {"read_back": read_back(subject["arguments_digest"])}
        return Decided(decision_id=question.decision_id, effect=effect, rule="twin", layer="actions", **more)

    async def read_consent(self, question, pinned):
        first = question.utterance.lower()
        reading = "yes" if first.startswith("yes") else "no" if first.startswith("no") else "unclear"
        return ConsentRead(consent_id=question.consent_id, reading=reading, item_id=question.item_id)

    async def session_rules(self, *, tenant, pack, bundle_digest="", session_id=""):
        if self.away:
            raise Unavailable("policy is not reachable")
        return "sha256:bundle", self.rules

    async def instructions(self, pinned):
        return "You are an airline's agent."


class ToolsTwin:
    """Runs everything at once, unless a test holds it back."""

    def __init__(self):
        self.executed = []
        self.hold = None
        self.answer = {"status": "ok", "data_json": '{"message":"Done."}'}

    async def list(self, pinned):
        return dict(TOOLS) if pinned.agent else {}, ()

    async def execute(self, action, pinned):
        self.executed.append((action, pinned))
        if self.hold is not None:
            await self.hold.wait()
        yield ActionResult(action_id=action.action_id, **self.answer)

    async def fetch(self, need, pinned):
        return FactFetched(
            action_id=need.action_id,
            name=need.name,
            tool=need.tool,
            arguments_json=need.arguments_json,
            value_json="{}",
        )


class MemoryTwin:
    async def packet(self, question, pinned):
        return None

    async def context(self, pinned, *, min_epoch, min_seq):
        return None

    async def recall(self, pinned, *, min_epoch, min_seq, budget_tokens):
        return None


class LateFactsTwin:
    def __init__(self, off=()):
        self.off = tuple(off)

    async def follow(self, pinned, on_fact):
        async def stop():
            pass

        return stop

    async def tools_off(self):
        return self.off


class PacksTwin:
    """One agent without a graph, or the graph that a test sets: its first agent answers the call."""

    def __init__(self):
        self.graph = Graph()

    async def pinned(self, digest):
        return await self.resolve(digest.removeprefix("sha256:"))

    async def resolve(self, name):
        if name not in CALLER.packs:
            raise NotFound(f"no pack is called '{name}'")
        agent = next(iter(self.graph.outlines), "reservations") if name == "airline" else ""
        return PackInfo(
            name=name,
            digest=f"sha256:{name}",
            default_agent=agent,
            agents={agent: ""} if agent else {},
            client_tools="allow",
            client_instructions=True,
            graph=self.graph if agent else Graph(),
        )


class TracingTwin:
    """Keeps what went wrong: a test that expects nothing of it looks at `errors`."""

    errors: ClassVar[list] = []
    bad_frames = 0

    def begin_turn(self, attributes):
        pass

    def end_turn(self):
        pass

    def failed(self, error):
        TracingTwin.errors.append(error)

    def traceparent(self):
        return None

    def bad_model_frame(self):
        TracingTwin.bad_frames += 1

    def in_turn(self):
        return nullcontext()


class MetersTwin:
    """Keeps what was measured."""

    def __init__(self):
        self.refusals = []

    def refused(self, reason):
        self.refusals.append(reason)

    def sessions(self, number):
        pass

    def loop_lag(self, late_ms):
        pass

    def spent(self, tenant, model, tokens, *, cost_pico, unpriced):
        pass

    def budget(self, scope, level):
        pass

    def interrupted(self, stop_ms):
        pass

    def handed_over(self, outcome, took_ms):
        pass


class World:
    """Everything around the calls. Make it inside a running loop; `replica` gives the calls of one owner."""

    def __init__(self):
        TracingTwin.errors = []
        TracingTwin.bad_frames = 0
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.policy, self.tools, self.memory = PolicyTwin(), ToolsTwin(), MemoryTwin()
        self.packs = PacksTwin()
        self.text = None
        self.voice = None
        self.upstream = UpstreamTwin()
        # All replicas of a test are one process, unless it makes more.
        self.leases = Leases(Lease(lease_id="lease_1", owner="session-0", beat=0, lease_ms=LEASE_MS))
        self.records = RecordsInBucket(self.bus, self.clock, self.leases)
        self.tracing = TracingTwin
        self.meters = MetersTwin()
        self.facts_bus = FactsOnBus(self.bus)
        self.ledger = None
        self.prices = PriceTable({"gpt-x": Price(tokens={"text_out": 1_000_000, "text_in": 500_000})})
        self.recorder = Unrecorded
        self.late_facts = LateFactsTwin()
        self.calls = self.replica("session-0")
        self.limits = Limits(context_gather_ms=0)

    def replica(
        self,
        owner,
        *,
        upstream=None,
        calls_max=10,
        records=None,
        limits=None,
        admission=None,
        facts=None,
        owners=None,
    ):
        services = Services(
            text=self.text,
            voice=self.voice,
            policy=self.policy,
            tools=self.tools,
            memory=self.memory,
            packs=self.packs,
            records=records or self.records,
            facts=facts or self.facts_bus,
            late_facts=self.late_facts,
            models=upstream or self.upstream,
            clock=self.clock,
            tracing=TracingTwin,
            recorder=self.recorder,
            presence=records or self.records,
            meters=self.meters,
            prices=self.prices,
            ledger=self.ledger,
            owners=owners,
        )
        limits = limits or Limits(journal_wait_ms=2_000, context_gather_ms=0)
        return Calls(
            services,
            owner=owner,
            settings=CallsSettings(
                model="gpt-realtime",
                admission=admission or AdmissionLimits(calls_max=calls_max),
                limits=limits,
            ),
        )

    async def start(self, *, pack="airline", session_id="sess_1", token=b"t1", calls=None, client=None):
        client = client or ClientTwin()
        call = await (calls or self.calls).start(
            client, caller=CALLER, pack=pack, session_id=session_id, token_hash=token, model=None
        )
        await self.settle()
        client.news()
        return call, client

    async def resume(self, *, token=b"t1", new=b"t2", calls=None, client=None):
        client = client or ClientTwin()
        call = await (calls or self.calls).resume(
            client, tenant="local", token_hash=token, new_token_hash=new
        )
        await self.settle()
        return call, client

    def beats_for(self, ms):
        """The process hears its own lease renewed, for so long."""
        until_ms = self.leases.heard_ms + ms
        while self.leases.heard_ms < until_ms:
            self.leases.heard(self.leases.renewed())

    async def settle(self, rounds=40):
        """Let everything happen that waits for nothing but its turn on the loop."""
        for _ in range(rounds):
            await asyncio.sleep(0)

    async def until(self, true):
        """Wait for a state, a bounded time."""
        async with asyncio.timeout(5):
            while not true():
                await asyncio.sleep(0.005)

    def facts(self, *kinds):
        """What is on the stream, in order."""
        found = []
        for stored in self.broker.streams["EVENTS"].after(0):
            event = events_pb2.SessionEvent.FromString(stored.message.payload)
            if not kinds or event.WhichOneof("body") in kinds:
                found.append(event)
        return found

    async def record(self, session_id="sess_1"):
        return await self.records.load(session_id)

    async def close(self):
        for call in list(self.calls.running.values()):
            call.fence()
        await self.bus.close()


def client_event(type, **fields):
    return json.dumps({"type": type, **fields}).encode()


def append(frames=1):
    audio = base64.b64encode(FRAME_40_MS * frames).decode()
    return client_event("input_audio_buffer.append", audio=audio)


def check_chain(frames):
    """Every `previous_item_id` fits the list that the client builds from the events."""
    order = []
    for frame in frames:
        match frame["type"]:
            case "conversation.item.added":
                item_id, previous = frame["item"]["id"], frame["previous_item_id"]
                assert item_id not in order, f"{item_id} was added twice"
                assert previous is None or previous in order, f"{previous} is not known"
                order.insert(0 if previous is None else order.index(previous) + 1, item_id)
            case "conversation.item.done":
                at = order.index(frame["item"]["id"])
                assert frame["previous_item_id"] == (order[at - 1] if at else None)
            case "conversation.item.deleted":
                order.remove(frame["item_id"])
    return order
