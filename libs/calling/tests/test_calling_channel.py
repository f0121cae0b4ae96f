"""A real channel to a real server of ours keeps every promise of a call. (Loopback, port 0.)"""

import asyncio
import shutil
import socket
import subprocess
from contextlib import aclosing, asynccontextmanager, closing

import grpc
import pytest
import ringback_errors
from ringback_calling import Breaker, BreakerState, Channel
from ringback_errors import (
    Behind,
    ConfigError,
    DeadlineExceeded,
    Internal,
    InvalidInput,
    NotFound,
    Overloaded,
    RingbackError,
    Unavailable,
)
from ringback_serving import ServingSettings, TlsFiles, deadline_ms, serve
from ringback_telemetry import names, setup, span
from ringback_telemetry.sink import OtlpSink

SERVICE = "ringback.test.Peer"
BOUND_S = 10
KINDS = [
    kind
    for kind in vars(ringback_errors).values()
    if isinstance(kind, type) and issubclass(kind, RingbackError) and kind is not RingbackError
]


class Peer:
    """A servicer that fails with each error given, then echoes."""

    def __init__(self):
        self.errors = []
        self.calls = 0
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def ask(self, request, context):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return request

    async def left(self, request, context):
        return str(deadline_ms()).encode()

    async def hang(self, request, context):
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def count(self, request, context):
        self.calls += 1
        try:
            for number in range(2):
                yield str(number).encode()
            if self.errors:
                raise self.errors.pop(0)
            if request == b"hang":
                await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    def register(self, server):
        handlers = {
            "Ask": grpc.unary_unary_rpc_method_handler(self.ask),
            "Left": grpc.unary_unary_rpc_method_handler(self.left),
            "Hang": grpc.unary_unary_rpc_method_handler(self.hang),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))


class Stub:
    """What generated code makes of a channel."""

    def __init__(self, channel):
        self.Ask = channel.unary_unary(f"/{SERVICE}/Ask")
        self.Left = channel.unary_unary(f"/{SERVICE}/Left")
        self.Hang = channel.unary_unary(f"/{SERVICE}/Hang")
        self.Missing = channel.unary_unary(f"/{SERVICE}/Missing")
        self.Count = channel.unary_stream(f"/{SERVICE}/Count")


class Joined:
    def __init__(self, peer, channel):
        self.peer, self.channel, self.stub = peer, channel, Stub(channel.grpc)

    def ask(self, request=b"x", *, idempotent=True, deadline_ms=BOUND_S * 1000, **more):
        return self.channel.unary(
            self.stub.Ask, request, deadline_ms=deadline_ms, idempotent=idempotent, **more
        )

    def count(self, request=b"", *, deadline_ms=BOUND_S * 1000):
        return self.channel.stream(self.stub.Count, request, deadline_ms=deadline_ms)


@asynccontextmanager
async def served(peer, *, port=0, tls=None):
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            "peer",
            settings=ServingSettings(drain_ms=100, port=port, tls=tls),
            register=[peer.register],
            service_names=[SERVICE],
            probes={},
            on_ready=ready.set_result,
            stop=stop,
        )
    )
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED, timeout=BOUND_S)
    try:
        if task.done():
            await task
        yield ready.result()
    finally:
        stop.set()
        async with asyncio.timeout(BOUND_S):
            await task


@asynccontextmanager
async def opened(port, *, host="127.0.0.1", **more):
    channel = Channel(f"{host}:{port}", name="peer", **more)
    try:
        yield channel
    finally:
        await channel.close()


@asynccontextmanager
async def joined(**more):
    peer = Peer()
    async with served(peer) as port, opened(port, **more) as channel:
        yield Joined(peer, channel)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_error_arrives_as_the_one_that_was_raised(kind):
    async with joined() as both:
        both.peer.errors = [kind("expected a slug", field="tenant", retry_after_ms=7)]
        with pytest.raises(kind) as caught:
            await both.ask(idempotent=False)
        assert type(caught.value) is kind
        assert caught.value.field == "tenant"
        assert caught.value.retry_after_ms == 7
        assert str(caught.value) == "tenant: expected a slug"


async def test_an_error_in_the_middle_of_a_stream_arrives_after_what_came_before():
    async with joined() as both:
        both.peer.errors = [Behind("seq 4 not folded")]
        replies = []

        async def read():
            async for reply in both.count():
                replies.append(reply)

        with pytest.raises(Behind):
            await read()
        assert replies == [b"0", b"1"]


async def test_an_idempotent_call_is_repeated_until_it_is_answered():
    async with joined() as both:
        both.peer.errors = [Unavailable("a"), Overloaded("b")]
        assert await both.ask() == b"x"
        assert both.peer.calls == 3


async def test_a_call_that_may_have_had_an_effect_is_never_repeated():
    async with joined() as both:
        both.peer.errors = [Unavailable("a")]
        with pytest.raises(Unavailable):
            await both.ask(idempotent=False)
        assert both.peer.calls == 1


async def test_a_refusal_is_not_repeated_and_does_not_open_the_breaker():
    async with joined(breaker=Breaker(failures_max=1)) as both:
        both.peer.errors = [InvalidInput("no")]
        with pytest.raises(InvalidInput):
            await both.ask()
        assert both.peer.calls == 1
        assert both.channel.breaker.state is BreakerState.CLOSED


async def test_the_peer_gets_what_is_left_of_the_deadline():
    async with joined() as both:
        left = await both.channel.unary(both.stub.Left, b"", deadline_ms=5_000, idempotent=True)
        assert 0 < int(left) < 5_000


async def test_a_call_that_takes_too_long_ends_at_its_deadline():
    async with joined() as both:
        # Connected already: the deadline is the call's alone, and the peer has begun well before it.
        await both.ask()
        calling = asyncio.ensure_future(
            both.channel.unary(both.stub.Hang, b"", deadline_ms=1_000, idempotent=True)
        )
        async with asyncio.timeout(BOUND_S):
            await both.peer.entered.wait()
            with pytest.raises(DeadlineExceeded):
                await calling
            await both.peer.cancelled.wait()


@pytest.mark.parametrize("left_ms", [0, -5])
async def test_with_no_time_left_nothing_is_sent(left_ms):
    async with joined() as both:
        with pytest.raises(DeadlineExceeded, match="peer"):
            await both.ask(deadline_ms=left_ms)
        with pytest.raises(DeadlineExceeded, match="peer"):
            await anext(both.count(deadline_ms=left_ms))
        assert both.peer.calls == 0


@pytest.mark.parametrize("way", ["unary", "stream"])
async def test_a_probe_reaches_a_peer_that_is_back_though_grpc_still_rests_between_attempts(way):
    now = [0]
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    channel = Channel(
        f"127.0.0.1:{port}", name="peer", breaker=Breaker(failures_max=3, open_ms=10, clock=lambda: now[0])
    )
    both = Joined(Peer(), channel)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await both.ask(idempotent=False)
    async with served(both.peer, port=port):
        now[0] += 10
        assert channel.breaker.state is BreakerState.HALF_OPEN
        if way == "unary":
            await both.ask(idempotent=False, deadline_ms=2_000)
        else:
            async with aclosing(both.count(deadline_ms=2_000)) as replies:
                assert [reply async for reply in replies]
        assert channel.breaker.state is BreakerState.CLOSED
    await channel.close()


async def test_a_probe_of_a_peer_that_stays_away_fails_within_its_deadline():
    now = [0]
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    channel = Channel(
        f"127.0.0.1:{port}", name="peer", breaker=Breaker(failures_max=1, open_ms=10, clock=lambda: now[0])
    )
    both = Joined(Peer(), channel)
    for _ in range(2):
        with pytest.raises(RingbackError):
            await both.ask(idempotent=False, deadline_ms=200)
        assert channel.breaker.state is BreakerState.OPEN
        now[0] += 10
    await channel.close()


async def test_an_open_breaker_refuses_at_once():
    async with joined(breaker=Breaker(failures_max=1, open_ms=60_000, name="peer")) as both:
        both.peer.errors = [Internal("x")]
        with pytest.raises(Internal):
            await both.ask()
        with pytest.raises(Unavailable, match="breaker is open") as caught:
            await both.ask(idempotent=False)
        assert caught.value.retry_after_ms > 0
        with pytest.raises(Unavailable, match="breaker is open"):
            await anext(both.count())
        assert both.peer.calls == 1


async def test_a_cancelled_call_is_cancelled_at_the_peer_and_is_no_failure():
    async with joined(breaker=Breaker(failures_max=1)) as both:
        task = asyncio.create_task(
            both.channel.unary(both.stub.Hang, b"", deadline_ms=BOUND_S * 1000, idempotent=True)
        )
        await asyncio.wait_for(both.peer.entered.wait(), BOUND_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert both.channel.breaker.state is BreakerState.CLOSED


async def test_leaving_a_stream_early_cancels_it_at_the_peer():
    async with joined() as both:
        async with aclosing(both.count(b"hang")) as replies:
            assert await anext(replies) == b"0"
            assert await anext(replies) == b"1"
        async with asyncio.timeout(BOUND_S):
            await both.peer.cancelled.wait()


async def test_a_task_cancelled_inside_a_stream_cancels_it_at_the_peer():
    async with joined() as both:
        two = asyncio.Event()

        async def read():
            async with aclosing(both.count(b"hang")) as replies:
                async for reply in replies:
                    if reply == b"1":
                        two.set()

        task = asyncio.create_task(read())
        await asyncio.wait_for(two.wait(), BOUND_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(BOUND_S):
            await both.peer.cancelled.wait()


async def test_a_stream_may_have_no_deadline():
    async with joined() as both:
        assert [reply async for reply in both.count(deadline_ms=None)] == [b"0", b"1"]


async def test_a_probes_place_is_given_back_by_a_call_that_was_cancelled():
    now = [0]
    breaker = Breaker(failures_max=1, open_ms=10, clock=lambda: now[0])
    async with joined(breaker=breaker) as both:
        breaker.record_failure()
        now[0] = 10
        task = asyncio.create_task(
            both.channel.unary(both.stub.Hang, b"", deadline_ms=BOUND_S * 1000, idempotent=False)
        )
        await asyncio.wait_for(both.peer.entered.wait(), BOUND_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [reply async for reply in both.count()] == [b"0", b"1"]
        assert breaker.state is BreakerState.CLOSED


async def test_a_peer_that_is_away_is_unavailable_without_its_address():
    async with opened(1) as channel:
        assert not await channel.warm(50)
        with pytest.raises(Unavailable, match="peer") as caught:
            await channel.unary(Stub(channel.grpc).Ask, b"", deadline_ms=300, idempotent=False)
        assert "127.0.0.1" not in str(caught.value)
        with pytest.raises(Unavailable, match="peer"):
            await channel.probe()


async def test_a_peer_that_comes_back_is_found_again():
    peer = Peer()
    async with served(peer) as port:
        pass
    async with opened(port) as channel:
        ask = Stub(channel.grpc).Ask
        with pytest.raises(Unavailable):
            await channel.unary(ask, b"", deadline_ms=1_000, idempotent=False)
        async with served(peer, port=port):
            assert await channel.warm(BOUND_S * 1000)
            await channel.probe()
            assert await channel.unary(ask, b"x", deadline_ms=1_000, idempotent=False) == b"x"


async def test_a_foreign_status_is_mapped_by_its_code():
    async with joined() as both:
        with pytest.raises(NotFound, match="unimplemented"):
            await both.channel.unary(both.stub.Missing, b"", deadline_ms=1_000, idempotent=True)


async def test_one_span_a_side_and_every_attempt_is_an_event():
    with OtlpSink() as sink:
        telemetry = setup("both", endpoint=sink.endpoint)
        async with joined() as both:
            with span(names.Span.TURN):
                both.peer.errors = [Unavailable("a")]
                await both.ask()
                async for _ in both.count():
                    pass
            both.peer.errors = [NotFound("no")]
            with pytest.raises(NotFound):
                await both.ask()
        await telemetry.close()
        assert sink.unregistered() == set()
        turn = next(found for found in sink.spans if found["name"] == "turn")
        in_turn = sink.trace(turn["trace_id"])
        clients = [found for found in in_turn if found["kind"] == "client"]
        servers = [found for found in in_turn if found["kind"] == "server"]
        assert [found["name"] for found in clients] == [f"grpc {SERVICE}/Ask", f"grpc {SERVICE}/Count"]
        assert {found["parent_id"] for found in clients} == {turn["span_id"]}
        assert [found["parent_id"] for found in servers] == [
            clients[0]["span_id"],
            clients[0]["span_id"],
            clients[1]["span_id"],
        ]
        assert [event["name"] for event in clients[0]["events"]] == ["retry"]
        lost = [found for found in sink.spans if found["attributes"].get("error.type") == "not_found"]
        assert {found["kind"] for found in lost} == {"client", "server"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A CA and one certificate for localhost that both sides use."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command to make certificates")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test", "-days", "2")
    openssl("req", *key, "-keyout", "key.pem", "-out", "csr.pem", "-subj", "/CN=localhost")
    (folder / "ext").write_text("subjectAltName=DNS:localhost\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext"]
    openssl("x509", "-req", "-in", "csr.pem", "-out", "cert.pem", *signing)
    return TlsFiles(cert=folder / "cert.pem", key=folder / "key.pem", ca=folder / "ca.pem")


async def test_both_sides_prove_who_they_are_with_mutual_tls(certificates):
    peer = Peer()
    async with served(peer, tls=certificates) as port:
        async with opened(port, host="localhost", tls=certificates) as channel:
            assert (
                await channel.unary(Stub(channel.grpc).Ask, b"x", deadline_ms=5_000, idempotent=True) == b"x"
            )
        async with opened(port, host="localhost") as channel:
            with pytest.raises((Unavailable, DeadlineExceeded)):
                await channel.unary(Stub(channel.grpc).Ask, b"x", deadline_ms=500, idempotent=False)
    assert peer.calls == 1


async def test_unreadable_tls_files_are_named(tmp_path):
    tls = TlsFiles(cert=tmp_path / "c.pem", key=tmp_path / "k.pem", ca=tmp_path / "a.pem")
    with pytest.raises(ConfigError, match=r"a\.pem"):
        Channel("localhost:1", name="peer", tls=tls)
