"""Calls over their life: taken in, resumed, taken over, settled, drained; what runs when something is away."""

import asyncio

import msgspec
import pytest
from ringback_errors import NotFound, Overloaded, Unavailable
from ringback_session.domain.rules import TurnRules
from ringback_session.ports import Caller, Record
from ringback_session.usecases.call import Limits
from ringback_session.usecases.keeping import load_saved
from session_call_kit import CALLER, ClientTwin, UpstreamTwin, World, append, client_event


async def asks_to_cancel(world, upstream=None):
    """Up to the read-back, which the caller hears whole."""
    up = upstream or world.upstream
    up.hears("Cancel 482915.")
    await world.settle()
    up.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    up.speaks()
    await world.settle()


async def test_a_cancellation_runs_once_after_the_yes_and_is_told(world):
    call, client = await world.start()
    call.client_frame(append())
    await asks_to_cancel(world)
    for _ in range(50):
        call.client_frame(append())
    world.upstream.hears("Yes.")
    await world.settle()
    (action, pinned), *rest = world.tools.executed
    assert (action.tool, pinned.epoch, rest) == ("cancel_reservation", 1, [])
    outputs = [e["item"] for e in world.upstream.got("conversation.item.create") if "output" in e["item"]]
    assert '"status":"ok"' in outputs[0]["output"]
    world.upstream.replies("It is cancelled.")
    assert client.of("response.done")
    kinds = [fact.WhichOneof("body") for fact in world.facts()]
    assert kinds[0] == "session_started"
    for kind in ("consent_asked", "consent_answered", "action_decided", "action_finished"):
        assert kind in kinds
    assert [fact.seq for fact in world.facts()] == list(range(1, len(kinds) + 1))


async def test_the_first_record_already_leads_back():
    class LooksAtTheRecord(UpstreamTwin):
        async def connect(self, **asked):
            self.record = await world.record()
            return await super().connect(**asked)

    world = World()
    upstream = LooksAtTheRecord()
    await world.start(calls=world.replica("session-1", upstream=upstream))
    assert load_saved(upstream.record.snapshot).core.session_id == "sess_1"
    await world.close()


async def test_the_record_is_written_before_a_side_effect_is_asked_for(world):
    call, _client = await world.start()
    world.tools.hold = asyncio.Event()
    await asks_to_cancel(world)
    call.client_frame(append(80))
    world.upstream.hears("Yes.")
    await world.until(lambda: world.tools.executed)
    saved = load_saved((await world.record()).snapshot).core
    (action,) = saved.actions.values()
    assert action.phase in ("journalling", "running")
    world.tools.hold.set()


async def test_with_the_store_away_an_irreversible_action_is_not_started(world):
    call, _client = await world.start()
    await asks_to_cancel(world)
    call.client_frame(append(80))
    world.broker.stop()
    world.clock.advance(1)
    world.upstream.hears("Yes.")
    await world.settle()
    world.clock.advance(5_000)
    await world.until(lambda: not call.state.open_actions())
    assert not world.tools.executed
    assert [task.reason for task in call.state.tasks.values()] == ["journal_unavailable"]
    world.broker.start()


async def test_a_hang_up_ends_the_call_and_its_record(world):
    call, client = await world.start()
    call.client_closed(client, hung_up=True)
    await world.until(lambda: call.over)
    assert not world.calls.running
    assert (await world.record()).ended
    assert world.facts("session_ended")[0].session_ended.reason == "client_closed"
    assert not world.upstream.open


async def test_a_write_under_way_is_waited_for_after_the_hang_up(world):
    call, client = await world.start()
    world.tools.hold = asyncio.Event()
    await asks_to_cancel(world)
    call.client_frame(append(80))
    world.upstream.hears("Yes.")
    await world.until(lambda: world.tools.executed)
    call.client_closed(client, hung_up=True)
    await world.settle()
    assert not call.over
    world.tools.hold.set()
    await world.until(lambda: call.over)
    assert world.facts("action_finished")
    assert (await world.record()).ended


async def test_a_lost_client_is_waited_for_and_then_given_up(world):
    call, client = await world.start()
    call.client_closed(client, hung_up=False)
    world.clock.advance(29_000)
    assert not call.over
    world.clock.advance(2_000)
    await world.until(lambda: call.over)
    assert world.facts("session_ended")[0].session_ended.reason == "client_lost"


async def test_a_client_resumes_on_another_replica(world):
    first, old = await world.start()
    first.client_frame(append())
    world.upstream.hears("What is 482915?")
    await world.settle()
    await first.keeper.write()
    model = UpstreamTwin()
    other = world.replica("session-1", upstream=model)
    call, client = await world.resume(calls=other)
    assert client.frames[0]["type"] == "session.created"
    assert call.state.epoch == 2
    assert model.got("conversation.item.create")[0]["item"]["content"][0]["text"] == "What is 482915?"
    assert model.got("response.create"), "the question is still unanswered"
    assert [fact.epoch for fact in world.facts("session_resumed")] == [2]
    with pytest.raises(Exception, match="another replica"):
        await first.keeper.write()
    assert first.over
    assert old.closed[0] == 4409


async def test_a_client_resumes_on_the_same_replica_with_everything_that_happened(world):
    _first, old = await world.start()
    world.upstream.hears("What is 482915?")
    await world.settle()
    call, _client = await world.resume()
    assert old.closed[0] == 4409
    assert world.calls.running == {"sess_1": call}
    assert [entry.text for entry in call.state.history] == ["What is 482915?"]


async def test_a_resumed_client_may_send_its_items_again(world):
    first, _old = await world.start()
    item = {
        "type": "message",
        "id": "item_a",
        "role": "user",
        "content": [{"type": "input_text", "text": "Hi."}],
    }
    first.client_frame(client_event("conversation.item.create", item=item))
    call, client = await world.resume()
    client.news()
    world.upstream.sent.clear()
    for _ in range(2):
        call.client_frame(client_event("conversation.item.create", item=item))
    assert client.types() == ["conversation.item.added", "conversation.item.done", "error"]
    assert not world.upstream.got("conversation.item.create")


async def test_a_token_dies_at_the_first_event_of_the_next_connection(world):
    await world.start()
    call, _client = await world.resume(token=b"t1", new=b"t2")
    await call.keeper.write()
    assert (await world.record()).token_hashes == [b"t1", b"t2"]
    call.client_frame(append())
    await call.keeper.write()
    with pytest.raises(NotFound):
        await world.resume(token=b"t1", new=b"t3")
    await world.resume(token=b"t2", new=b"t3")


@pytest.mark.parametrize("spoil", ["unknown", "tenant", "ended"])
async def test_a_token_that_is_not_good_resumes_nothing(world, spoil):
    call, client = await world.start()
    if spoil == "ended":
        call.client_closed(client, hung_up=True)
        await world.until(lambda: call.over)
    tenant = "other" if spoil == "tenant" else "local"
    token = b"t9" if spoil == "unknown" else b"t1"
    with pytest.raises(NotFound):
        await world.calls.resume(ClientTwin(), tenant=tenant, token_hash=token, new_token_hash=b"t2")


async def test_a_resume_that_finds_no_model_leaves_the_session_resumable(world):
    await world.start()
    world.upstream.refusals = 1
    client = ClientTwin()
    with pytest.raises(Unavailable):
        await world.resume(client=client)
    assert client.closed is None, "whoever took the client in tells it"
    assert not world.calls.running
    call, _client = await world.resume(token=b"t1", new=b"t3")
    assert call.state.epoch == 3
    assert not world.facts("session_ended")


async def test_a_call_that_finds_no_model_is_over_at_once(world):
    world.upstream.refusals = 1
    client = ClientTwin()
    with pytest.raises(Unavailable):
        await world.start(client=client)
    assert client.closed is None
    await world.until(lambda: not world.calls.running)
    assert (await world.record()).ended


async def test_a_call_without_policy_does_not_start(world):
    world.policy.away = True
    with pytest.raises(Unavailable):
        await world.start()
    assert not world.calls.running
    world.policy.away = False
    await world.start()


@pytest.mark.parametrize(
    ("pack", "bundle", "both"),
    [
        (("confirm", True), ("allow", False), ("confirm", False)),
        (("allow", False), ("deny", True), ("deny", False)),
        (("allow", True), ("allow", True), ("allow", True)),
    ],
)
async def test_what_a_client_may_bring_along_both_its_pack_and_the_bundle_must_allow(
    world, pack, bundle, both
):
    world.policy.rules = TurnRules(client_tools=bundle[0], client_instructions=bundle[1])
    published = world.packs.resolve

    async def resolve(name):
        allowed = {"client_tools": pack[0], "client_instructions": pack[1]}
        return msgspec.structs.replace(await published(name), **allowed)

    world.packs.resolve = resolve
    call, _ = await world.start()
    rules = call.state.rules
    assert (rules.client_tools, rules.client_instructions) == both


async def test_a_pack_that_is_not_published_is_named(world):
    with pytest.raises(NotFound, match="nowhere"):
        await world.start(pack="nowhere")


async def test_a_full_replica_takes_no_more(world):
    full = world.replica("session-1", calls_max=1)
    await world.start(calls=full)
    with pytest.raises(Overloaded):
        full.admission.check()


async def test_a_tenants_quota_is_kept(world):
    small = Caller(tenant="local", packs=("airline",), default_pack="airline", sessions_max=1)
    await world.start()
    with pytest.raises(Overloaded, match="quota"):
        await world.calls.start(
            ClientTwin(), caller=small, pack="airline", session_id="sess_2", token_hash=b"x", model=None
        )
    assert CALLER.sessions_max == 0


async def dies(world, call):
    """The replica is gone: nothing more of it happens, its lease runs out."""
    call.client = None
    call.fence()
    await world.settle()
    world.beats_for(200_000)


async def test_an_expired_session_is_settled_by_whoever_looks(world):
    watching = await world.records.watch()
    call, _client = await world.start()
    await call.keeper.write()
    await dies(world, call)
    other = world.replica("session-1")
    assert await other.settle_expired() == 1
    await world.until(lambda: not other.running)
    ended = world.facts("session_ended")
    assert [(fact.epoch, fact.session_ended.reason) for fact in ended] == [(2, "expired")]
    assert (await world.record()).ended
    await world.settle()
    assert await other.settle_expired() == 0
    await watching.close()


async def test_two_replicas_that_look_settle_a_session_once(world):
    watching = await world.records.watch()
    call, _client = await world.start()
    await call.keeper.write()
    await dies(world, call)
    replicas = [world.replica(f"session-{number}") for number in (1, 2)]
    settled = await asyncio.gather(*(replica.settle_expired() for replica in replicas))
    assert sorted(settled) == [0, 1]
    await world.until(lambda: not any(replica.running for replica in replicas))
    assert len(world.facts("session_ended")) == 1
    await watching.close()


async def test_a_call_that_has_nothing_to_write_is_let_go_of_when_another_has_taken_it_over(world):
    watching = await world.records.watch()
    call, client = await world.start()
    elsewhere, _ = await world.resume(calls=world.replica("session-1"))
    await world.settle()
    assert client.closed is None
    world.calls.leave_to_heirs()
    assert call.over
    assert client.closed[0] == 4409
    assert not world.calls.running
    assert not elsewhere.over
    elsewhere.fence()
    await watching.close()


async def test_a_session_whose_owner_died_before_its_first_write_is_closed(world):
    watching = await world.records.watch()
    await world.records.create(
        Record(session_id="sess_9", tenant="local", epoch=1, owner="x", token_hashes=[b"t"])
    )
    await world.records.bind_token(b"t", "sess_9")
    with pytest.raises(NotFound):
        await world.resume(token=b"t")
    await world.settle()
    world.beats_for(200_000)
    assert await world.calls.settle_expired() == 0
    assert (await world.record("sess_9")).ended
    await watching.close()


async def test_draining_takes_no_calls_and_leaves_the_rest_to_a_resume(world):
    call, client = await world.start()
    await world.calls.drain(0)
    assert client.closed[0] == 1001
    assert call.over
    with pytest.raises(Overloaded):
        world.calls.admission.check()
    other = world.replica("session-1", upstream=UpstreamTwin())
    resumed, _client = await world.resume(calls=other)
    assert resumed.state.epoch == 2


async def test_draining_waits_for_calls_that_end(world):
    call, client = await world.start()
    draining = asyncio.ensure_future(world.calls.drain(5_000))
    await world.settle()
    call.client_closed(client, hung_up=True)
    async with asyncio.timeout(2):
        await draining
    assert world.facts("session_ended")


async def test_a_call_that_was_taken_over_does_not_keep_others_from_being_drained(world):
    first, _client = await world.start()
    _second, other_client = await world.start(session_id="sess_2", token=b"u1")
    record = await world.record()
    record.owner, record.epoch = "session-1", 2
    await world.records.save(record)
    await world.calls.drain(0)
    assert first.over
    assert other_client.closed[0] == 1001


async def test_a_model_that_hangs_up_at_once_is_not_called_for_ever(world):
    call, client = await world.start()
    world.upstream.hangs_up_at_once = True
    world.upstream.lose()
    await world.settle()
    assert world.upstream.connections <= 3
    assert client.closed is None
    call.client_frame(append())
    assert not world.upstream.appended, "no connection serves"


async def test_a_model_connection_made_after_the_call_is_over_is_closed(world):
    call, _client = await world.start()
    wait = asyncio.Event()
    connect = world.upstream.connect

    async def slow(**hooks):
        await wait.wait()
        return await connect(**hooks)

    world.upstream.connect = slow
    world.upstream.lose()
    await world.settle()
    call._link.close()
    wait.set()
    await world.settle()
    assert not world.upstream.open


async def test_a_defect_ends_the_call_with_a_word_and_not_the_replica(world):
    call, client = await world.start()

    async def broken(question, pinned):
        raise RuntimeError("a defect")

    world.policy.decide = broken
    world.upstream.hears("Hello.")
    await world.until(lambda: call.over)
    assert client.closed == (1011, "failed")
    assert [str(error) for error in world.tracing.errors] == ["a defect"]
    world.tracing.errors.clear()


def test_limits_are_bounded_by_default():
    assert Limits() == Limits(journal_wait_ms=10_000, resume_window_ms=30_000)
