"""Bad input, one by one: a typed error that names the field, or the stated fallback; the service goes on."""

import contextlib
import json
import time

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import InvalidInput, NotFound
from ringback_events import MemoryBroker, MemoryBus
from ringback_identity import MacKeys, digest
from ringback_policy.bootstrap import assemble
from ringback_policy.domain.conditions import Condition, ConditionError, ConditionSyntaxError, Environment
from ringback_policy.domain.environment import fact_value, field_checks
from ringback_policy.domain.subjects import Fact
from ringback_policy.server.admin import PolicyAdminServicer
from ringback_policy.server.policy import PolicyServicer
from ringback_telemetry import names, setup

PLAIN = b"version: '1'\nowner: team\n"
ACTIONS = b"""
version: "1"
owner: team
actions:
  pay:
    side_effect: read
    conditions:
      - {id: too-much, when: double(args.amount) > 100.0, effect: deny, on_error: deny, say: That is too much.}
      - {id: from-list, when: "args.items.exists(i, i.price > 5)", effect: deny, on_error: allow}
"""
FILES = {"interaction.yaml": PLAIN, "domain.yaml": PLAIN, "safety.yaml": PLAIN, "actions.yaml": ACTIONS}


class Shop:
    """A replica with one bundle."""

    def __init__(self, keys):
        parts = assemble(MemoryBus(MemoryBroker()), keys, clock=lambda: 1_795_000_000_000)
        self.parts = parts
        self.policy = PolicyServicer(parts.deciding)
        self.admin = PolicyAdminServicer(parts.publishing, parts.rolling_out)
        self.bundle = ""

    async def ask(self, arguments, *, tool="pay", **changes):
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        request = self.request(**changes)
        request.gate = pb.GATE_ACTION
        request.action.tool, request.action.arguments_json = tool, text
        request.action.arguments_digest, request.action.side_effect = digest(text), pb.SIDE_EFFECT_READ
        return await self.policy.Decide(request, None)

    def request(self, **changes):
        request = pb.DecideRequest(
            decision_id="dec_1",
            tenant="local",
            bundle_digest=self.bundle,
            session=pb.SessionView(session_id="sess_1", tenant="local"),
            now=Timestamp(seconds=1_795_000_000),
        )
        for name, value in changes.items():
            setattr(request, name, value)
        return request


@pytest.fixture
async def shop(tmp_path):
    MacKeys.generate(tmp_path / "keys.json")
    made = Shop(MacKeys.load(tmp_path / "keys.json"))
    await made.parts.open()
    request = pb.PublishBundleRequest(pack="shop", files=FILES, actor="ana")
    made.bundle = (await made.admin.PublishBundle(request, None)).bundle_digest
    yield made
    await made.parts.close()


async def test_an_unknown_gate_is_refused(shop):
    for gate in (pb.GATE_UNSPECIFIED, 77):
        with pytest.raises(InvalidInput) as refused:
            await shop.policy.Decide(shop.request(gate=gate), None)
        assert refused.value.field == "gate"


async def test_an_unknown_action_is_denied_by_default(shop):
    answer = await shop.ask({}, tool="drop_tables")
    assert (answer.effect, answer.rule) == (pb.EFFECT_DENY, "default")


@pytest.mark.parametrize(
    "arguments", [{}, {"amount": None}, {"amount": "much"}, {"amount": []}, {"amount": {}}, {"amount": True}]
)
async def test_missing_arguments_and_wrong_types_take_the_declared_fallback(shop, arguments):
    answer = await shop.ask(arguments)
    assert (answer.effect, answer.rule) == (pb.EFFECT_DENY, "too-much")
    assert answer.rule_error


@pytest.mark.parametrize("items", [None, 5, "text", [1], [{"cost": 1}], [{"price": "dear"}]])
async def test_a_fallback_may_allow_and_is_counted_all_the_same(shop, items):
    answer = await shop.ask({"amount": 5, "items": items})
    assert answer.effect == pb.EFFECT_ALLOW
    assert answer.rule_error


async def test_each_rule_that_took_its_fallback_is_counted(shop):
    reader = InMemoryMetricReader()
    telemetry = setup("policy", extra_reader=reader)
    try:
        for _ in range(3):
            await shop.ask({"amount": 5, "items": 5})
        await shop.ask({"amount": 5, "items": []})
        found = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
        points = next(each.data.data_points for each in found if each.name == names.Metric.FALLBACKS)
        assert [(dict(point.attributes), point.value) for point in points] == [
            ({names.Attr.REASON: "rule_error"}, 3)
        ]
    finally:
        telemetry.shutdown()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 30_000 + "]" * 30_000,
        '{"amount": NaN}',
        '{"amount": Infinity}',
        '{"amount": 1e999}',
        '{"amount": 1',
        "[]",
        '"text"',
        "\x00",
    ],
)
async def test_what_is_no_plain_json_object_never_passes(shop, text):
    try:
        effect, field = (await shop.ask(text)).effect, ""
    except InvalidInput as refused:
        effect, field = pb.EFFECT_DENY, refused.field
    assert effect == pb.EFFECT_DENY
    assert field in ("", "action.arguments_json")


async def test_a_megabyte_is_refused_wherever_it_stands(shop):
    huge = "a" * 1_048_576
    for changes, field in (
        ({"gate": pb.GATE_INPUT, "utterance": pb.UtteranceSubject(text=huge)}, "subject.text"),
        ({"gate": pb.GATE_OUTPUT, "speech": pb.SpeechSubject(text=huge)}, "subject.text"),
        ({"gate": pb.GATE_RESULT, "result": pb.ResultSubject(result_json=huge)}, "result.result_json"),
    ):
        request = shop.request(gate=changes.pop("gate"))
        for name, value in changes.items():
            getattr(request, name).CopyFrom(value)
        with pytest.raises(InvalidInput) as refused:
            await shop.policy.Decide(request, None)
        assert refused.value.field == field
    with pytest.raises(InvalidInput) as refused:
        await shop.ask({"amount": 1, "note": huge})
    assert refused.value.field == "action.arguments_json"


@pytest.mark.parametrize("name", ["totals", "slots", "consents"])
async def test_a_list_that_is_longer_than_any_sessions_is_refused_whether_or_not_it_is_read(shop, name):
    request = shop.request(gate=pb.GATE_INPUT)
    request.utterance.text = "hello"
    for _ in range(257):
        getattr(request.session, name).add()
    with pytest.raises(InvalidInput, match="at most 256 entries") as refused:
        await shop.policy.Decide(request, None)
    assert refused.value.field == f"session.{name}"


async def test_a_megabyte_of_an_answer_is_unclear(shop):
    request = pb.ReadConsentRequest(
        tenant="local",
        session_id="sess_1",
        consent_id="con_1",
        bundle_digest=shop.bundle,
        read_back="Pay ten dollars?",
        utterance="yes " * 262_144,
        confidence=0.9,
    )
    assert (await shop.policy.ReadConsent(request, None)).reading == pb.CONSENT_READING_UNCLEAR


async def test_an_unknown_bundle_is_not_found(shop):
    for bundle in ("sha256:" + "0" * 64, "sha256:short", "../../etc"):
        with pytest.raises(NotFound):
            await shop.ask({"amount": 1}, bundle_digest=bundle)


@pytest.mark.parametrize(
    "expression",
    [
        "a" * 3_000,
        "args.x.all(a, args.x.all(b, a == b))",
        "args.x.map(a, a).map(b, b).map(c, c).map(d, d)",
        "sleep(1000)",
        "(" * 500 + "1" + ")" * 500 + " == 1 &&",
        "args.x.matches('(a+')",
        "args.x.matches('((a{100}){100}){100}')",
        "1 ==",
        "",
    ],
)
def test_hostile_cel_is_refused_before_it_is_ever_run(expression):
    with pytest.raises(ConditionSyntaxError):
        Condition(expression)


def test_an_expression_over_the_largest_arguments_ends_soon():
    values = {"args": {"x": ["y" * 10] * 5_000}}
    condition = Condition("args.x.exists(a, a.contains('z')) || args.x.exists(b, b.matches('(y+)+$z'))")
    begun = time.monotonic()
    with contextlib.suppress(ConditionError):
        assert condition.holds(Environment(values)) in (True, False)
    # A runaway would take for ever; the bound is generous, so that no machine is too slow for it.
    assert time.monotonic() - begun < 20


async def test_after_all_of_it_the_service_decides_as_before(shop):
    for text in ("[" * 30_000, '{"amount": NaN}', "\x00"):
        try:
            await shop.ask(text)
        except InvalidInput:
            continue
    assert (await shop.ask({"amount": 5, "items": []})).effect == pb.EFFECT_ALLOW
    assert (await shop.ask({"amount": 500, "items": []})).say == "That is too much."


def test_a_fact_with_a_number_that_no_double_holds_has_not_the_declared_form():
    fact = Fact("bill", "get_bill", "{}", '{"amount": 1' + "0" * 400 + "}", 0)
    _, wrong = fact_value(fact, field_checks({"amount": "number"}))
    assert wrong == "amount: expected a number that a double holds"


async def test_what_is_no_name_of_a_pack_is_told_by_its_field(shop):
    for call, request in (
        (shop.admin.GetRollout, pb.GetRolloutRequest()),
        (shop.admin.DiffBundles, pb.DiffBundlesRequest(pack="../x")),
    ):
        with pytest.raises(InvalidInput) as refused:
            await call(request, None)
        assert refused.value.field == "pack"


TYPED = b"""
version: "1"
owner: team
actions:
  order:
    side_effect: read
    arguments: {name: string, count: integer, amount: number, gift: boolean, items: list, to: object}
    conditions:
      - {id: too-dear, when: args.amount + 1.5 > 100.0, effect: deny, on_error: escalate}
"""


@pytest.fixture
async def typed(shop):
    request = pb.PublishBundleRequest(pack="typed", files={**FILES, "actions.yaml": TYPED}, actor="ana")
    shop.bundle = (await shop.admin.PublishBundle(request, None)).bundle_digest
    return shop


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"name": 5}, "name: expected text, got an integer"),
        ({"name": None}, "name: expected text, got null"),
        ({"count": 1.5}, "count: expected an integer, got a number"),
        ({"count": True}, "count: expected an integer, got a boolean"),
        ({"amount": "4111 1111"}, "amount: expected a number, got text"),
        ({"amount": 10**400}, "amount: expected a number that a double holds"),
        ({"gift": 1}, "gift: expected a boolean, got an integer"),
        ({"items": {}}, "items: expected a list, got an object"),
        ({"to": []}, "to: expected an object, got a list"),
    ],
)
async def test_an_argument_of_another_type_than_declared_is_denied_and_named(typed, arguments, told):
    answer = await typed.ask({"amount": 1, **arguments}, tool="order")
    assert (answer.effect, answer.rule, answer.layer) == (pb.EFFECT_DENY, "arguments", pb.LAYER_ACTIONS)
    assert answer.reason == f"argument {told}"
    assert not answer.rule_error


async def test_a_declared_number_is_one_in_conditions_however_it_was_written(typed):
    for amount, effect in ((5, pb.EFFECT_ALLOW), (5.5, pb.EFFECT_ALLOW), (99, pb.EFFECT_DENY)):
        answer = await typed.ask({"amount": amount}, tool="order")
        assert (answer.effect, answer.rule_error) == (effect, False)


async def test_a_missing_argument_takes_the_fallback_and_is_named(typed):
    answer = await typed.ask({"name": "x"}, tool="order")
    assert (answer.effect, answer.rule, answer.rule_error) == (pb.EFFECT_ESCALATE, "too-dear", True)
    assert answer.reason == "too-dear: not evaluated, fallback taken: missing value 'args.amount'"


def test_an_error_of_a_condition_does_not_tell_a_callers_value():
    condition = Condition("args.table[args.key] == 1")
    with pytest.raises(ConditionError) as failed:
        condition.holds(Environment({"args": {"table": {"a": 1}, "key": "4111 1111"}}))
    assert "4111" not in str(failed.value)
