"""A world for tools without sockets: virtual time, the airline's pack, a ledger that misbehaves on order."""

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from ringback_errors import NotFound
from ringback_identity import MacKeys, action_id, canonical_json, digest
from ringback_packs import load_pack
from ringback_packs.loading import load_files
from ringback_tools.adapters.facts import NoFacts
from ringback_tools.adapters.memory_jobs import MemoryJobQueue
from ringback_tools.adapters.memory_journal import MemoryJournal
from ringback_tools.adapters.packs import tools_from_pack
from ringback_tools.adapters.pauses import NoPauses
from ringback_tools.adapters.siblings import LocalSiblings
from ringback_tools.adapters.tracing import NoTracing
from ringback_tools.domain.results import Answered, ErrorCode, Failed
from ringback_tools.usecases.assembly import Parts, assemble
from ringback_tools.usecases.execution import ActionRequest, Finished

AIRLINE = Path(__file__).parents[3] / "packs" / "airline"
KEY_LINE = b"    idempotency: {kind: key, header: Idempotency-Key}\n"
START_MS = 1_700_000_000_000
SESSION = "sess_test"


def airline_files(*, keys=True):
    """The shipped pack's files; without keys, the tools as for a backend that knows none."""
    files = dict(load_pack(AIRLINE).files)
    if not keys:
        assert KEY_LINE in files["tools.yaml"]
        files["tools.yaml"] = files["tools.yaml"].replace(KEY_LINE, b"")
    return files


@cache
def airline_pack(*, keys):
    """The pack of those files: nothing changes it, and a thousand worlds are made of it."""
    return load_files(airline_files(keys=keys), label="airline")


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer as soon as nothing else is to do."""

    def __init__(self):
        super().__init__()
        self._virtual_s = 0.0

    def time(self):
        return self._virtual_s

    def _run_once(self):
        # A cancelled timer at the head would make the loop wait for the one behind it in real time.
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False
            self._timer_cancelled_count -= 1
        if not self._ready:
            assert self._scheduled, "nothing is left to happen: a deadlock"
            self._virtual_s = max(self._virtual_s, self._scheduled[0].when())
        super()._run_once()


async def passed(wait_ms):
    """Return when the loop's time, virtual here, has moved on by this much."""
    loop = asyncio.get_running_loop()
    reached = loop.create_future()
    timer = loop.call_later(wait_ms / 1000, reached.set_result, None)
    try:
        await reached
    finally:
        timer.cancel()


class VirtualClock:
    """The virtual loop's time, as wall clock too."""

    def now_ms(self):
        return START_MS + int(asyncio.get_running_loop().time() * 1000)

    def elapsed_ms(self):
        return asyncio.get_running_loop().time() * 1000

    async def sleep(self, wait_ms):
        await passed(wait_ms)


def run_virtual(work, *, limit_s=7_200):
    """Run a coroutine in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(asyncio.wait_for(work, limit_s))
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(_ended(pending))
        loop.close()


async def _ended(tasks):
    await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(frozen=True)
class Fate:
    """What becomes of one request: applied or not, after how long, and how the answer comes."""

    # ok, refuse (503 before anything), drop_before, drop_after, hang, apply_and_hang, garbage, busy, gone
    kind: str = "ok"
    delay_ms: int = 0


class Ledger:
    """The reservation system's twin: books refunds, once per key if it knows keys; meets each request with a fate.

    What it does goes on when the caller hangs up, as in a real server.
    """

    def __init__(self, *, keys=True):
        self.keys = keys
        self.status = {"482915": "confirmed", "290754": "confirmed", "864027": "cancelled"}
        self.entries = []
        self.fates = deque()
        self.read_fates = deque()
        self.calls = []
        self._answers = {}
        self._working = set()

    def lacking(self, spec):
        return ""

    async def call(self, call):
        writing = call.spec.options.get("method", "GET") == "POST"
        self.calls.append(("POST" if writing else "GET", call.key))
        fates = self.fates if writing else self.read_fates
        fate = fates.popleft() if fates else Fate()
        work = asyncio.ensure_future(self._serve(call, fate, writing))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        return await asyncio.shield(work)

    async def _serve(self, call, fate, writing):
        await passed(fate.delay_ms)
        match fate.kind:
            case "refuse":
                return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True, status=503)
            case "away":
                return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True)
            case "busy":
                return Failed(
                    ErrorCode.RATE_LIMITED, retryable=True, blames=False, retry_after_ms=700, status=429
                )
            case "drop_before":
                return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True)
            case "hang":
                await passed(3_600_000)
            case "crash":
                raise RuntimeError("secret stack")
        answer = self._write(call) if writing else self._read(call)
        match fate.kind:
            case "drop_after":
                return Failed(ErrorCode.TOOL_UNAVAILABLE, retryable=True, in_doubt=True)
            case "apply_and_hang":
                await passed(3_600_000)
            case "garbage":
                return Answered({"status": 7}, status=200, body={"status": 7})
        return answer

    def _read(self, call):
        found = call.arguments["reservation_id"]
        if found not in self.status:
            return Failed(ErrorCode.NOT_FOUND, definitive=True, blames=False, status=404)
        body = {
            "reservation_id": found,
            "status": self.status[found],
            "origin": "Boston",
            "destination": "Denver",
            "departure_date": "2026-12-04",
            "passenger": "Maria Lopez",
            "cabin": "economy",
            "insurance": False,
            "airline_cancelled": False,
            "hours_since_booking": 5,
            "amount": 240,
            "currency": "USD",
            "payment_method": "Visa ending in 4417",
            "segments_flown": 0,
        }
        if call.spec.options.get("result"):
            return Answered(_refund(found), status=200, body=body)
        return Answered(body, status=200, body=body)

    def _write(self, call):
        found = call.arguments["reservation_id"]
        if self.keys and call.key in self._answers:
            return self._answers[call.key]
        if self.keys and self.status[found] == "cancelled":
            text = "The reservation is already cancelled."
            return Failed(ErrorCode.REJECTED, definitive=True, blames=False, text=text, status=409)
        self.status[found] = "cancelled"
        self.entries.append((found, call.key))
        answer = Answered(_refund(found), status=200, body=_refund(found))
        if self.keys:
            self._answers[call.key] = answer
        return answer


def _refund(found):
    return {
        "reservation_id": found,
        "status": "cancelled",
        "refund_amount": 240,
        "currency": "USD",
        "payment_method": "Visa ending in 4417",
    }


class OnePack:
    """A catalogue of one pack."""

    def __init__(self, pack, tools):
        self.pack = pack
        self.all = tools

    async def tools(self, pack_digest):
        if pack_digest != self.pack.digest:
            raise NotFound("expected a published pack", field="pack_digest")
        return self.all

    async def agent_tools(self, pack_digest, agent):
        await self.tools(pack_digest)
        if self.pack.agent(agent) is None:
            raise NotFound("expected an agent", field="agent")
        return frozenset((spec.name, spec.version) for spec in self.pack.tools_of(agent))


class World:
    """Everything that outlives a replica, and replicas that come and go."""

    def __init__(self, keys_file, *, keys=True):
        pack = airline_pack(keys=keys)
        self.catalogue = OnePack(pack, tools_from_pack(pack, settle_ms=3_000))
        self.journal = MemoryJournal()
        self.queue = MemoryJobQueue()
        self.ledger = Ledger(keys=keys)
        self.facts = NoFacts()
        self.mac = MacKeys.load(keys_file)
        self.clock = VirtualClock()
        self._starts = 0

    def tool(self, name):
        return next(tool for tool in self.catalogue.all if tool.name == name)

    def change(self, name, **changes):
        """Change a tool's declaration."""
        self.catalogue.all = tuple(
            replace(tool, **changes) if tool.name == name else tool for tool in self.catalogue.all
        )

    def replica(self, name="tools-1", **changes):
        """A process of that name, started anew."""
        self._starts += 1
        parts = {
            "journal": self.journal,
            "jobs": self.queue,
            "siblings": LocalSiblings(),
            "catalogue": self.catalogue,
            "connectors": self.ledger,
            "proofs": self.mac,
            "facts": self.facts,
            "clock": self.clock,
            "tracing": NoTracing(),
            "pauses": NoPauses(),
            "roll": lambda: 0.5,
            "owner": f"{name}#{self._starts}",
        }
        return assemble(Parts(**{**parts, **changes}))

    def request(self, tool="cancel_reservation", *, ordinal=1, proof=True, expires_in_ms=600_000, **changes):
        """A well-formed request, with a proof unless told otherwise."""
        arguments = canonical_json(changes.pop("arguments", {"reservation_id": "482915"}))
        effect = action_id(
            session_id=SESSION,
            tool=tool,
            major_version=1,
            arguments_digest=digest(arguments),
            ordinal=ordinal,
        )
        signed = self.mac.sign(
            tenant="local",
            session_id=SESSION,
            action_id=effect,
            tool=tool,
            tool_version="1.0",
            arguments_digest=digest(arguments),
            decision_id="dec_1",
            consent_id="con_1",
            expires_at_ms=self.now_ms() + expires_in_ms,
        )
        fields = {
            "tenant": "local",
            "session_id": SESSION,
            "epoch": 1,
            "action_id": effect,
            "pack_digest": self.catalogue.pack.digest,
            "tool": tool,
            "tool_version": "1.0",
            "arguments_json": arguments,
            "proof": signed if proof else None,
        }
        return ActionRequest(**{**fields, **changes})

    def now_ms(self):
        try:
            return self.clock.now_ms()
        except RuntimeError:
            return START_MS

    def record(self, request):
        stored = self.journal.records.get((request.session_id, request.action_id))
        return stored.record if stored else None


async def events_of(service, request):
    """Every event of one Execute."""
    return [event async for event in service.executor.execute(request)]


async def result_of(service, request):
    """The result of one Execute; there is exactly one, and it is last."""
    events = await events_of(service, request)
    assert [isinstance(event, Finished) for event in events] == [False] * (len(events) - 1) + [True]
    return events[-1].result


async def crash(service):
    """kill -9: whatever the process was doing is gone, nothing is written any more."""
    tasks = [execution.task for execution in service.executor._running.values()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="session")
def keys_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("mac") / "mac.json"
    MacKeys.generate(path)
    return path


@pytest.fixture
def world(keys_file):
    return World(keys_file)


@pytest.fixture
def keyless(keys_file):
    return World(keys_file, keys=False)


@pytest.fixture(scope="session")
def kit(keys_file):
    """The names that tests need from here; test modules cannot import each other."""

    class Kit:
        pass

    names = {
        "Fate": Fate,
        "Ledger": Ledger,
        "World": lambda **options: World(keys_file, **options),
        "run": staticmethod(run_virtual),
        "events": staticmethod(events_of),
        "result": staticmethod(result_of),
        "passed": staticmethod(passed),
        "crash": staticmethod(crash),
        "airline_files": staticmethod(airline_files),
        "START_MS": START_MS,
        "SESSION": SESSION,
    }
    for name, value in names.items():
        setattr(Kit, name, staticmethod(value) if name == "World" else value)
    return Kit
