"""Which decisions read slots is known when a bundle is compiled; where they do, none is made without them."""

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import policy_pb2 as pb
from ringback_events import MemoryBus
from ringback_identity import MacKeys, canonical_json, digest
from ringback_policy.bootstrap import assemble
from ringback_policy.domain.evaluating import decide
from ringback_policy.domain.replaying import diff
from ringback_policy.domain.vocabulary import Effect
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import PolicyServicer
from ringback_policy.wire import decide_request
from ringback_policy.wire_recorded import masked_question

CARD = "4111 1111 1111 1111"
NOW_MS = 1_795_000_000_000
ACTIONS = "actions: {pay: {}, look: {}}\n"
FACTS = """
facts:
  city: {tool: find_city, arguments: {name: slots.city.value}}
  hotel: {tool: find_hotel, arguments: {city: facts.city.id}}
  weather: {tool: find_weather, arguments: {at: facts.hotel.place}}
  rates: {tool: find_rates, arguments: {at: args.at}}
"""
CONDITION = "actions: {pay: {conditions: [{id: c, when: has(slots.x), effect: deny, on_error: deny}]}}\n"
SLOT_RULE = "slots.city.value == 'Porto'"


def rule(when="", **more):
    """One rule at gate action about `pay`, unless it says otherwise."""
    fields = {"id": "r", "gate": "action", "action": "pay", "effect": "deny"} | more
    if when:
        fields |= {"when": f'"{when}"', "on_error": "deny"}
    return "rules:\n  - {" + ", ".join(f"{name}: {value}" for name, value in fields.items()) + "}\n"


def readers(bench_of, **files):
    found = bench_of(**{"actions": ACTIONS} | files).bundle.slot_readers
    return "every" if found.every else sorted(found.tools)


def reads_back(template):
    must = "must_contain: [{value: args.amount, kind: money}]"
    consent = f"{{template: 'Pay {{args.amount|money}}{template}?', {must}}}"
    return f"actions: {{pay: {{consent: {consent}}}, look: {{}}}}\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, []),
        ({"domain": rule("args.amount > 1.0")}, []),
        ({"domain": rule(SLOT_RULE)}, ["pay"]),
        ({"domain": rule("has(slots.city)")}, ["pay"]),
        ({"safety": rule("size(slots) > 1")}, ["pay"]),
        ({"domain": rule("slots[args.name].value == 1")}, ["pay"]),
        ({"domain": rule("true", say='"In {slots.city.value}?"')}, ["pay"]),
        ({"domain": rule("true", effect="confirm", states='"To {slots.city.value}."')}, ["pay"]),
        ({"domain": rule(SLOT_RULE, action="[pay, look]")}, ["look", "pay"]),
        ({"domain": rule(SLOT_RULE, action="other")}, ["other"]),
        ({"domain": rule(SLOT_RULE, action='"*"')}, "every"),
        # At the other gates nothing waits for memory.
        ({"domain": rule(SLOT_RULE, gate="input", action='"*"')}, []),
        ({"domain": rule(SLOT_RULE, gate="result")}, []),
        ({"actions": reads_back("")}, []),
        ({"actions": reads_back(" in {slots.city.value}")}, ["pay"]),
        ({"actions": CONDITION}, ["pay"]),
    ],
)  # fmt: skip
def test_whoever_reads_slots_is_named_and_nobody_else(bench_of, files, expected):
    assert readers(bench_of, **files) == expected


@pytest.mark.parametrize(
    ("fact", "expected"),
    [("city", ["pay"]), ("hotel", ["pay"]), ("weather", ["pay"]), ("rates", [])],
)
def test_a_fact_that_takes_an_argument_from_a_slot_reads_it_however_far_away(bench_of, fact, expected):
    assert readers(bench_of, domain=FACTS) == []
    assert readers(bench_of, domain=FACTS + rule(f"facts.{fact}.good == true")) == expected
    assert readers(bench_of, domain=FACTS + rule("args.a == 1", needs=f"[{fact}]")) == expected
    assert readers(bench_of, domain=FACTS, actions=reads_back(f" at {{facts.{fact}.id}}")) == expected
    assert readers(bench_of, domain=FACTS + rule("true", say=f'"{{facts.{fact}.id}}"')) == expected


def test_the_shipped_bundles_say_what_their_rules_say(airline):
    assert not airline.bundle.slot_readers.tools
    assert not airline.bundle.slot_readers.every


# Over the wire: what a session is told, and what it gets where its bundle was replaced by a stricter one.


def files(domain=""):
    plain = b"version: '1'\nowner: team\n"
    return {
        "interaction.yaml": plain,
        "domain.yaml": plain + domain.encode(),
        "safety.yaml": plain,
        "actions.yaml": plain + b"actions: {pay: {arguments: {amount: number}}}\n",
    }


def question(bundle, *, behind, tool="pay", now="Lisbon", before="Porto"):
    arguments = canonical_json({"amount": 5})
    view = pb.SessionView(session_id="sess_1", tenant="local", slots_behind=behind)
    if behind:
        view.slots_before.add(name="city", value_json=f'"{before}"')
    else:
        view.slots.add(name="city", value_json=f'"{now}"')
    action = pb.ActionSubject(
        action_id="act_1",
        tool=tool,
        tool_version="1.0",
        arguments_json=arguments,
        arguments_digest=digest(arguments),
        side_effect=pb.SIDE_EFFECT_WRITE,
    )
    return pb.DecideRequest(
        decision_id="dec_1",
        gate=pb.GATE_ACTION,
        tenant="local",
        bundle_digest=bundle,
        session=view,
        now=Timestamp(seconds=NOW_MS // 1000),
        action=action,
    )


class Shop:
    """One replica with a bundle that reads no slots, and a stricter one that does."""

    def __init__(self, keys):
        self.parts = assemble(MemoryBus(), keys, instance="one", clock=lambda: NOW_MS)
        self.policy = PolicyServicer(self.parts.deciding)
        self.admin = PolicyAdminServicer(self.parts.publishing, self.parts.rolling_out)

    async def open(self):
        await self.parts.open()
        self.plain = await self._publish(files())
        self.reading = await self._publish(files(rule(SLOT_RULE)))
        request = pb.ActivateBundleRequest(pack="shop", bundle_digest=self.plain, actor="ana")
        await self.admin.ActivateBundle(request, None)

    async def _publish(self, content):
        tools = {"pay": pb.SIDE_EFFECT_WRITE}
        request = pb.PublishBundleRequest(pack="shop", files=content, tools=tools, actor="ana")
        return (await self.admin.PublishBundle(request, None)).bundle_digest

    async def told(self, bundle):
        request = pb.GetSessionRulesRequest(tenant="local", pack="shop", bundle_digest=bundle)
        return (await self.policy.GetSessionRules(request, None)).slot_readers

    async def order(self, kind, **fields):
        revision = (await self.admin.GetRollout(pb.GetRolloutRequest(pack="shop"), None)).rollout.revision
        named = {"pack": "shop", "actor": "ana", "reason": "try it", "expected_revision": revision}
        return await getattr(self.admin, kind)(getattr(pb, f"{kind}Request")(**named, **fields), None)


@pytest.fixture
async def shop(tmp_path):
    MacKeys.generate(tmp_path / "keys.json")
    shop = Shop(MacKeys.load(tmp_path / "keys.json"))
    await shop.open()
    yield shop
    await shop.parts.close()


async def test_a_session_is_told_whose_decisions_read_slots(shop):
    assert await shop.told(shop.plain) == pb.SlotReaders()
    assert await shop.told(shop.reading) == pb.SlotReaders(tools=["pay"])
    rules = await shop.policy.GetSessionRules(pb.GetSessionRulesRequest(tenant="local", pack="shop"), None)
    assert rules.HasField("slot_readers"), "none is something else than not told"


async def test_a_decision_that_reads_no_slots_is_made_without_them(shop):
    answer = await shop.policy.Decide(question(shop.plain, behind=True), None)
    assert (answer.effect, answer.needs_slots) == (pb.EFFECT_ALLOW, False)


async def test_slots_of_before_the_callers_last_words_never_decide(shop):
    answer = await shop.policy.Decide(question(shop.reading, behind=True), None)
    assert (answer.effect, answer.needs_slots) == (pb.EFFECT_UNSPECIFIED, True)
    assert not answer.HasField("proof")
    answer = await shop.policy.Decide(question(shop.reading, behind=False), None)
    assert (answer.effect, answer.needs_slots) == (pb.EFFECT_ALLOW, False)


async def test_a_tightening_that_reads_slots_asks_running_sessions_for_them(shop):
    unwaited = question(shop.plain, behind=True)
    await shop.policy.Decide(unwaited, None)
    await shop.order("StageBundle", bundle_digest=shop.reading, tightening=True)
    # The recorded question, asked without waiting, is evidence all the same: it holds the slots of before.
    await shop.order("PromoteBundle")
    answer = await shop.policy.Decide(unwaited, None)
    assert (answer.needs_slots, answer.bundle_digest) == (True, shop.reading)
    answer = await shop.policy.Decide(question(shop.plain, behind=False, now="Porto"), None)
    assert (answer.effect, answer.bundle_digest) == (pb.EFFECT_DENY, shop.reading)


def test_a_replay_reads_the_slots_of_before(bench_of):
    plain = bench_of(actions=ACTIONS).bundle
    reading = bench_of(actions=ACTIONS, domain=rule(SLOT_RULE)).bundle
    request = decide_request(question(plain.digest, behind=True))
    assert decide(reading, request, renderer=str).effect is Effect.DENY
    changes = diff(plain, reading, [request], renderer=str).changes
    assert [(change.before, change.after, change.laxer) for change in changes] == [
        (Effect.ALLOW, Effect.DENY, False)
    ]


def test_slots_of_before_are_recorded_masked():
    kept = masked_question(question("sha256:x", behind=True, before=CARD))
    assert CARD not in kept.session.slots_before[0].value_json
