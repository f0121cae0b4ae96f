"""What the airline's bundle decides."""

import pytest
from ringback_policy.domain.subjects import ActionTotals, PastAction, PastConsent, UtteranceSubject
from ringback_policy.domain.vocabulary import Effect, Gate, Layer, SideEffect


def test_cancelling_without_facts_asks_for_exactly_the_reservation(airline):
    decision = airline.ask(airline.action(), gate=Gate.ACTION)
    assert decision.effect is None
    (need,) = decision.needs_facts
    assert (need.name, need.tool, need.arguments_json, need.ttl_ms) == (
        "reservation",
        "get_reservation",
        '{"reservation_id":"482915"}',
        60_000,
    )


def test_looking_up_a_reservation_needs_no_facts_and_no_proof(airline):
    decision = airline.ask(airline.action("get_reservation", side_effect=SideEffect.READ), gate=Gate.ACTION)
    assert (decision.effect, decision.proof_until_ms, decision.needs_facts) == (Effect.ALLOW, 0, ())


def test_a_fresh_booking_is_said_to_be_refundable_and_read_back_with_its_values_in_order(airline):
    decision = airline.cancel()
    assert (decision.effect, decision.rule, decision.layer) == (
        Effect.CONFIRM,
        "cancel-within-a-day",
        Layer.DOMAIN,
    )
    assert "fully refundable" in decision.say
    made = decision.read_back
    assert made.text.startswith(
        "I will cancel reservation 482915, Boston to Denver on 2026-12-04, and refund 240 USD"
    )
    assert [(v.name, v.value, v.kind) for v in made.must_contain] == [
        ("reservation_id", "482915", "id"),
        ("amount", "240", "money"),
    ]
    assert made.arguments_digest == airline.action().arguments_digest


@pytest.mark.parametrize(
    ("changes", "effect", "rule"),
    [
        ({"hours_since_booking": 23.99}, Effect.CONFIRM, "cancel-within-a-day"),
        ({"hours_since_booking": 24}, Effect.DENY, "cancel-not-covered"),
        ({"hours_since_booking": 540, "cabin": "basic_economy"}, Effect.DENY, "cancel-not-covered"),
        ({"hours_since_booking": 540, "cabin": "business"}, Effect.CONFIRM, "cancel-business"),
        ({"hours_since_booking": 540, "insurance": True}, Effect.CONFIRM, "cancel-insured"),
        ({"hours_since_booking": 540, "airline_cancelled": True}, Effect.CONFIRM, "cancel-airline-cancelled"),
        ({"segments_flown": 1}, Effect.DENY, "cancel-flown"),
        ({"status": "flown"}, Effect.DENY, "cancel-flown"),
        ({"status": "cancelled"}, Effect.DENY, "cancel-already-cancelled"),
        ({"status": "cancelled", "hours_since_booking": 540}, Effect.DENY, "cancel-already-cancelled"),
        ({"segments_flown": 2, "cabin": "business"}, Effect.DENY, "cancel-flown"),
    ],
)
def test_each_rule_of_the_airline_decides_its_case(airline, changes, effect, rule):
    decision = airline.cancel(**changes)
    assert (decision.effect, decision.rule) == (effect, rule)
    assert decision.say


def test_the_insured_reason_is_stated_in_the_read_back_so_that_a_yes_covers_it(airline):
    decision = airline.cancel(hours_since_booking=540, insurance=True)
    assert decision.read_back.text.startswith(
        "You tell me that you cancel for reasons of health or weather. I will"
    )


def test_a_valid_consent_allows_with_a_proof_that_ends_no_later_than_the_consent(airline):
    decision = airline.cancel(consent=airline.consent())
    assert (decision.effect, decision.consent_id) == (Effect.ALLOW, "con_1")
    assert decision.proof_until_ms == airline.now_ms + 20_000
    longer = airline.cancel(consent=airline.consent(expires_at_ms=airline.now_ms + 90_000))
    assert longer.proof_until_ms == airline.now_ms + 30_000


@pytest.mark.parametrize(
    "changes",
    [
        {"arguments_digest": "sha256:other"},
        {"expires_at_ms": 1_795_000_000_000},
        {"given_at_ms": 1_795_000_100_000},
        {"consent_id": ""},
    ],
)
def test_a_consent_for_something_else_or_expired_or_not_yet_given_is_asked_again(airline, changes):
    decision = airline.cancel(consent=airline.consent(**changes))
    assert (decision.effect, decision.proof_until_ms) == (Effect.CONFIRM, 0)


@pytest.mark.parametrize("reading", ["no", "correction", "unclear", "void", "open"])
def test_a_consent_that_the_session_reads_otherwise_allows_nothing(airline, reading):
    view = {"consents": (PastConsent("con_1", "act_1", reading),)}
    assert airline.cancel(consent=airline.consent(), view=view).effect is Effect.CONFIRM


def test_a_consent_given_to_another_action_allows_nothing(airline):
    view = {"consents": (PastConsent("con_1", "act_2", "yes"),)}
    assert airline.cancel(consent=airline.consent(), view=view).effect is Effect.CONFIRM


def test_nothing_irreversible_is_allowed_in_a_turn_that_forbids_it(airline):
    decision = airline.cancel(consent=airline.consent(), view={"irreversible_forbidden": True})
    assert decision.effect is Effect.CONFIRM
    assert decision.obligations.restate


def test_a_denial_stays_a_denial_whatever_the_caller_consented_to(airline):
    decision = airline.cancel(consent=airline.consent(), hours_since_booking=540)
    assert (decision.effect, decision.proof_until_ms) == (Effect.DENY, 0)


def test_a_stale_fact_is_asked_for_again(airline):
    assert airline.cancel(age_ms=60_001).needs_facts
    assert not airline.cancel(age_ms=60_000).needs_facts


def test_the_fact_of_another_reservation_is_not_believed(airline):
    decision = airline.ask(airline.action(), gate=Gate.ACTION, facts=(airline.fact(for_id="731604"),))
    assert decision.needs_facts


def test_an_unavailable_fact_takes_the_declared_fallback_and_says_so(airline):
    decision = airline.cancel(unavailable=True)
    assert (decision.effect, decision.rule) == (Effect.DENY, "cancel-already-cancelled")
    assert decision.rule_errors
    assert decision.say == "I cannot see that reservation right now, so nothing has been changed."


@pytest.mark.parametrize(
    "changes",
    [
        {"hours_since_booking": "5"},
        {"hours_since_booking": None},
        {"hours_since_booking": True},
        {"insurance": "no"},
        {"segments_flown": 0.5},
        {"amount": "240"},
        {"status": 1},
        {"cabin": ["business"]},
    ],
)
def test_a_badly_typed_fact_never_lets_a_cancellation_through(airline, changes):
    decision = airline.cancel(consent=airline.consent(), **changes)
    assert decision.effect is Effect.DENY
    assert decision.rule_errors


def test_an_earlier_cancellation_without_a_known_outcome_blocks_another(airline):
    past = PastAction("act_0", "cancel_reservation", "unknown", 5_000, '{"reservation_id":"482915"}')
    decision = airline.cancel(view={"actions": (past,)})
    assert (decision.effect, decision.rule) == (Effect.DENY, "cancel-one-per-reservation")
    other = PastAction("act_0", "cancel_reservation", "unknown", 5_000, '{"reservation_id":"731604"}')
    assert airline.cancel(view={"actions": (other,)}).effect is Effect.CONFIRM


def test_after_five_cancellations_a_person_takes_over(airline):
    view = {"totals": (ActionTotals("cancel_reservation", 5, 5, 0),)}
    decision = airline.cancel(view=view)
    assert (decision.effect, decision.rule) == (Effect.ESCALATE, "cancel-too-many")
    assert decision.obligations.escalate


def test_an_action_that_nobody_named_is_denied(airline):
    decision = airline.ask(airline.action("send_certificate"), gate=Gate.ACTION)
    assert (decision.effect, decision.rule, decision.layer) == (Effect.DENY, "default", Layer.ACTIONS)
    assert decision.say


def test_the_bundle_makes_a_class_stricter_but_never_laxer(airline):
    decision = airline.ask(
        airline.action(side_effect=SideEffect.READ), gate=Gate.ACTION, facts=(airline.fact(),)
    )
    assert decision.effect is Effect.CONFIRM
    stricter = airline.ask(airline.action("get_reservation"), gate=Gate.ACTION)
    assert stricter.effect is Effect.DENY
    assert stricter.rule == "no-read-back"


def test_a_tool_of_the_client_is_denied_here_and_allowed_by_passthrough(airline, bench_of):
    own = airline.action("paint", {}, side_effect=SideEffect.WRITE, client_tool=True)
    assert airline.ask(own, gate=Gate.ACTION).rule == "client-tools"
    assert airline.ask(own, gate=Gate.ACTION).effect is Effect.DENY
    relay = bench_of(interaction="turn_rules: {client_tools: allow}")
    decision = relay.ask(own, gate=Gate.ACTION)
    assert (decision.effect, decision.proof_until_ms) == (Effect.ALLOW, 0)


def test_a_clients_tool_can_be_confirmed_by_its_name(airline, bench_of):
    asking = bench_of(interaction="turn_rules: {client_tools: confirm}")
    own = airline.action("open_door", {}, side_effect=SideEffect.WRITE, client_tool=True)
    decision = asking.ask(own, gate=Gate.ACTION)
    assert decision.effect is Effect.CONFIRM
    assert [value.value for value in decision.read_back.must_contain] == ["open door"]
    consent = airline.consent(arguments_digest=own.arguments_digest)
    agreed = airline.action("open_door", {}, side_effect=SideEffect.WRITE, client_tool=True, consent=consent)
    assert asking.ask(agreed, gate=Gate.ACTION).effect is Effect.ALLOW


@pytest.mark.parametrize(
    "text",
    [
        "Can I talk to a person please?",
        "I'd like to speak with a real human",
        "get me an agent",
        "let me talk to someone",
        "transfer me to a representative",
        "I want a human",
        "could I have a person, please",
        "Operator please!",
        "I want to speak to your manager",
        "connect me with a live agent",
        "is there a real person there",
    ],
)
def test_asking_for_a_person_hands_over(airline, text):
    decision = airline.ask(UtteranceSubject(text, 0.9), gate=Gate.INPUT)
    assert (decision.effect, decision.rule) == (Effect.ESCALATE, "asks-for-a-person")
    assert decision.say
    assert decision.obligations.escalate == "the caller asked for a person"


@pytest.mark.parametrize(
    "text",
    [
        "I want to cancel my reservation",
        "four eight two nine one five",
        "yes",
        "no",
        "hold on, which card does it go to?",
        "it is for one person please",
        "my travel agent booked it",
        "I don't want to talk to a person, just cancel it",
        "I'm a nice person",
        "the person who booked is my wife",
    ],
)
def test_ordinary_words_pass_the_input_gate(airline, text):
    assert airline.ask(UtteranceSubject(text, 0.9), gate=Gate.INPUT).effect is Effect.ALLOW


def test_distress_brings_a_person_and_forbids_what_cannot_be_undone(airline):
    decision = airline.ask(UtteranceSubject("I think I want to die", 0.9), gate=Gate.INPUT)
    assert (decision.effect, decision.rule) == (Effect.ESCALATE, "distress")
    assert decision.obligations.forbid_irreversible


@pytest.mark.parametrize("confidence", [0.2, 0.0, float("nan"), -1.0])
def test_low_confidence_restates_and_forbids_what_cannot_be_undone(airline, confidence):
    decision = airline.ask(UtteranceSubject("cancel it", confidence), gate=Gate.INPUT)
    assert decision.obligations.restate
    assert decision.obligations.forbid_irreversible


def test_unknown_confidence_is_not_low_confidence(airline):
    assert not airline.ask(UtteranceSubject("cancel it", None), gate=Gate.INPUT).obligations.restate
