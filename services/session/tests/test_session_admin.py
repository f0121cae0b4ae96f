"""The admin service of two replicas: each answers for both, every act is a fact, watchers see the call as it goes."""

import asyncio
from datetime import UTC, datetime

import grpc
import pytest
from ringback.events.v1 import events_pb2
from ringback.session.v1 import session_pb2 as pb
from ringback.session.v1 import session_pb2_grpc
from ringback_serving import ServingSettings, serve
from ringback_session.adapters.control_bus import ControlOnBus
from ringback_session.adapters.spending_kv import SpendingInBucket
from ringback_session.adapters.traces_kv import TracesInBucket
from ringback_session.domain.effects import Publish
from ringback_session.ports import Pinned
from ringback_session.server.admin import AdminServicer
from ringback_session.server.peers import Peers
from ringback_session.usecases.erasing import Erase
from ringback_session.usecases.ledger import Ledger
from ringback_session.usecases.observing import ObservedFacts
from ringback_session.usecases.operators import Operators
from ringback_session.usecases.watching import Watchers
from session_call_kit import MetersTwin, PacksTwin, World
from test_session_budgets import TenantsTwin, told

ANNA = pb.Operator(actor="anna", reason="a test")


class Replica:
    """One replica's calls behind its admin service on a port of its own."""

    def __init__(self, world, name):
        self.world, self.name = world, name
        self.watchers = Watchers()
        observed = ObservedFacts(world.facts_bus)
        observed.listen(self.watchers.fact)
        self.peers = Peers(tls=None)
        self.calls = world.replica(name, facts=observed, owners=self.peers)
        self.stop = asyncio.Event()

    async def open(self):
        ready = asyncio.get_running_loop().create_future()
        control = ControlOnBus(self.world.bus, self.world.clock, replica=self.name)
        self.ledger = Ledger(
            spending=SpendingInBucket(self.world.bus),
            tenants=TenantsTwin(),
            control=control,
            clock=self.world.clock,
            meters=MetersTwin(),
        )
        servicer = AdminServicer(
            self.calls,
            drain_ms=10,
            operators=Operators(self.calls, control, PacksTwin()),
            watchers=self.watchers,
            peers=self.peers,
            presence=self.world.records,
            records=self.world.records,
            ledger=self.ledger,
            erase=Erase(TracesInBucket(self.world.bus), told=control),
        )
        self.serving = asyncio.ensure_future(
            serve(
                "session",
                settings=ServingSettings(drain_ms=100),
                register=[
                    lambda server: session_pb2_grpc.add_SessionAdminServiceServicer_to_server(
                        servicer, server
                    )
                ],
                service_names=["ringback.session.v1.SessionAdminService"],
                probes={},
                on_ready=ready.set_result,
                stop=self.stop,
            )
        )
        self.calls.address = f"127.0.0.1:{await ready}"
        self.channel = grpc.aio.insecure_channel(self.calls.address)
        self.ask = session_pb2_grpc.SessionAdminServiceStub(self.channel)

    async def close(self):
        for call in list(self.calls.running.values()):
            call.fence()
        await self.channel.close()
        await self.peers.close()
        self.stop.set()
        await self.serving


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.close()


@pytest.fixture
async def replicas(world):
    """Two, and a call on the first of them."""
    watching = await world.records.watch()
    made = [Replica(world, f"session-{n}") for n in (1, 2)]
    for replica in made:
        await replica.open()
    await world.start(calls=made[0].calls)
    await world.until(lambda: world.records.find("sess_1") is not None)
    yield made
    for replica in made:
        await replica.close()
    await watching.close()


def control_facts(world):
    stored = world.broker.streams["CONTROL"].after(0)
    return [events_pb2.ControlFact.FromString(each.message.payload).operator_acted for each in stored]


async def test_either_replica_lists_and_shows_the_calls_of_both(replicas):
    for replica in replicas:
        (info,) = (await replica.ask.ListSessions(pb.ListSessionsRequest(), timeout=5)).sessions
        assert (info.session_id, info.owner, info.connected) == ("sess_1", "session-1", True)
        shown = (await replica.ask.GetSession(pb.GetSessionRequest(session_id="sess_1"), timeout=5)).session
        assert shown.owner_address == replicas[0].calls.address
    here = await replicas[1].ask.ListSessions(pb.ListSessionsRequest(here=True), timeout=5)
    assert not here.sessions


async def test_a_session_whose_owner_does_not_answer_is_listed_as_such(replicas):
    replicas[0].stop.set()
    await replicas[0].serving
    (info,) = (await replicas[1].ask.ListSessions(pb.ListSessionsRequest(), timeout=5)).sessions
    assert (info.session_id, info.phase, info.owner) == ("sess_1", "unreachable", "session-1")


async def test_a_session_that_was_let_go_waits_and_is_shown_from_its_record(replicas, world):
    one, two = replicas
    call = one.calls.running["sess_1"]
    world.upstream.hears("What is 482915?")
    await one.calls.drain(0)
    assert call.over
    await world.until(lambda: world.records.find("sess_1") is not None)
    for replica in replicas:
        (info,) = (await replica.ask.ListSessions(pb.ListSessionsRequest(), timeout=5)).sessions
        assert (info.session_id, info.phase, info.owner) == ("sess_1", "waiting", "session-1")
        shown = (await replica.ask.GetSession(pb.GetSessionRequest(session_id="sess_1"), timeout=5)).session
        assert (shown.phase, shown.connected, shown.pack, shown.epoch) == ("waiting", False, "airline", 1)
        assert [line.text for line in shown.transcript] == ["What is 482915?"]
    one.stop.set()
    await one.serving
    shown = (await two.ask.GetSession(pb.GetSessionRequest(session_id="sess_1"), timeout=5)).session
    assert shown.phase == "unreachable"


async def test_a_session_that_has_ended_is_said_to_have(replicas, world):
    one, two = replicas
    await one.ask.EndSession(pb.EndSessionRequest(session_id="sess_1", actor="anna"), timeout=5)
    await world.until(lambda: not one.calls.running)
    for replica in (one, two):
        code, said = await refused(
            replica.ask.GetSession(pb.GetSessionRequest(session_id="sess_1"), timeout=5)
        )
        assert (code, "has ended" in said) == (grpc.StatusCode.NOT_FOUND, True)
    code, said = await refused(two.ask.GetSession(pb.GetSessionRequest(session_id="sess_9"), timeout=5))
    assert (code, "no replica holds" in said) == (grpc.StatusCode.NOT_FOUND, True)


async def test_acts_go_to_the_owner_and_each_is_a_fact(replicas, world):
    one, two = replicas
    await two.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    assert one.calls.running["sess_1"].state.desk.actor == "anna"
    say = pb.InjectMessageRequest(session_id="sess_1", operator=ANNA, text="Hello.")
    setattr(say, "as", pb.INJECT_AS_SPOKEN)
    await two.ask.InjectMessage(say, timeout=5)
    await two.ask.HandBack(pb.HandBackRequest(session_id="sess_1", operator=ANNA), timeout=5)
    await two.ask.EndSession(pb.EndSessionRequest(session_id="sess_1", actor="anna"), timeout=5)
    await world.until(lambda: len(control_facts(world)) == 4)
    acts = control_facts(world)
    assert [act.action for act in acts] == ["take_over", "say", "hand_back", "end"]
    assert {(act.actor, act.tenant, act.session_id, act.replica, act.outcome) for act in acts} == {
        ("anna", "local", "sess_1", "session-1", "ok")
    }
    assert [fact.operator_acted.action for fact in world.facts("operator_acted")] == [
        "take_over", "say", "hand_back", "end",
    ]  # fmt: skip


async def test_a_call_that_another_person_has_is_taken_from_them_only_by_force(replicas, world):
    one, two = replicas
    await two.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    since_ms = one.calls.running["sess_1"].state.desk.since_ms
    boris = pb.Operator(actor="boris", reason="my turn")
    code, said = await refused(
        two.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=boris), timeout=5)
    )
    assert code == grpc.StatusCode.ABORTED
    since = datetime.fromtimestamp(since_ms // 1000, UTC).isoformat().replace("+00:00", "Z")
    assert f"anna (since {since})" in said
    await two.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    assert one.calls.running["sess_1"].state.desk.since_ms == since_ms, "who has it keeps it"
    forced = pb.TakeOverRequest(session_id="sess_1", operator=boris, force=True)
    await two.ask.TakeOver(forced, timeout=5)
    assert one.calls.running["sess_1"].state.desk.actor == "boris"
    await world.until(lambda: len(control_facts(world)) == 4)
    told = [(act.actor, act.outcome, act.detail.partition(" (")[0]) for act in control_facts(world)]
    assert told == [
        ("anna", "ok", ""),
        ("boris", "conflict", "from anna"),
        ("anna", "ok", ""),
        ("boris", "ok", "from anna"),
    ]
    acts = [fact.operator_acted for fact in world.facts("operator_acted")]
    assert [(act.actor, act.detail) for act in acts] == [("anna", ""), ("anna", ""), ("boris", "from anna")]


def spoken(operator, *, meant=pb.INJECT_AS_SPOKEN, force=False):
    said = pb.InjectMessageRequest(session_id="sess_1", operator=operator, text="Hello.", force=force)
    setattr(said, "as", meant)
    return said


def acts_on_a_held_call(replica, operator, *, force):
    """What only the person who has the call may do, unless it is forced; the last one lets the call go."""
    on = {"session_id": "sess_1", "operator": operator, "force": force}
    for meant in (pb.INJECT_AS_SPOKEN, pb.INJECT_AS_SYSTEM_NOTE, pb.INJECT_AS_ASSISTANT_NOTE):
        yield replica.ask.InjectMessage(spoken(operator, meant=meant, force=force), timeout=5)
    yield replica.ask.TransferSession(pb.TransferSessionRequest(agent="nobody", **on), timeout=5)
    yield replica.ask.TransferSession(pb.TransferSessionRequest(**on), timeout=5)
    yield replica.ask.HandBack(pb.HandBackRequest(note="done", **on), timeout=5)


async def test_in_a_call_that_another_person_has_nobody_else_speaks_or_gives_it_away(replicas, world):
    one, two = replicas
    await one.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    before = len(world.facts("operator_acted"))
    for act in acts_on_a_held_call(two, pb.Operator(actor="boris"), force=False):
        code, said = await refused(act)
        assert code == grpc.StatusCode.ABORTED
        assert "anna (since " in said
        assert "force" in said
    assert one.calls.running["sess_1"].state.desk.actor == "anna"
    assert len(world.facts("operator_acted")) == before, "nothing was done"
    await world.until(lambda: len(control_facts(world)) == 7)
    told = {(act.actor, act.outcome) for act in control_facts(world)[1:]}
    assert told == {("boris", "conflict")}
    await two.ask.InjectMessage(spoken(ANNA), timeout=5)
    await two.ask.HandBack(pb.HandBackRequest(session_id="sess_1", operator=ANNA), timeout=5)
    assert not one.calls.running["sess_1"].state.desk.actor


async def test_force_acts_on_a_call_that_another_person_has_and_the_audit_names_both(replicas, world):
    one, two = replicas
    boris = pb.Operator(actor="boris")
    await one.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    state = one.calls.running["sess_1"].state
    await two.ask.InjectMessage(spoken(boris, force=True), timeout=5)
    assert state.desk.actor == "anna", "a line in it is no take-over"
    forced = {"session_id": "sess_1", "operator": boris, "force": True}
    await two.ask.TransferSession(pb.TransferSessionRequest(**forced), timeout=5)
    assert (state.desk.actor, state.handed_over) == ("", True)
    await one.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    await two.ask.HandBack(pb.HandBackRequest(note="done", **forced), timeout=5)
    assert (state.desk.actor, state.handed_over) == ("", False)
    await world.until(lambda: len(control_facts(world)) == 5)
    told = [(act.action, act.detail) for act in control_facts(world) if act.actor == "boris"]
    assert [(action, said.partition(" (since ")[0], said.rpartition("): ")[2]) for action, said in told] == [
        ("say", "beside anna", "Hello."),
        ("transfer", "from anna", "person"),
        ("hand_back", "from anna", "done"),
    ]


async def test_a_call_that_another_person_has_is_ended_and_its_replica_drained_by_anybody(replicas, world):
    one, two = replicas
    await one.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1", operator=ANNA), timeout=5)
    await two.ask.EndSession(pb.EndSessionRequest(session_id="sess_1", actor="boris"), timeout=5)
    await world.until(lambda: not one.calls.running)
    await two.ask.Drain(pb.DrainRequest(operator=pb.Operator(actor="boris")), timeout=5)
    assert two.calls.draining


async def test_a_call_that_waits_for_a_person_is_not_sent_to_one_again(replicas):
    one, _ = replicas
    request = pb.TransferSessionRequest(session_id="sess_1", operator=ANNA)
    await one.ask.TransferSession(request, timeout=5)
    code, said = await refused(one.ask.TransferSession(request, timeout=5))
    assert (code, "waits for a person already" in said) == (grpc.StatusCode.ABORTED, True)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details()


async def test_what_makes_no_sense_is_refused_by_name_and_audited(replicas, world):
    one, _ = replicas
    bad = grpc.StatusCode.INVALID_ARGUMENT
    code, said = await refused(one.ask.TakeOver(pb.TakeOverRequest(session_id="sess_1"), timeout=5))
    assert (code, "actor" in said) == (bad, True)
    code, said = await refused(
        one.ask.HandBack(pb.HandBackRequest(session_id="sess_1", operator=ANNA), timeout=5)
    )
    assert (code, "nobody has taken" in said) == (bad, True)
    request = pb.TransferSessionRequest(session_id="sess_1", operator=ANNA, agent="nobody")
    code, said = await refused(one.ask.TransferSession(request, timeout=5))
    assert (code, "agent" in said) == (bad, True)
    unknown = pb.TakeOverRequest(session_id="sess_9", operator=ANNA)
    code, _ = await refused(one.ask.TakeOver(unknown, timeout=5))
    assert code == grpc.StatusCode.NOT_FOUND
    say = pb.InjectMessageRequest(session_id="sess_1", operator=ANNA, text=" ")
    assert (await refused(one.ask.InjectMessage(say, timeout=5)))[0] == bad
    assert (await refused(one.ask.GetUsage(pb.GetUsageRequest(), timeout=5)))[0] == bad
    await world.until(lambda: len(control_facts(world)) >= 4)
    assert "ok" not in {act.outcome for act in control_facts(world)}


async def test_a_watcher_sees_the_call_and_then_its_facts_to_the_end_on_either_replica(replicas):
    one, two = replicas
    for replica in (one, two):
        watching = replica.ask.WatchSession(pb.WatchSessionRequest(session_id="sess_1"), timeout=20)
        assert (await watching.read()).session.session_id == "sess_1"
        note = pb.TakeOverRequest(session_id="sess_1", operator=ANNA)
        await one.ask.TakeOver(note, timeout=5)
        assert (await watching.read()).fact.operator_acted.action == "take_over"
        watching.cancel()
    watching = two.ask.WatchSession(pb.WatchSessionRequest(session_id="sess_1"), timeout=20)
    await watching.read()
    one.calls.running["sess_1"].end("client_closed")
    kinds = []
    while (update := await watching.read()) is not grpc.aio.EOF:
        kinds.append(update.fact.WhichOneof("body"))
    assert kinds[-1] == "session_ended"


async def test_usage_is_told_of_running_and_of_ended_sessions(replicas, world):
    one, two = replicas
    call = one.calls.running["sess_1"]
    call.model_frame(b'{"type":"session.updated","session":{"model":"gpt-x"}}')
    call.model_frame(told("resp_9"))
    asked = pb.GetUsageRequest(session_id="sess_1")
    for replica in (one, two):
        (row,) = (await replica.ask.GetUsage(asked, timeout=5)).rows
        assert (row.of, row.text_out, row.unpriced, row.cost_nano_usd) == ("gpt-x", 3, 0, 4_000)
    call.end("client_closed")
    await world.until(lambda: not one.calls.running)
    (row,) = (await two.ask.GetUsage(asked, timeout=5)).rows
    assert row.text_in == 2


async def test_a_replica_is_drained_by_name(replicas, world):
    one, two = replicas
    answer = await two.ask.Drain(pb.DrainRequest(operator=ANNA, owner="session-1"), timeout=5)
    assert (answer.owner, answer.running) == ("session-1", 1)
    assert one.calls.draining
    assert not two.calls.draining
    await world.until(lambda: not one.calls.running)


async def test_any_replica_erases_a_call_that_has_ended_and_none_a_running_one(world, replicas):
    request = pb.EraseSessionRequest(tenant="local", session_id="sess_1")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await replicas[1].ask.EraseSession(request)
    assert refused.value.code() is grpc.StatusCode.ABORTED
    replicas[0].calls.running["sess_1"].end("client_closed")
    await world.until(lambda: "sess_1" not in replicas[0].calls.running)
    answer = await replicas[1].ask.EraseSession(request)
    assert (answer.found, answer.removed, answer.left) == (2, 2, 0)


async def test_nothing_that_happens_while_a_watcher_is_shown_the_call_is_lost_to_it():
    watchers = Watchers()
    made = Publish(kind="session_ended", seq=1, epoch=1, turn_id="", agent="", at_ms=1, body={})
    pinned = Pinned(
        tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=1, agent="a"
    )
    with watchers.listening("sess_1") as queue:
        watchers.fact(made, pinned)
        assert [fact async for fact in watchers.facts(queue, held=lambda: True)] == [made]
    assert not watchers._queues
