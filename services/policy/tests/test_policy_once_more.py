"""The same change once more in one call: asked for in words that say so, never allowed without a yes of its own."""

import pytest
from ringback.policy.v1 import policy_pb2 as pb
from ringback_policy.domain.casebook import run_cases
from ringback_policy.domain.consent import ConsentQuestion, read_consent
from ringback_policy.domain.findings import BrokenBundleError
from ringback_policy.domain.subjects import ActionTotals, BoundValue, PastAction, PastConsent
from ringback_policy.domain.vocabulary import Effect, Gate, Reading, SideEffect
from ringback_policy.wire import decide_request, decide_response
from ringback_spoken import contains_value

WORDS = "This was already done in this call. Once more:"
ASKED = "I will pay 5 to Anna Smith. Shall I go ahead?"
CONSENT = (
    "consent: {template: 'I will pay {args.amount|number} to {args.to}. Shall I go ahead?',"
    " must_contain: [{value: args.amount, kind: number}]}"
)
PAY = f"actions: {{pay: {{side_effect: write, {CONSENT}}}, note: {{side_effect: write}}, look: {{}}}}"
ARGUMENTS = {"amount": 5, "to": "Anna Smith"}


def pay(airline, *, tool="pay", consent=None, client_tool=False, side_effect=SideEffect.WRITE):
    return airline.action(tool, ARGUMENTS, side_effect=side_effect, consent=consent, client_tool=client_tool)


def past(airline, *, tool="pay", status="ok", action_id="act_0", arguments=None):
    text = airline.action(tool, arguments or ARGUMENTS).arguments_json
    return {"actions": (PastAction(action_id, tool, status, 9_000, text),)}


def given(airline, consent_id="con_2"):
    digest = pay(airline).arguments_digest
    return airline.consent(consent_id=consent_id, arguments_digest=digest)


def test_it_is_read_back_as_once_more_before_everything_else(airline, bench_of):
    decision = bench_of(actions=PAY).ask(pay(airline), gate=Gate.ACTION, **past(airline))
    assert (decision.effect, decision.rule) == (Effect.CONFIRM, "once-more")
    assert decision.read_back.text == f"{WORDS} {ASKED}"
    assert decision.read_back.once_more == WORDS
    assert [(bound.name, bound.kind) for bound in decision.read_back.must_contain] == [
        ("once_more", "text"),
        ("amount", "number"),
    ]
    assert not decision.proof_until_ms


def test_the_words_are_the_bundles_own(airline, bench_of):
    bench = bench_of(actions=PAY, interaction="turn_rules: {say_once_more: 'Das war schon. Noch einmal:'}")
    decision = bench.ask(pay(airline), gate=Gate.ACTION, **past(airline))
    assert decision.read_back.text == f"Das war schon. Noch einmal: {ASKED}"


@pytest.mark.parametrize("words", ["''", "' '", f"'{'a' * 201}'"])
def test_words_that_nobody_could_hear_are_refused(bench_of, words):
    with pytest.raises(BrokenBundleError, match="say_once_more"):
        bench_of(interaction=f"turn_rules: {{say_once_more: {words}}}")


@pytest.mark.parametrize(
    "other",
    [
        {"status": "failed"},
        {"status": "not_started"},
        {"status": "open"},
        {"tool": "note"},
        {"arguments": {"amount": 6, "to": "Anna Smith"}},
        {"action_id": "act_1"},
    ],
)
def test_what_had_no_effect_or_is_something_else_is_not_repeated(airline, bench_of, other):
    decision = bench_of(actions=PAY).ask(pay(airline), gate=Gate.ACTION, **past(airline, **other))
    assert decision.read_back.text == ASKED
    assert not decision.read_back.once_more


def test_what_needs_no_yes_the_first_time_needs_one_the_second(airline, bench_of):
    bench = bench_of(actions=PAY.replace("side_effect: write, consent", "effect: allow, consent"))
    first = pay(airline, side_effect=SideEffect.READ)
    assert bench.ask(first, gate=Gate.ACTION, **past(airline)).effect is Effect.ALLOW, "reads repeat freely"
    assert bench.ask(pay(airline), gate=Gate.ACTION, **past(airline)).effect is Effect.CONFIRM


@pytest.mark.parametrize("actions", [PAY, "default: allow\nactions: {}"])
def test_without_a_read_back_of_its_own_it_is_not_done_again(airline, bench_of, actions):
    bench = bench_of(actions=actions)
    note = pay(airline, tool="note")
    assert bench.ask(note, gate=Gate.ACTION).effect is Effect.ALLOW
    decision = bench.ask(note, gate=Gate.ACTION, **past(airline, tool="note"))
    assert (decision.effect, decision.rule, decision.done_already) == (Effect.DENY, "once-more", True)
    assert not decision.say
    consented = pay(airline, tool="note", consent=given(airline))
    agreed = (PastConsent("con_2", "act_1", "yes"),)
    view = past(airline, tool="note") | {"consents": agreed}
    assert bench.ask(consented, gate=Gate.ACTION, **view).done_already


def test_only_a_yes_of_its_own_allows_it(airline, bench_of):
    bench = bench_of(actions=PAY)
    action = pay(airline, consent=given(airline))
    for consents, effect in (
        ((PastConsent("con_2", "act_1", "yes"),), Effect.ALLOW),
        ((PastConsent("con_2", "act_0", "yes"),), Effect.CONFIRM),
        ((PastConsent("con_2", "", "yes"),), Effect.CONFIRM),
        ((PastConsent("con_2", "act_1", "no"),), Effect.CONFIRM),
        ((PastConsent("con_1", "act_1", "yes"),), Effect.CONFIRM),
        ((), Effect.CONFIRM),
    ):
        decision = bench.ask(action, gate=Gate.ACTION, consents=consents, **past(airline))
        assert decision.effect is effect, consents
        assert bool(decision.proof_until_ms) is (effect is Effect.ALLOW)


@pytest.mark.parametrize("effect", ["deny", "escalate"])
def test_what_a_rule_forbids_stays_forbidden(airline, bench_of, effect):
    rule = f"rules: [{{id: never, gate: action, action: pay, effect: {effect}, reason: never}}]"
    decision = bench_of(actions=PAY, domain=rule).ask(pay(airline), gate=Gate.ACTION, **past(airline))
    assert (decision.effect.name.lower(), decision.rule) == (effect, "never")


def test_a_limit_over_the_call_counts_what_was_done_before(airline, bench_of):
    when = "session.totals.pay.sums.amount + args.amount > 10.0"
    rule = f"rules: [{{id: limit, gate: action, action: pay, effect: deny, on_error: deny, when: {when!r}}}]"
    types = PAY.replace(
        "{side_effect: write, consent",
        "{arguments: {amount: number, to: string}, side_effect: write, consent",
    )
    bench = bench_of(actions=types, domain=rule)
    for times, effect in ((1, Effect.CONFIRM), (2, Effect.DENY)):
        totals = (ActionTotals("pay", times + 1, times, 0, {"amount": 5.0 * times}),)
        decision = bench.ask(pay(airline), gate=Gate.ACTION, totals=totals, **past(airline))
        assert decision.effect is effect


def test_a_tool_of_the_clients_own_is_asked_for_likewise_and_stays_denied_where_it_is(airline, bench_of):
    own = pay(airline, client_tool=True)
    for word in ("allow", "confirm"):
        bench = bench_of(interaction=f"turn_rules: {{client_tools: {word}}}")
        decision = bench.ask(own, gate=Gate.ACTION, **past(airline))
        assert decision.effect is Effect.CONFIRM
        assert decision.read_back.text == f"{WORDS} I am about to use pay. Shall I go ahead?"
        assert decision.read_back.once_more == WORDS
    assert bench_of().ask(own, gate=Gate.ACTION, **past(airline)).effect is Effect.DENY


def test_the_message_is_looked_through_as_the_view_is(airline, bench_of):
    action = pay(airline)
    bench = bench_of(actions=PAY)
    message = pb.DecideRequest(
        decision_id="dec_1",
        gate=pb.GATE_ACTION,
        tenant="local",
        bundle_digest=bench.bundle.digest,
        session=pb.SessionView(session_id="sess_1"),
        action=pb.ActionSubject(
            action_id="act_1",
            tool="pay",
            arguments_json=action.arguments_json,
            arguments_digest=action.arguments_digest,
            side_effect=pb.SIDE_EFFECT_WRITE,
        ),
    )
    message.now.FromMilliseconds(airline.now_ms)
    for action_id, status, repeats in (
        ("act_0", "failed", False),
        ("act_1", "ok", False),
        ("act_0", "ok", True),
    ):
        message.session.actions.add(
            action_id=action_id, tool="pay", status=status, arguments_json=action.arguments_json
        )
        request = decide_request(message)
        assert request.session.done_like(request.subject) is repeats
    response = decide_response(request, bench.ask(action, gate=Gate.ACTION, **past(airline)), None)
    assert (response.read_back.once_more, response.done_already) == (WORDS, False)


def test_a_bundles_own_tests_can_ask_for_it(bench_of):
    case = """
cases:
  - name: once more
    gate: action
    action: pay
    args: {amount: 5, to: Anna Smith}
    session: {actions: [{tool: pay, args: {amount: 5, to: Anna Smith}}]}
    expect: {effect: confirm, rule: once-more}
  - name: agreed
    gate: action
    action: pay
    args: {amount: 5, to: Anna Smith}
    consented: true
    session: {actions: [{tool: pay, args: {amount: 5, to: Anna Smith}}]}
    expect: {effect: allow}
"""
    book = run_cases(
        bench_of(actions=PAY).bundle, {"tests/again.yaml": case.encode()}, renderer=lambda value, *_: value
    )
    assert not book.failed, [result.problem for result in book.failed]


def reading(utterance, **more):
    question = ConsentQuestion(
        read_back=f"{WORDS} {ASKED}",
        utterance=utterance,
        bound_values=(BoundValue("once_more", WORDS, "text"), BoundValue("amount", "5", "number")),
        side_effect=SideEffect.IRREVERSIBLE,
        **({"confidence": 0.95, "confidence_min": 0.6} | more),
    )
    return read_consent(question, contains=lambda *args: contains_value(*args) is not None).reading


@pytest.mark.parametrize(
    "utterance",
    [
        *("Yes.", "Yes, please.", "Go ahead.", "Yes, once more.", "Yes, again.", "Yes, do it again."),
        *("Yes, one more time.", "Yes, a second time please.", "Sure, once again."),
    ],
)
def test_a_plain_yes_or_one_that_says_again_is_a_yes(utterance):
    assert reading(utterance) is Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        *(
            "It's already done.",
            "Yes, it was already done.",
            "Okay, already done, good.",
            "Good, it was done.",
        ),
        *("Yes, that was done already.", "Yes, you did that.", "Right, that happened before.", "Okay, done."),
        *("Already done, yes.", "Yes, it went through."),
        *(
            "Once more.",
            "Once more, please.",
            "Again?",
            "Say that again.",
            "Can you say that again?",
            "Come again?",
        ),
        *(
            "No.",
            "No, not again.",
            "Not again!",
            "No, not once more.",
            "Please don't do it again.",
            "No more.",
        ),
        *("Was it done?", "Why again?", "Yes? Why again?", "Yes, twice.", "Yes, six.", ""),
    ],
)
def test_who_only_says_that_it_was_done_or_asks_to_hear_it_again_does_not_agree(utterance):
    assert reading(utterance) is not Reading.YES


def test_with_unknown_confidence_a_value_must_be_repeated_and_not_these_words():
    unknown = {"confidence": None, "without_confidence": "repeat_value"}
    assert reading("Yes.", **unknown) is Reading.UNCLEAR
    assert reading(f"Yes, {WORDS} yes.", **unknown) is not Reading.YES
    assert reading("Yes, 5.", **unknown) is Reading.YES
