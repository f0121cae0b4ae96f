"""Policy over gRPC, against a real servicer in this process: time-boxed, and a fallback in place of an error."""

import asyncio

import grpc
import msgspec
import pytest
from ringback.policy.v1 import policy_pb2, policy_pb2_grpc
from ringback_calling import Breaker, Channel
from ringback_errors import NotFound, Unavailable
from ringback_session.adapters.policy_grpc import INSTRUCTIONS_KEPT_MS, PolicyOverGrpc
from ringback_session.domain.effects import AskPolicy, ReadConsent
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import Effect, SideEffect
from ringback_session.domain.state import BoundValue
from ringback_session.domain.view import session_view
from ringback_session.ports import Pinned
from ringback_testkit import FakeClock
from session_core_kit import START_MS, new_state

PINNED = Pinned(
    tenant="local", session_id="sess_1", pack_digest="p", bundle_digest="b", epoch=3, agent="reservations"
)


class Servicer(policy_pb2_grpc.PolicyServiceServicer):
    def __init__(self):
        self.requests = []
        self.reply = None
        self.status = None
        self.gate = None

    async def _answer(self, request, context):
        self.requests.append(request)
        if self.gate is not None:
            await self.gate.wait()
        if self.status is not None:
            await context.abort(self.status, "no")
        return self.reply

    Decide = ReadConsent = GetSessionRules = ComposeInstructions = _answer


@pytest.fixture
async def servicer():
    return Servicer()


@pytest.fixture
async def policy(servicer):
    server = grpc.aio.server()
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = Channel(f"127.0.0.1:{port}", name="policy", breaker=Breaker(name="policy", failures_max=1_000))
    yield PolicyOverGrpc(channel, FakeClock())
    await channel.close()
    await server.stop(None)


def question(gate="action", **more):
    view = session_view(new_state(), At(now_ms=START_MS))
    subject = {"text": "Hello.", "confidence": 0.5}
    if gate == "action":
        subject = {
            "action_id": "act_1",
            "tool": "refund",
            "tool_version": "1.2",
            "arguments_json": "{}",
            "arguments_digest": "sha256:x",
            "side_effect": SideEffect.IRREVERSIBLE,
            "consent": {
                "consent_id": "con_1",
                "arguments_digest": "sha256:x",
                "given_at_ms": 1_000,
                "expires_at_ms": 2_000,
            },
            "client_tool": False,
        }
    values = {"decision_id": "dec_1", "gate": gate, "view": view, "subject": subject, "timeout_ms": 2_000}
    return AskPolicy(**values | more)


async def test_a_question_about_an_action_carries_its_consent(policy, servicer):
    servicer.reply = policy_pb2.DecideResponse(decision_id="dec_1", effect=policy_pb2.EFFECT_DENY)
    await policy.decide(question(), PINNED)
    (request,) = servicer.requests
    assert (request.decision_id, request.bundle_digest) == ("dec_1", "b")
    assert request.action.consent.consent_id == "con_1"
    assert request.action.consent.expires_at.ToMilliseconds() == 2_000
    assert request.session.agent == "reservations"


async def test_a_question_about_an_utterance_tells_its_confidence_if_there_is_one(policy, servicer):
    servicer.reply = policy_pb2.DecideResponse(decision_id="dec_1", effect=policy_pb2.EFFECT_ALLOW)
    await policy.decide(question("input"), PINNED)
    await policy.decide(question("input", subject={"text": "Hi.", "confidence": None}), PINNED)
    known, unknown = (request.utterance for request in servicer.requests)
    assert known.confidence == pytest.approx(0.5)
    assert not unknown.HasField("confidence")


async def test_a_decision_comes_back_whole(policy, servicer):
    servicer.reply = policy_pb2.DecideResponse(
        decision_id="dec_1",
        effect=policy_pb2.EFFECT_CONFIRM,
        rule="cancel",
        say="Mind this.",
        read_back=policy_pb2.ReadBack(
            text="Cancel?",
            must_contain=[policy_pb2.BoundValue(name="id", value="4", kind="colour")],
            arguments_digest="sha256:x",
        ),
        proof=policy_pb2.DecisionProof(key_id="k1", mac=b"\1", decision_id="dec_1"),
    )
    decided = await policy.decide(question(), PINNED)
    assert (decided.effect, decided.rule, decided.say, decided.source) == (
        Effect.CONFIRM,
        "cancel",
        "Mind this.",
        "policy",
    )
    assert decided.read_back.must_contain == (BoundValue(name="id", value="4", kind="text"),)
    assert decided.read_back.expires_after_ms == 30_000
    assert decided.proof["mac"] == "01"
    assert decided.wait_ms > 0


@pytest.mark.parametrize("status", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL])
async def test_policy_away_is_a_fallback_under_the_same_id(policy, servicer, status):
    servicer.status = status
    decided = await policy.decide(question(timeout_ms=200), PINNED)
    assert (decided.decision_id, decided.source, decided.effect) == ("dec_1", "fallback", None)


async def test_policy_late_is_a_fallback_in_time(policy, servicer):
    servicer.gate = asyncio.Event()
    async with asyncio.timeout(2):
        decided = await policy.decide(question(timeout_ms=50), PINNED)
    assert decided.source == "fallback"
    servicer.gate.set()


async def test_an_effect_of_a_later_release_is_no_permission(policy, servicer):
    servicer.reply = policy_pb2.DecideResponse(decision_id="dec_1", effect=99)
    assert (await policy.decide(question(), PINNED)).effect is None


def answer(**more):
    values = {
        "consent_id": "con_1",
        "read_back": "Cancel?",
        "utterance": "Yes.",
        "confidence": None,
        "bound_values": (BoundValue(name="id", value="4", kind="id"),),
        "side_effect": SideEffect.IRREVERSIBLE,
        "item_id": "item_1",
    }
    return ReadConsent(**values | more)


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        (policy_pb2.CONSENT_READING_YES, "yes"),
        (policy_pb2.CONSENT_READING_NO, "no"),
        (policy_pb2.CONSENT_READING_CORRECTION, "correction"),
        (policy_pb2.CONSENT_READING_UNCLEAR, "unclear"),
        (99, "unclear"),
    ],
)
async def test_a_reading_is_told_with_its_utterance(policy, servicer, reading, expected):
    servicer.reply = policy_pb2.ReadConsentResponse(consent_id="con_1", reading=reading)
    read = await policy.read_consent(answer(), PINNED)
    assert (read.consent_id, read.item_id) == ("con_1", "item_1")
    assert read.reading == expected
    assert servicer.requests[0].bound_values[0].value == "4"


async def test_a_reading_with_policy_away_is_unavailable(policy, servicer):
    servicer.status = grpc.StatusCode.UNAVAILABLE
    read = await policy.read_consent(answer(timeout_ms=200), PINNED)
    assert (read.reading, read.item_id) == ("unavailable", "item_1")


async def test_the_rules_of_a_bundle_keep_the_defaults_that_it_does_not_name(policy, servicer):
    rules = policy_pb2.TurnRules(filler_after_ms=500, client_tools="allow", say_person="Bye.")
    servicer.reply = policy_pb2.GetSessionRulesResponse(
        bundle_digest="sha256:b",
        turn_rules=rules,
        fallbacks=[
            policy_pb2.ActionFallback(
                side_effect=policy_pb2.SIDE_EFFECT_WRITE, effect=policy_pb2.EFFECT_DENY, say="Later."
            )
        ],
    )
    digest, found = await policy.session_rules(tenant="local", pack="airline")
    assert (digest, found.filler_after_ms, found.client_tools, found.say_person) == (
        "sha256:b",
        500,
        "allow",
        "Bye.",
    )
    assert found.clarify_max == 2
    assert (found.hold_prompt_after_ms, found.person_wait_ms_max) == (0, 0), "what is 0 is off"
    assert found.fallback(SideEffect.WRITE).say == "Later."
    assert found.fallback(SideEffect.READ).effect is Effect.ALLOW
    assert found.fallback(SideEffect.IRREVERSIBLE).effect is Effect.DENY


async def test_a_call_does_not_start_on_guessed_rules(policy, servicer):
    servicer.status = grpc.StatusCode.NOT_FOUND
    with pytest.raises(NotFound):
        await policy.session_rules(tenant="local", pack="nowhere")
    servicer.status = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(Unavailable):
        await policy.instructions(PINNED)


async def test_what_policy_composed_is_asked_for_once_a_minute_for_all_calls_of_an_agent(policy, servicer):
    servicer.reply = policy_pb2.ComposeInstructionsResponse(instructions="You book flights.")
    other_call = Pinned(
        tenant="local", session_id="sess_2", pack_digest="p", bundle_digest="b", epoch=1, agent="reservations"
    )
    first = await policy.instructions(PINNED)
    assert await policy.instructions(other_call) is first
    assert len(servicer.requests) == 1
    for changed in ({"agent": "refunds"}, {"bundle_digest": "b2"}, {"pack_digest": "p2"}):
        await policy.instructions(msgspec.structs.replace(other_call, **changed))
    assert len(servicer.requests) == 4
    servicer.reply = policy_pb2.ComposeInstructionsResponse(instructions="You book flights and trains.")
    policy._clock.advance(INSTRUCTIONS_KEPT_MS)
    assert await policy.instructions(PINNED) == "You book flights and trains."
