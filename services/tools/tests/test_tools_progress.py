"""What a tool says while it runs: bounded in rate, before the result, safe to speak, from every connector that can."""

import asyncio
import os
import shlex
import sys

import pytest
from ringback_testkit import NatsServer, free_port
from ringback_tools.adapters.credentials import Credentials
from ringback_tools.adapters.function import FunctionConnector
from ringback_tools.adapters.mcp_server import McpConnector
from ringback_tools.adapters.worker import WorkerConnector
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect
from ringback_tools.domain.results import ErrorCode, Failed, Status
from ringback_tools.ports import Call
from ringback_tools.usecases.execution import Finished, Progress, Slow
from ringback_tools.usecases.telling import TOLD_MAX

PATHS = f"import sys; sys.path[:0] = {[path for path in sys.path if path]!r}\n"


def call(kind, said, *, timeout_ms=5_000, arguments=None, **options):
    return Call(
        spec=ConnectorSpec(kind, options),
        arguments=arguments or {},
        timeout_ms=timeout_ms,
        bytes_max=10_000,
        tenant="local",
        session_id="sess_1",
        action_id="act_1",
        side_effect=SideEffect.READ,
        progress=said.append,
    )


# --- the rate, in virtual time


class Talking:
    """A ledger that says something while it works: (after this many ms, these words), then its answer."""

    def __init__(self, ledger, kit, words):
        self._ledger, self._kit, self._words = ledger, kit, words

    async def call(self, call):
        if call.progress is None:
            return await self._ledger.call(call)
        for wait_ms, word in self._words:
            await self._kit.passed(wait_ms)
            call.progress(word)
        return await self._ledger.call(call)


@pytest.fixture
def watched(world, kit):
    """(elapsed, message) of each word that an observer sees of a tool which says these, and the result."""

    async def scene(words):
        world.change("get_reservation", attempt_timeout_ms=9_000, deadline_ms=9_000)
        service = world.replica(connectors=Talking(world.ledger, kit, words))
        *before, last = await kit.events(service, world.request("get_reservation"))
        assert isinstance(last, Finished)
        said = [event for event in before if isinstance(event, Progress) and event.message]
        return [(event.elapsed_ms, event.message) for event in said], last.result

    return lambda words: kit.run(scene(words))


def test_the_first_word_comes_at_once_and_then_the_newest_once_a_second(watched):
    seen, result = watched([(0, "One of nine."), *((130, f"{n} of nine.") for n in range(2, 20))])
    assert result.status is Status.OK
    assert [word for _, word in seen] == ["One of nine.", "8 of nine.", "16 of nine."]
    assert [elapsed_ms for elapsed_ms, _ in seen] == pytest.approx([0, 1_000, 2_000], abs=1)


def test_what_may_not_be_spoken_or_was_just_said_is_left_out(watched):
    words = ["Half is done.", "<b>x</b>", "Half is done.", "Traceback (most recent call last)", "", "x" * 300]
    seen, _ = watched([(1_100, word) for word in words])
    assert [word for _, word in seen] == ["Half is done."]


def test_a_flood_is_bounded_and_the_result_comes_last(watched):
    seen, result = watched([(0, f"Step {n}.") for n in range(20_000)])
    assert seen == [(0, "Step 0.")]
    assert result.status is Status.OK
    assert len(seen) <= TOLD_MAX


def test_a_word_ends_the_wait_of_who_asked_for_the_result_alone_and_is_heard_by_watching(world, kit):
    world.change("get_reservation", attempt_timeout_ms=9_000, deadline_ms=9_000)
    words = [(50, "One of two."), (20, "Two of two."), (2_000, "Done soon.")]

    async def scene():
        service = world.replica(connectors=Talking(world.ledger, kit, words))
        request = world.request("get_reservation")
        ran = await service.executor.run(request, wait_ms=700)
        return ran, await kit.events(service, request)

    ran, events = kit.run(scene())
    assert ran == Slow(50)
    said = [event.message for event in events if isinstance(event, Progress) and event.message]
    assert said == ["One of two.", "Two of two.", "Done soon."]
    assert events[-1].result.status is Status.OK


# --- functions


async def test_a_function_says_how_far_it_is_from_its_thread_too(monkeypatch):
    source = """
import asyncio

def plain(*, context):
    for n in (1, 2, 3):
        context.progress(f"Plain {n}.")
    return {}

async def running(*, context):
    context.progress("Running.")
    return {}
"""
    module = type(sys)("talking_tools_for_test")
    exec(source, module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    connector = FunctionConnector([module.__name__], credentials=Credentials(None))
    said = []
    try:
        for name in ("plain", "running"):
            await connector.call(call("function", said, entry_point=f"{module.__name__}:{name}"))
        await asyncio.sleep(0)
        assert said == ["Plain 1.", "Plain 2.", "Plain 3.", "Running."]
    finally:
        await connector.close()


# --- a worker in a process of its own

WORKER = """
from ringback_errors import Conflict
from ringback_worker import Context, tool, work

@tool(subject="shop.count")
async def count(upto: int, context: Context) -> int:
    "Counts."
    for n in range(upto):
        context.progress(f"Counted {n}.")
    if upto == 2:
        raise Conflict("Two is not allowed.")
    return upto

@tool(subject="shop.plain")
def plain(context: Context) -> str:
    "Counts in a thread."
    context.progress("In a thread.")
    return '"progress"'

work(count, plain)
"""


@pytest.mark.stack
async def test_a_workers_words_come_in_order_before_its_reply(tmp_path):
    script = tmp_path / "counting.py"
    script.write_text(PATHS + WORKER)
    with NatsServer.start(tmp_path / "nats") as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), env={**os.environ, "RINGBACK_NATS_URL": server.url}
        )
        connector = WorkerConnector(server.url)

        async def ask(said, **more):
            subject = more.pop("subject", "shop.count")
            return await connector.call(call("nats", said, subject=subject, arguments=more))

        try:
            async with asyncio.timeout(60):
                answer = await ask([], upto=0)
                while isinstance(answer, Failed):
                    assert (process.returncode, answer.code) == (None, ErrorCode.TOOL_UNAVAILABLE)
                    answer = await ask([], upto=0)
            said = []
            assert (await ask(said, upto=50)).data == 50
            assert said == [f"Counted {n}." for n in range(50)]
            refused = []
            answer = await ask(refused, upto=2)
            assert (answer.code, refused) == (ErrorCode.REJECTED, ["Counted 0.", "Counted 1."])
            threaded = []
            assert (await ask(threaded, subject="shop.plain")).data == '"progress"'
            assert threaded == ["In a thread."]
            many = []
            assert (await ask(many, upto=3_000)).data == 3_000
            assert len(many) == 1_000
        finally:
            await connector.close()
            process.terminate()
            await process.wait()


# --- MCP

SERVER = """
from mcp.server import MCPServer
from mcp.server.mcpserver import Context

server = MCPServer("shop")

@server.tool()
async def pack(boxes: int, context: Context) -> dict[str, int]:
    for n in range(boxes):
        await context.report_progress(n, boxes, f"Packed {n}.")
    await context.report_progress(boxes, boxes)
    return {"packed": boxes}

server.run(*sys.argv[1:2] or ["stdio"], **({"port": int(sys.argv[2])} if sys.argv[2:] else {}))
"""


@pytest.mark.stack
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("transport", ["stdio", "streamable-http"])
async def test_progress_notifications_of_a_server_come_in_order_before_its_answer(tmp_path, transport):
    script = tmp_path / "server.py"
    script.write_text(PATHS + SERVER)
    command, process = [sys.executable, str(script)], None
    if transport == "stdio":
        address = "stdio://" + shlex.join(command)
    else:
        port = free_port()
        address = f"http://127.0.0.1:{port}/mcp"
        process = await asyncio.create_subprocess_exec(
            *command, transport, str(port), stderr=asyncio.subprocess.DEVNULL
        )
    connector = McpConnector(addresses={"shop": address}, credentials=Credentials(None))
    said = []

    async def ask():
        said.clear()
        return await connector.call(
            call("mcp", said, server_ref="shop", tool="pack", arguments={"boxes": 5}, timeout_ms=20_000)
        )

    try:
        async with asyncio.timeout(60):
            answer = await ask()
            while isinstance(answer, Failed):
                assert process is None or process.returncode is None
                answer = await ask()
        assert answer.data == {"packed": 5}
        assert said == [f"Packed {n}." for n in range(5)]
    finally:
        await connector.close()
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
