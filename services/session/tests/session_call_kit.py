"""Whole calls in one process: real use cases, records and facts over the bus's twin, twins for everybody else."""

import asyncio
import base64
import itertools
import json
from contextlib import nullcontext
from typing import ClassVar

from openai.types.realtime.realtime_server_event import RealtimeServerEvent
from pydantic import TypeAdapter
from ringback.events.v1 import events_pb2
from ringback_errors import NotFound, Unavailable
from ringback_events import MemoryBroker, MemoryBus
from ringback_realtime import EventIds, ServerEvents, usage_object
from ringback_session.adapters.facts_bus import FactsOnBus
from ringback_session.adapters.records_kv import RecordsInBucket
from ringback_session.domain.inputs import ActionResult, ConsentRead, Decided, FactFetched
from ringback_session.domain.rules import Effect, SideEffect, TurnRules
from ringback_session.ports import Caller, PackInfo
from ringback_session.usecases.call import Limits
from ringback_session.usecases.calls import Calls, CallsSettings, Services
from ringback_testkit import FakeClock
from session_core_kit import PROOF, TOOLS, read_back

ADAPTER = TypeAdapter(RealtimeServerEvent)
CALLER = Caller(tenant="local", packs=("airline", "passthrough"), default_pack="airline")
FRAME_40_MS = b"\0\1" * 960
CHUNK = bytes(range(256)) * 30  # 160 ms


class ClientTwin:
    """The caller's socket: keeps what it got, each frame checked against the openai package's types."""

    def __init__(self):
        self.raw = []
        self.frames = []
        self.closed = None
        self._read = 0

    def send(self, frame):
        event = json.loads(frame)
        ADAPTER.validate_python(event)
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


class UpstreamTwin:
    """The realtime model: keeps what it was sent; a test speaks for it."""

    def __init__(self):
        self.events = ServerEvents(EventIds("upstream"))
        self.ids = self.events.ids
        self.connections = 0
        self.sent = []
        self.appended = []
        self.refusals = 0
        self.hangs_up_at_once = False
        self._on_frame = None
        self._on_lost = None
        self._seen = itertools.count()
        self.open = False

    async def connect(self, *, on_frame, on_lost):
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("ws://model can not be reached: refused")
        self.connections += 1
        self.open = True
        self._on_frame, self._on_lost = on_frame, on_lost
        if self.hangs_up_at_once:
            on_lost("closed_3000")
        return self

    def send(self, frame):
        event = json.loads(frame)
        (self.appended if event["type"].endswith(".append") else self.sent).append(event)

    def close(self):
        self.open = False

    def lose(self):
        self.open = False
        self._on_lost("closed_1006")

    def got(self, type):
        return [event for event in self.sent if event["type"] == type]

    def emit(self, frame):
        self._on_frame(frame)

    def say(self, type, **fields):
        self.emit(self.events.build(type, **fields))

    def own_id(self):
        """The id under which the last response was asked for."""
        return self.got("response.create")[-1]["response"]["metadata"]["ringback"]

    # The caller's turn.

    def hears(self, text, *, item_id=None, logprob=-0.05, start_ms=0, end_ms=800):
        item_id = item_id or self.ids.item()
        self.emit(self.events.speech_started(item_id, audio_start_ms=start_ms))
        self.emit(self.events.speech_stopped(item_id, audio_end_ms=end_ms))
        self.commits(item_id)
        self.transcribes(item_id, text, logprob=logprob)
        return item_id

    def commits(self, item_id):
        item = {
            "id": item_id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        self.emit(self.events.committed(item_id, previous_item_id=None))
        self.emit(self.events.item_added(item, previous_item_id=None))
        self.emit(self.events.item_done(item, previous_item_id=None))

    def transcribes(self, item_id, text, *, logprob=-0.05):
        logprobs = [{"token": "t", "logprob": logprob, "bytes": [116]}]
        self.emit(self.events.transcription_delta(item_id, delta=text, logprobs=logprobs))
        self.emit(
            self.events.transcription_completed(item_id, transcript=text, seconds=0.8, logprobs=logprobs)
        )

    # Responses.

    def begins(self, own_id=None, response_id=None, **more):
        response_id = response_id or self.ids.response()
        metadata = {"ringback": own_id or self.own_id()}
        self.emit(self.events.response_created(self.response(response_id, metadata=metadata, **more)))
        return response_id

    def response(self, response_id, *, status="in_progress", metadata=None, output=(), **more):
        return {
            "object": "realtime.response",
            "id": response_id,
            "status": status,
            "status_details": None,
            "output": list(output),
            "conversation_id": "conv_up",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}},
            "usage": None if status == "in_progress" else usage_object(output_text_tokens=7),
            "metadata": metadata,
        } | more

    def opens_message(self, response_id, index=0, *, kind="audio"):
        item_id = self.ids.item()
        item = _item(item_id, "message", "in_progress", role="assistant", content=[])
        self.emit(self.events.output_item_added(response_id, output_index=index, item=item))
        self.emit(self.events.item_added(item, previous_item_id=None))
        part = {"type": kind, "transcript" if kind == "audio" else "text": ""}
        self.emit(self.events.part_added(response_id, item_id=item_id, output_index=index, part=part))
        return item_id

    def message(self, response_id, words, index=0, *, kind="audio", chunks=1):
        item_id = self.opens_message(response_id, index, kind=kind)
        where = {"item_id": item_id, "output_index": index}
        if kind == "audio":
            self.emit(self.events.transcript_delta(response_id, delta=words, **where))
            for _ in range(chunks):
                self.emit(self.events.audio_delta(response_id, audio=CHUNK, **where))
            self.emit(self.events.audio_done(response_id, **where))
            self.emit(self.events.transcript_done(response_id, transcript=words, **where))
            part = {"type": "audio", "transcript": words}
        else:
            self.emit(self.events.text_delta(response_id, delta=words, **where))
            self.emit(self.events.text_done(response_id, text=words, **where))
            part = {"type": "text", "text": words}
        self.emit(self.events.part_done(response_id, part=part, **where))
        content = [{"type": f"output_{kind}", "transcript" if kind == "audio" else "text": words}]
        done = _item(item_id, "message", "completed", role="assistant", content=content)
        self.emit(self.events.item_done(done, previous_item_id=None))
        self.emit(self.events.output_item_done(response_id, output_index=index, item=done))
        return item_id

    def function_call(self, response_id, name, arguments, index=0, *, call_id=None):
        item_id, call_id = self.ids.item(), call_id or self.ids.call()
        body = arguments if isinstance(arguments, str) else json.dumps(arguments)
        named = {"call_id": call_id, "name": name}
        began = _item(item_id, "function_call", "in_progress", arguments="", **named)
        self.emit(self.events.output_item_added(response_id, output_index=index, item=began))
        where = {"item_id": item_id, "output_index": index, "call_id": call_id}
        self.emit(self.events.arguments_delta(response_id, delta=body, **where))
        self.emit(self.events.arguments_done(response_id, name=name, arguments=body, **where))
        done = _item(item_id, "function_call", "completed", arguments=body, **named)
        self.emit(self.events.output_item_done(response_id, output_index=index, item=done))
        return call_id

    def ends(self, response_id, *, status="completed", **more):
        self.emit(self.events.response_done(self.response(response_id, status=status, **more)))

    def replies(self, words="Sure.", *, calls=(), own_id=None, kind="audio", chunks=1):
        """A whole response to what was asked for last; calls are (name, arguments)."""
        response_id = self.begins(own_id)
        index = itertools.count()
        if words:
            self.message(response_id, words, next(index), kind=kind, chunks=chunks)
        for name, arguments in calls:
            self.function_call(response_id, name, arguments, next(index))
        self.ends(response_id)
        return response_id

    def speaks(self):
        """Says our own words exactly as asked."""
        asked = self.got("response.create")[-1]["response"]
        return self.replies(asked["instructions"].removeprefix('Say exactly: "').removesuffix('"'))


def _item(item_id, type, status, **fields):
    return {"id": item_id, "object": "realtime.item", "type": type, "status": status, **fields}


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

    async def session_rules(self, *, tenant, pack, bundle_digest=""):
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


class LateFactsTwin:
    async def follow(self, pinned, on_fact):
        async def stop():
            pass

        return stop


class PacksTwin:
    async def resolve(self, name):
        if name not in CALLER.packs:
            raise NotFound(f"no pack is called '{name}'")
        agent = "reservations" if name == "airline" else ""
        return PackInfo(
            name=name,
            digest=f"sha256:{name}",
            default_agent=agent,
            agents={agent: ""} if agent else {},
            client_tools="allow",
            client_instructions=True,
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

    def bad_model_frame(self):
        TracingTwin.bad_frames += 1

    def in_turn(self):
        return nullcontext()


class World:
    """Everything around the calls. Make it inside a running loop; `replica` gives the calls of one owner."""

    def __init__(self):
        TracingTwin.errors = []
        TracingTwin.bad_frames = 0
        self.clock = FakeClock()
        self.broker = MemoryBroker()
        self.bus = MemoryBus(self.broker)
        self.policy, self.tools, self.memory = PolicyTwin(), ToolsTwin(), MemoryTwin()
        self.upstream = UpstreamTwin()
        self.records = RecordsInBucket(self.bus, self.clock)
        self.tracing = TracingTwin
        self.calls = self.replica("session-0")
        self.limits = Limits(lease_ms=60_000)

    def replica(self, owner, *, upstream=None, calls_max=10, records=None, limits=None):
        services = Services(
            policy=self.policy,
            tools=self.tools,
            memory=self.memory,
            packs=PacksTwin(),
            records=records or self.records,
            facts=FactsOnBus(self.bus),
            late_facts=LateFactsTwin(),
            models=upstream or self.upstream,
            clock=self.clock,
            tracing=TracingTwin,
        )
        limits = limits or Limits(lease_ms=60_000, journal_wait_ms=2_000)
        return Calls(
            services,
            owner=owner,
            settings=CallsSettings(model="gpt-realtime", calls_max=calls_max, limits=limits),
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
