"""Bundles on their way to sessions: stage, compare, canary, promote, roll back; no step on a state not looked at."""

import asyncio

import msgspec
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from ringback.events.v1 import events_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import Conflict, InvalidInput, NotFound, Overloaded
from ringback_events import Entry, MemoryBroker, MemoryBus, SpoolFull, control_subject
from ringback_identity import MacKeys, canonical_json, digest
from ringback_policy.adapters.audit_trail import read_entries
from ringback_policy.bootstrap import assemble
from ringback_policy.domain.rollout import Rollout, bundle_for, canaried, gate_failed, promoted, staged
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import PolicyServicer
from ringback_policy.usecases.rolling_out import ASKED_AT_ONCE

NOW_MS = 1_795_000_000_000
TOOLS = {"pay": pb.SIDE_EFFECT_WRITE}


def files(limit):
    plain = b"version: '1'\nowner: team\n"
    actions = f"""
version: "1"
owner: team
actions:
  pay:
    arguments: {{amount: number}}
    conditions:
      - {{id: too-much, when: double(args.amount) > {limit}.0, effect: deny, on_error: deny}}
"""
    return {
        "interaction.yaml": plain,
        "domain.yaml": plain,
        "safety.yaml": plain,
        "actions.yaml": actions.encode(),
    }


class Replica:
    """A replica of policy on a broker."""

    def __init__(self, broker, keys, name):
        self.bus = MemoryBus(broker, name=name)
        self.parts = assemble(self.bus, keys, instance=name, clock=lambda: NOW_MS)
        self.policy = PolicyServicer(self.parts.deciding)
        self.admin = PolicyAdminServicer(self.parts.publishing, self.parts.rolling_out)

    async def publish(self, limit, *, pack="shop"):
        request = pb.PublishBundleRequest(pack=pack, files=files(limit), tools=TOOLS, actor="ana")
        return (await self.admin.PublishBundle(request, None)).bundle_digest

    async def activate(self, bundle):
        request = pb.ActivateBundleRequest(pack="shop", bundle_digest=bundle, actor="ana")
        await self.admin.ActivateBundle(request, None)

    async def status(self):
        return (await self.admin.GetRollout(pb.GetRolloutRequest(pack="shop"), None)).rollout

    async def order(self, kind, *, revision=None, **fields):
        known = {"pack": "shop", "actor": "ana", "reason": "try it"}
        revision = (await self.status()).revision if revision is None else revision
        request = getattr(pb, f"{kind}Request")(expected_revision=revision, **known, **fields)
        return (await getattr(self.admin, kind)(request, None)).rollout

    async def bundle_of(self, session_id, *, tenant="local"):
        request = pb.GetSessionRulesRequest(tenant=tenant, pack="shop", session_id=session_id)
        return (await self.policy.GetSessionRules(request, None)).bundle_digest

    async def pay(self, amount, bundle):
        return await self.policy.Decide(question(amount, bundle), None)


def question(amount, bundle):
    arguments = canonical_json({"amount": amount})
    return pb.DecideRequest(
        decision_id=f"dec_{amount}",
        gate=pb.GATE_ACTION,
        tenant="local",
        bundle_digest=bundle,
        session=pb.SessionView(session_id="sess_1", tenant="local"),
        now=Timestamp(seconds=NOW_MS // 1000),
        action=pb.ActionSubject(
            action_id="act_1",
            tool="pay",
            tool_version="1.0",
            arguments_json=arguments,
            arguments_digest=digest(arguments),
            side_effect=pb.SIDE_EFFECT_WRITE,
        ),
    )


@pytest.fixture
def keys(tmp_path):
    MacKeys.generate(tmp_path / "keys.json")
    return MacKeys.load(tmp_path / "keys.json")


@pytest.fixture
async def two(keys):
    """Two replicas on one broker."""
    broker = MemoryBroker()
    replicas = [Replica(broker, keys, name) for name in ("one", "two")]
    for replica in replicas:
        await replica.parts.open()
    yield replicas
    for replica in replicas:
        await replica.parts.close()


@pytest.fixture
async def one(two):
    """One replica with an active bundle (100) and a stored one (50)."""
    replica = two[0]
    replica.active, replica.stricter = await replica.publish(100), await replica.publish(50)
    await replica.activate(replica.active)
    return replica


async def settled(holds):
    """Waits for a state that the event loop will bring about."""
    async with asyncio.timeout(25):
        while not holds():
            await asyncio.sleep(0)


async def audited(replica):
    """All changes in the audit, after everything was delivered."""
    replica.parts.audit.deliver()
    await settled(lambda: not replica.parts.audit._held)
    await replica.bus.flush()
    stored = replica.bus.broker.streams["AUDIT"].messages
    entries = [entry for item in stored for entry in read_entries(item.message.payload)]
    changes = [(entry.actor, entry.change) for entry in entries if entry.HasField("change")]
    return [(change.kind, actor, change.from_digest, change.to_digest) for actor, change in changes]


async def test_a_staged_bundle_reaches_no_session(one):
    rollout = await one.order("StageBundle", bundle_digest=one.stricter)
    assert (rollout.active_digest, rollout.candidate_digest) == (one.active, one.stricter)
    assert {await one.bundle_of(f"sess_{n}") for n in range(50)} == {one.active}


async def test_a_canary_gets_its_share_and_a_session_stays_where_it_is(one, two):
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("StartCanary", percent=25)
    given_to = [await one.bundle_of(f"sess_{n}") for n in range(400)]
    assert 0.18 < given_to.count(one.stricter) / 400 < 0.32
    await settled(lambda: two[1].parts.store._rollouts["shop"].share == 2_500)
    assert [await two[1].bundle_of(f"sess_{n}") for n in range(400)] == given_to
    # A session that does not say who it is stays out.
    assert await one.bundle_of("") == one.active


async def test_a_canary_of_one_tenant_leaves_the_others_alone(one):
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("StartCanary", percent=100, tenants=["acme"])
    assert await one.bundle_of("sess_1", tenant="acme") == one.stricter
    assert await one.bundle_of("sess_1", tenant="local") == one.active


def test_the_same_sessions_are_not_in_every_canary():
    first, second = (Rollout(digest="a", candidate=name, share=5_000) for name in ("b", "c"))
    sessions = [f"sess_{at}" for at in range(200)]
    inside = [
        [bundle_for(rollout, tenant="t", session_id=one) == rollout.candidate for one in sessions]
        for rollout in (first, second)
    ]
    assert inside[0] != inside[1]


async def test_promoted_is_active_and_rolled_back_is_as_before(one):
    await one.order("StageBundle", bundle_digest=one.stricter)
    promoted_now = await one.order("PromoteBundle")
    assert (promoted_now.active_digest, promoted_now.candidate_digest) == (one.stricter, "")
    assert promoted_now.previous_digest == one.active
    back = await one.order("RollbackBundle")
    assert back.active_digest == one.active
    with pytest.raises(Conflict, match="neither a candidate"):
        await one.order("RollbackBundle")
    assert await audited(one) == [
        ("publish", "ana", "", one.active),
        ("publish", "ana", "", one.stricter),
        ("activate", "ana", "", one.active),
        ("stage", "ana", "", one.stricter),
        ("promote", "ana", one.active, one.stricter),
        ("rollback", "ana", one.stricter, one.active),
    ]


async def test_a_rollback_of_a_canary_keeps_the_active_bundle(one):
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("StartCanary", percent=100)
    rollout = await one.order("RollbackBundle")
    assert (rollout.active_digest, rollout.candidate_digest, rollout.canary_percent) == (one.active, "", 0)
    assert await one.bundle_of("sess_1") == one.active


async def test_of_two_operators_at_once_one_wins_and_nothing_is_half_done(one, two):
    revision = (await one.status()).revision
    other = await two[1].publish(10)
    done = await asyncio.gather(
        one.order("StageBundle", bundle_digest=one.stricter, revision=revision),
        two[1].order("StageBundle", bundle_digest=other, revision=revision),
        return_exceptions=True,
    )
    assert sorted(type(one_of).__name__ for one_of in done) == ["Conflict", "Rollout"]
    won = next(rollout for rollout in done if isinstance(rollout, pb.Rollout))
    assert (await one.status()) == won


class Meanwhile:
    """A bucket on which somebody else writes between a reading and the writing that follows it."""

    def __init__(self, bucket, other):
        self._bucket = bucket
        self._other = other
        self.update, self.create = bucket.update, bucket.create

    async def get(self, key):
        entry = await self._bucket.get(key)
        other, self._other = self._other, None
        if other is not None:
            await other()
        return entry


async def test_who_loses_by_a_moment_is_told_to_look_again_and_nothing_of_it_is_done(one, two, monkeypatch):
    revision, other = (await one.status()).revision, await two[1].publish(10)
    later = Meanwhile(
        one.bus.bucket("policy"), lambda: two[1].order("StageBundle", bundle_digest=other, revision=revision)
    )
    with monkeypatch.context() as patched:
        patched.setattr(one.bus, "bucket", lambda name: later)
        with pytest.raises(Conflict, match="at the same moment: look at it again") as refused:
            await one.order("StageBundle", bundle_digest=one.stricter, revision=revision)
    assert refused.value.field == "expected_revision"
    assert (await one.status()).candidate_digest == other


@pytest.mark.parametrize("kind", ["StageBundle", "StartCanary", "PromoteBundle", "RollbackBundle"])
async def test_a_stale_command_is_refused(one, kind):
    fields = {"StageBundle": {"bundle_digest": one.stricter}, "StartCanary": {"percent": 5}}
    with pytest.raises(Conflict, match="look at it again") as refused:
        await one.order(kind, revision=77, **fields.get(kind, {}))
    assert refused.value.field == "expected_revision"


async def test_what_cannot_be_rolled_out_is_refused_with_a_reason(one):
    with pytest.raises(NotFound):
        await one.order("StageBundle", bundle_digest="sha256:" + "0" * 64)
    with pytest.raises(InvalidInput, match="another bundle than the active"):
        await one.order("StageBundle", bundle_digest=one.active)
    with pytest.raises(InvalidInput, match="of pack other"):
        await one.order("StageBundle", bundle_digest=await one.publish(5, pack="other"))
    with pytest.raises(Conflict, match="no bundle is staged"):
        await one.order("StartCanary", percent=5)
    with pytest.raises(Conflict, match="no bundle is staged"):
        await one.order("PromoteBundle")
    await one.order("StageBundle", bundle_digest=one.stricter)
    for percent in (0, -1, 100.5, float("nan"), 0.001):
        with pytest.raises(InvalidInput, match="more than 0 and at most 100"):
            await one.order("StartCanary", percent=percent)
    await one.order("StartCanary", percent=5)
    with pytest.raises(Conflict, match="a canary runs"):
        await one.order("StageBundle", bundle_digest=await one.publish(7))
    past = pb.ActivateBundleRequest(
        pack="shop", bundle_digest=one.stricter, actor="ana", expected_digest=one.active
    )
    with pytest.raises(Conflict, match="a canary runs"):
        await one.admin.ActivateBundle(past, None)


async def diffed(one, **fields):
    one.parts.audit.deliver()
    return await one.admin.DiffBundles(pb.DiffBundlesRequest(pack="shop", **fields), None)


async def test_a_diff_lists_every_decision_that_changes_over_what_was_decided(one):
    for amount in (10, 60, 80, 500):
        await one.pay(amount, one.active)
    await one.order("StageBundle", bundle_digest=one.stricter)
    found = await diffed(one)
    assert (found.questions, found.changed, found.laxer) == (4, 2, 0)
    assert [(c.decision_id, c.before, c.after, c.rule_after) for c in found.changes] == [
        ("dec_60", pb.EFFECT_ALLOW, pb.EFFECT_DENY, "too-much"),
        ("dec_80", pb.EFFECT_ALLOW, pb.EFFECT_DENY, "too-much"),
    ]
    back = await diffed(
        one,
        base_digest=one.stricter,
        candidate_digest=one.active,
        questions=[question(70, one.active)],
    )
    assert (back.questions, back.changed, back.laxer) == (1, 1, 1)


def reading_back(*values):
    """Files whose read-back of a payment has all its places, and binds these."""
    bound = ", ".join(f"{{value: {value}, kind: text}}" for value in values)
    actions = f"""
version: "1"
owner: team
actions:
  pay:
    arguments: {{amount: string, to: string}}
    consent: {{template: "Pay {{args.amount}} to {{args.to}}?", must_contain: [{bound}]}}
"""
    return {**files(1), "actions.yaml": actions.encode()}


async def test_a_bundle_whose_read_back_need_not_be_heard_as_far_is_laxer(one):
    both, less = [
        (
            await one.admin.PublishBundle(
                pb.PublishBundleRequest(pack="shop", files=reading_back(*bound), actor="ana"), None
            )
        ).bundle_digest
        for bound in (("args.amount", "args.to"), ("args.to",))
    ]
    asked = question(5, both)
    asked.action.arguments_json = canonical_json({"amount": "5", "to": "Ann"})
    asked.action.arguments_digest = digest(asked.action.arguments_json)
    found = await diffed(one, base_digest=both, candidate_digest=less, questions=[asked])
    assert (found.changed, found.laxer) == (1, 1)
    back = await diffed(one, base_digest=less, candidate_digest=both, questions=[asked])
    assert (back.questions, back.changed, back.laxer) == (1, 0, 0)


async def test_a_diff_without_a_candidate_says_so(one):
    with pytest.raises(InvalidInput) as refused:
        await diffed(one)
    assert refused.value.field == "candidate_digest"


async def test_a_tightening_bundle_decides_for_running_sessions(one):
    await one.pay(60, one.active)
    await one.order("StageBundle", bundle_digest=one.stricter, tightening=True)
    assert (await one.pay(60, one.active)).effect == pb.EFFECT_ALLOW
    await one.order("PromoteBundle")
    answer = await one.pay(60, one.active)
    assert (answer.effect, answer.bundle_digest) == (pb.EFFECT_DENY, one.stricter)
    await one.order("RollbackBundle")
    assert (await one.pay(60, one.active)).effect == pb.EFFECT_ALLOW


async def test_another_bundle_leaves_running_sessions_with_theirs(one):
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("PromoteBundle")
    answer = await one.pay(60, one.active)
    assert (answer.effect, answer.bundle_digest) == (pb.EFFECT_ALLOW, one.active)


async def test_a_bundle_that_is_laxer_anywhere_is_not_tightening(one):
    laxer = await one.publish(1_000)
    await one.order("StageBundle", bundle_digest=laxer, tightening=True)
    with pytest.raises(InvalidInput, match="expected recorded questions"):
        await one.order("PromoteBundle")
    with pytest.raises(InvalidInput, match="1 of 1 decisions get laxer"):
        await one.order("PromoteBundle", questions=[question(500, one.active)])
    assert (await one.status()).active_digest == one.active


async def test_what_was_stricter_before_is_so_again_when_a_still_stricter_one_is_rolled_back(one):
    await one.pay(60, one.active)
    strictest = await one.publish(20)
    for bundle in (one.stricter, strictest):
        await one.order("StageBundle", bundle_digest=bundle, tightening=True)
        await one.order("PromoteBundle", questions=[question(60, one.active)])
    assert (await one.pay(30, one.active)).bundle_digest == strictest
    await one.order("RollbackBundle")
    answer = await one.pay(60, one.active)
    assert (answer.effect, answer.bundle_digest) == (pb.EFFECT_DENY, one.stricter)
    assert (await one.pay(60, one.stricter)).bundle_digest == one.stricter


async def test_what_becomes_the_expected_rollout_while_it_is_looked_at_is_not_promoted_unchecked(
    one, monkeypatch
):
    laxer = await one.publish(1_000)
    before = await one.parts.store.rollout("shop")
    staged_at = (await one.order("StageBundle", bundle_digest=laxer, tightening=True)).revision

    async def as_it_was(pack):
        return before

    with monkeypatch.context() as patched:
        patched.setattr(one.parts.store, "rollout", as_it_was)
        with pytest.raises(Conflict, match="look at it again"):
            await one.order("PromoteBundle", revision=staged_at)
    assert (await one.status()).active_digest == one.active


async def test_a_comparison_leaves_room_for_decisions_in_between(one):
    count = 3 * ASKED_AT_ONCE
    for amount in range(count):
        await one.pay(amount, one.active)
    await one.order("StageBundle", bundle_digest=one.stricter)
    comparing = asyncio.create_task(diffed(one))
    between = 0
    while not comparing.done():
        await one.pay(60, one.active)
        await asyncio.sleep(0)
        between += 1
    assert (await comparing).questions >= count
    assert between >= 3


async def test_a_change_that_cannot_be_audited_is_not_made(one, monkeypatch):
    await audited(one)

    def full(*args, **more):
        raise SpoolFull("full")

    with monkeypatch.context() as patched:
        patched.setattr(one.bus, "publish", full)
        await one.pay(500, one.active)
        one.parts.audit.deliver()
        for change in (
            one.publish(7),
            one.order("StageBundle", bundle_digest=one.stricter),
            one.admin.ActivateBundle(
                pb.ActivateBundleRequest(
                    pack="shop", bundle_digest=one.stricter, actor="ana", expected_digest=one.active
                ),
                None,
            ),
        ):
            with pytest.raises(Overloaded):
                await change
    rollout = await one.status()
    assert (rollout.active_digest, rollout.candidate_digest) == (one.active, "")
    assert len(one.parts.store.all()) == 2


async def test_a_change_that_was_made_while_the_audit_ran_full_is_in_it_all_the_same(one, monkeypatch):
    await audited(one)

    def full(*args, **more):
        raise SpoolFull("full")

    change = one.parts.store.change
    with monkeypatch.context() as patched:

        async def changed(*args):
            patched.setattr(one.bus, "publish", full)
            await one.pay(500, one.active)
            one.parts.audit.deliver()
            return await change(*args)

        patched.setattr(one.parts.store, "change", changed)
        assert (await one.order("StageBundle", bundle_digest=one.stricter)).candidate_digest == one.stricter
    assert (await audited(one))[-1] == ("stage", "ana", "", one.stricter)


async def failed_gate(replica, bundle):
    fact = events_pb2.ControlFact(
        schema_version=1,
        producer="evals",
        gate_failed=events_pb2.GateFailed(
            gate="completion", bundle_digest=bundle, reason="0.71 < 0.80", actor="nightly"
        ),
    )
    before = (await replica.status()).revision
    subject = control_subject("gate_failed")
    await replica.bus.publish_now(subject, fact.SerializeToString(), msg_id=f"g{before}", timeout_ms=1_000)
    return before


async def test_two_failed_gates_in_a_row_roll_a_canary_back_by_themselves(one):
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("StartCanary", percent=50)
    before = await failed_gate(one, one.stricter)

    def counted():
        return one.parts.store._rollouts["shop"].revision > before

    await settled(counted)
    assert (await one.status()).gates_failed == 1
    before = await failed_gate(one, one.stricter)
    await settled(counted)
    rollout = await one.status()
    assert (rollout.candidate_digest, rollout.canary_percent, rollout.active_digest) == ("", 0, one.active)
    assert [entry[:2] for entry in (await audited(one))[-2:]] == [
        ("gate_failed", "nightly"),
        ("rollback", "nightly"),
    ]


steps = st.lists(st.sampled_from(["stage", "canary", "promote", "rollback", "gate"]), max_size=12)


@given(steps=steps, session=st.text(min_size=1, max_size=8))
def test_whatever_the_steps_a_session_gets_the_active_bundle_or_the_candidate(steps, session):
    rollout = Rollout(digest="a")
    for at, step in enumerate(steps):
        try:
            match step:
                case "stage":
                    rollout = staged(rollout, f"c{at}", tightening=at % 2 == 0)
                case "canary":
                    rollout = canaried(rollout, percent=50, tenants=())
                case "promote":
                    rollout = promoted(rollout)
                case _:
                    rollout = gate_failed(rollout, rollout.candidate, seq=at + 1)
        except (Conflict, InvalidInput):
            continue
        given_to = bundle_for(rollout, tenant="t", session_id=session)
        assert given_to in {rollout.digest, rollout.candidate} - {""}
        assert rollout.share == 0 or rollout.candidate
        assert rollout.digest not in rollout.tightened


def test_a_canary_that_begins_anew_has_failed_no_gate():
    rollout = canaried(staged(Rollout(digest="a"), "b", tightening=False), percent=5, tenants=())
    wider = canaried(gate_failed(rollout, "b", seq=1), percent=20, tenants=())
    assert gate_failed(wider, "b", seq=2).candidate == "b"


async def test_every_activation_is_told_with_what_was_active_before(one):
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("PromoteBundle")
    await one.order("RollbackBundle")
    await one.bus.flush()
    found = []
    for item in one.bus.broker.streams["CONTROL"].messages:
        fact = events_pb2.ControlFact.FromString(item.message.payload)
        if fact.WhichOneof("body") == "bundle_activated":
            told = fact.bundle_activated
            found.append((told.previous_digest, told.bundle_digest, told.actor))
    assert found == [
        ("", one.active, "ana"),
        (one.active, one.stricter, "ana"),
        (one.stricter, one.active, "ana"),
    ]


async def test_news_of_the_watch_that_comes_late_undoes_nothing(one):
    before = one.parts.store._rollouts["shop"]
    await one.order("StageBundle", bundle_digest=one.stricter)
    await one.order("PromoteBundle")
    await one.parts.store._on_active("active.shop", Entry(msgspec.json.encode(before), 1))
    assert await one.bundle_of("sess_1") == one.stricter


@given(seqs=st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_a_second_failed_gate_rolls_back_in_whatever_order_and_however_often_they_come(seqs):
    rollout = canaried(staged(Rollout(digest="a"), "b", tightening=False), percent=5, tenants=())
    for seq in seqs:
        rollout = gate_failed(rollout, "b", seq=seq)
    assert rollout.candidate == ("" if len(set(seqs)) > 1 else "b")


@given(seqs=st.permutations([1, 2, 3]))
def test_gates_that_failed_one_canary_count_for_none_after_it(seqs):
    rollout = canaried(staged(Rollout(digest="a"), "b", tightening=False), percent=5, tenants=())
    for seq in seqs[:2]:
        rollout = gate_failed(rollout, "b", seq=seq)
    again = canaried(staged(rollout, "b", tightening=False), percent=5, tenants=())
    assert [gate_failed(again, "b", seq=seq) for seq in seqs[:2]] == [again, again]


def test_a_gate_that_was_counted_counts_once():
    rollout = canaried(staged(Rollout(digest="a"), "b", tightening=False), percent=5, tenants=())
    once = gate_failed(rollout, "b", seq=9)
    assert gate_failed(once, "b", seq=9) is once
    assert gate_failed(once, "other", seq=10) is once
    assert gate_failed(once, "b", seq=10).candidate == ""
    assert once.gates_failed == 1
