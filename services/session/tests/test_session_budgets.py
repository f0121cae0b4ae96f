"""Budgets: told at the soft limit, a polite end or refused replies at the hard one, over replicas and resumes."""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from ringback_errors import Unavailable
from ringback_realtime import usage_object
from ringback_session.adapters.spending_kv import SpendingInBucket
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.effects import Publish
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import restore, snapshot
from ringback_session.domain.upkeep import BudgetReached, UsageReported
from ringback_session.domain.usage import MODELS_KEPT, SEEN_KEPT, Budget, Budgets, Tokens, Usage, count
from ringback_session.ports import Caller, Pinned
from ringback_session.usecases.admission import Refused
from ringback_session.usecases.ledger import Ledger
from session_call_kit import CALLER, ClientTwin, MetersTwin, World, client_event
from session_core_kit import CoreCall

BOTH = Budgets(session=Budget(soft_pico=50, hard_pico=100), instruction="Come to an end.")


def spends(number, cost=30, **more):
    return UsageReported(key=f"r:{number}", model="m", tokens=Tokens(text_out=cost), cost_pico=cost, **more)


@pytest.fixture
def call():
    made = CoreCall()
    made.state.account.budgets = BOTH
    return made


def test_the_soft_limit_is_told_once_and_the_model_is_instructed(call):
    call.new(fx.Persist)
    call.do(spends(1), spends(2), spends(2), spends(3, cost=1))
    assert len(call.new(fx.Persist)) == 1, "whoever owns the call next knows of it"
    (crossed,) = call.facts("budget_crossed")
    assert (crossed["scope"], crossed["level"], crossed["tokens"]) == ("session", "soft", 60)
    assert call.one(fx.Note).text == "Come to an end."
    assert call.state.history[-1].role == "system"
    call.says("Hello?")
    assert call.new(fx.RequestReply), "the conversation goes on"


def test_the_hard_limit_says_goodbye_and_ends_the_call_once_that_was_heard(call):
    call.says("Hello?")
    call.reply("Hi.")
    call.do(spends(1, cost=100))
    goodbye = call.speaks(heard=False)
    assert "end our conversation" in goodbye.text
    assert not call.new(fx.EndCall), "not while it is being said"
    call.pass_ms(60_000)
    ended = call.one(fx.EndCall)
    assert (ended.reason, ended.code) == ("budget_exhausted", "insufficient_quota")


def test_a_goodbye_that_nobody_can_hear_does_not_keep_the_call(call):
    call.do(spends(1, cost=100))
    call.one(fx.RequestSpeech)
    call.pass_ms(20_000)
    assert call.one(fx.EndCall).reason == "budget_exhausted"


def test_after_the_hard_limit_no_reply_is_asked_for_and_no_read_back_begins(call):
    call.asks_to_cancel()
    call.do(spends(1, cost=100))
    call.speaks()
    call.types("Are you there?", key="req_9")
    refused = call.one(fx.RefuseReply)
    assert (refused.request_key, refused.code) == ("req_9", "insufficient_quota")
    call.says("Hello?")
    assert not call.new(fx.RequestReply)
    assert not call.new(fx.RequestSpeech)


def test_what_is_to_be_confirmed_after_the_hard_limit_is_not_asked_and_not_done(call):
    call.asks_to_cancel()
    call.do(spends(1, cost=100))
    call.decides(Effect.CONFIRM)
    assert call.results()["call_1"]["error_code"] == "consent_void"
    assert not call.facts("consent_asked")


def test_where_replies_are_refused_the_call_stays(call):
    call.state.account.budgets = Budgets(session=Budget(hard_tokens=10), on_hard="refuse")
    call.do(spends(1, cost=0, response_id="resp_1"))
    call.do(UsageReported(key="r:2", model="m", tokens=Tokens(audio_out=10)))
    call.pass_ms(120_000)
    assert not call.new(fx.EndCall)
    assert not call.new(fx.RequestSpeech)
    call.types("Go on.")
    assert call.one(fx.RefuseReply).code == "insufficient_quota"


def test_what_runs_when_the_budget_ends_finishes(call):
    call.is_read_back()
    call.says("Yes.")
    call.reads("yes")
    call.do(spends(1, cost=100))
    assert call.action().open


def test_unknown_prices_reach_limits_on_tokens_and_never_one_on_money(call):
    call.do(UsageReported(key="r:1", model="x", tokens=Tokens(text_out=10**6), unpriced=10**6))
    assert not call.facts("budget_crossed")
    call.state.account.budgets = Budgets(session=Budget(hard_tokens=10))
    call.do(UsageReported(key="r:2", model="x", tokens=Tokens(text_out=1), unpriced=1))
    assert call.facts("budget_crossed")[0]["limit_tokens"] == 10


def test_what_is_kept_of_a_long_calls_usage_is_bounded_and_its_sum_is_not():
    usage, reports = Usage(), SEEN_KEPT + 10
    for number in range(reports):
        name = f"model-{number % (2 * MODELS_KEPT)}"
        assert count(usage, f"r:{number}", name, Tokens(text_out=1), cost_pico=1, unpriced=0)
    assert len(usage.seen) == SEEN_KEPT
    assert len(usage.models) == MODELS_KEPT + 1, "and one for all others"
    assert (usage.tokens, usage.cost_pico) == (reports, reports)


def test_the_tenants_limit_ends_the_call_the_same_way(call):
    call.do(BudgetReached(level="soft"), BudgetReached(level="soft"), BudgetReached(level="hard"))
    assert [(fact["scope"], fact["level"]) for fact in call.facts("budget_crossed")] == [
        ("tenant", "soft"),
        ("tenant", "hard"),
    ]
    call.speaks()
    call.pass_ms(60_000)
    assert call.one(fx.EndCall)


def test_a_resumed_call_goes_on_counting_and_says_its_goodbye_again(call):
    call.do(spends(1, cost=60), spends(2, cost=40))
    state = restore(snapshot(call.state))
    assert state.account.usage.cost_pico == 100
    assert len(call.new(fx.RequestSpeech)) == 1
    call.do(ev.Resumed(epoch=2, owner="session-1"), spends(2, cost=40))
    assert call.state.account.usage.cost_pico == 100, "what the owner before counted is not counted again"
    assert len(call.facts("budget_crossed")) == 2
    call.speaks()
    call.pass_ms(60_000)
    assert call.one(fx.EndCall)


def test_a_reply_that_the_connection_took_with_it_is_known_to_be_unreported(call):
    call.says("Hello?")
    call.do(ev.ModelLost(reason="closed_1006"))
    assert call.state.account.usage.unreported == 1


# Whole calls.


@pytest.fixture
async def world():
    made = World()
    yield made
    await made.close()


USAGE = usage_object(input_text_tokens=2, output_text_tokens=3)


def told(response_id, usage=USAGE):
    return client_event("response.done", response={"id": response_id, "status": "completed", "usage": usage})


async def test_a_calls_usage_is_a_fact_and_in_its_record(world):
    call, _ = await world.start()
    call.model_frame(client_event("session.created", session={"model": "gpt-x"}))
    call.client_frame(client_event("response.create"))
    await world.settle()
    world.upstream.replies("Sure.")
    call.model_frame(told("resp_late"))
    call.model_frame(told("resp_late"))
    await world.settle()
    late = [
        fact.usage_reported
        for fact in world.facts("usage_reported")
        if fact.usage_reported.response_id == "resp_late"
    ]
    (used,) = late
    assert (used.model, used.text_in, used.text_out, used.unpriced) == ("gpt-x", 2, 3, 0)
    assert used.cost_nano_usd == (2 * 500_000 + 3 * 1_000_000) // 1_000
    await call.keeper.write()
    again, _ = await world.resume(calls=world.replica("session-1"))
    assert (
        again.state.account.usage.models["gpt-x"].cost_pico
        == call.state.account.usage.models["gpt-x"].cost_pico
    )
    again.model_frame(told("resp_late"))
    await world.settle()
    assert again.state.account.usage.tokens == call.state.account.usage.tokens
    again.fence()


async def test_a_client_over_the_budget_gets_the_documented_error_and_the_close(world):
    call, client = await world.start()
    call.state.account.budgets = Budgets(session=Budget(hard_tokens=5), on_hard="end", say="")
    call.model_frame(told("resp_1"))
    await world.settle()
    call.client_frame(client_event("response.create", event_id="mine"))
    refused = client.of("error")[-1]["error"]
    assert (refused["code"], refused["event_id"]) == ("insufficient_quota", "mine")
    world.clock.advance(30_000)
    await world.settle()
    assert client.of("error")[-1]["error"]["code"] == "insufficient_quota"
    assert client.closed == (4000, "invalid_request_error.insufficient_quota")
    assert world.facts("session_ended")[0].session_ended.reason == "budget_exhausted"


# A tenant's day.


class TenantsTwin:
    def __init__(self, **budgets):
        self.caller = Caller(
            tenant="local", packs=("airline",), default_pack="airline", budgets=Budgets(**budgets)
        )

    def find(self, tenant):
        return self.caller if tenant == "local" else None


class ControlTwin:
    def __init__(self):
        self.crossed = []

    def budget_crossed(self, spent, level, budget):
        self.crossed.append((spent.tenant, level, spent.cost_pico))


class Books:
    """The ledger of one replica, and what it wrote where others see it."""

    def __init__(self, world, spending, **budgets):
        self.meters, self.control, self.reached = MetersTwin(), ControlTwin(), []
        self.ledger = Ledger(
            spending=spending,
            tenants=TenantsTwin(**budgets),
            control=self.control,
            clock=world.clock,
            meters=self.meters,
        )
        self.ledger.on_reached = lambda tenant, level: self.reached.append((tenant, level))

    def spends(self, nano, tenant="local"):
        body = dict.fromkeys(Tokens.__struct_fields__, 0) | {"text_out": nano, "model": "m"}
        body |= {"cost_nano_usd": nano, "unpriced": 0}
        fact = Publish(kind="usage_reported", seq=1, epoch=1, turn_id="", agent="", at_ms=0, body=body)
        pinned = Pinned(tenant=tenant, session_id="s", pack_digest="", bundle_digest="", epoch=1, agent="")
        self.ledger.fact(fact, pinned)


DAY = Budget(soft_pico=50_000, hard_pico=100_000)


@pytest.fixture
async def houses(world):
    """Two replicas that watch each other's books."""
    shelves = [SpendingInBucket(world.bus) for _ in range(2)]
    watches = [await shelf.watch() for shelf in shelves]
    yield [Books(world, shelf, day=DAY) for shelf in shelves]
    for watch in watches:
        await watch.close()


async def test_a_tenants_day_is_counted_over_all_replicas(world, houses):
    one, two = houses
    one.spends(30)
    two.spends(30)
    assert not one.reached
    for books in houses:
        await books.ledger.flush()
    today = datetime.fromtimestamp(world.clock.now_ms() / 1000, UTC).date().isoformat()
    await world.until(lambda: all(b.ledger.spent("local", today).cost_pico == 60_000 for b in houses))
    for books in houses:
        books.ledger.judge("local")
        books.ledger.judge("local")
        assert books.reached == [("local", "soft")]
        assert books.control.crossed == [("local", "soft", 60_000)]
    assert [spent.reports for spent in one.ledger.days("local")] == [2]


async def test_the_next_day_begins_at_nothing(world, houses):
    one, _ = houses
    one.spends(100)
    assert one.ledger.level("local") == "hard"
    world.clock.advance(one.ledger.until_tomorrow_ms())
    assert one.ledger.level("local") == ""
    assert [spent.cost_pico for spent in one.ledger.days("local")] == [100_000]


async def test_tenants_do_not_pay_for_each_other(houses):
    one, _ = houses
    one.spends(1_000, tenant="other")
    assert one.ledger.level("local") == ""
    assert one.ledger.level("other") == "", "no budget, no limit"


async def test_what_could_not_be_written_is_written_later(world, houses):
    one, two = houses
    one.spends(10)
    world.broker.stop()
    with pytest.raises(Unavailable):
        await one.ledger.flush()
    world.broker.start()
    await one.ledger.flush()
    today = next(iter(one.ledger.days("local"))).day
    await world.until(lambda: two.ledger.spent("local", today).cost_pico == 10_000)


async def test_a_tenant_without_budget_left_starts_no_call_and_its_running_one_ends(world, houses):
    one, _ = houses
    world.ledger = one.ledger
    calls = world.replica("session-0")
    call, client = await world.start(calls=calls)
    one.spends(100)
    await world.settle()
    assert call.state.account.spent
    with pytest.raises(Refused) as caught:
        await calls.start(
            ClientTwin(), caller=CALLER, pack="airline", session_id="sess_2", token_hash=b"t", model=None
        )
    assert (caught.value.reason, caught.value.of_tenant) == ("tenant_budget", True)
    assert caught.value.retry_after_ms <= 86_400_000
    world.clock.advance(60_000)
    await world.settle()
    assert client.closed[0] == 4000
    assert not json.loads(client.raw[-1])["error"]["param"]
    await asyncio.sleep(0)
