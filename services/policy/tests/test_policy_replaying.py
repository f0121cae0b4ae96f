"""What a replay diff takes for laxer: what a caller was kept from, or had to hear, and no longer is or must."""

import pytest
from ringback_policy.domain.replaying import diff
from ringback_policy.domain.subjects import ResultSubject, SpeechSubject, UtteranceSubject
from ringback_policy.domain.vocabulary import Gate

LOOK = "{gate: action, action: look, on_error: deny, "
FACT = "facts:\n  order: {tool: get_order}\n"


def spoken(value, kind, currency):
    return value


def rules(*entries, facts=""):
    return f"{facts}rules:\n" + "".join(f"  - {entry}\n" for entry in entries)


def compared(bench_of, before, after, subject, gate, *, layer="domain"):
    """(changed, laxer) over one question, from the first bundle to the second."""
    first, second = bench_of(**{layer: before}), bench_of(**{layer: after})
    found = diff(first.bundle, second.bundle, [first.request(subject, gate=gate)], renderer=spoken)
    assert found.questions == 1
    return len(found.changes), found.laxer


def both_ways(bench_of, one, other, subject, gate, *, layer="domain"):
    return (
        compared(bench_of, one, other, subject, gate, layer=layer),
        compared(bench_of, other, one, subject, gate, layer=layer),
    )


def test_what_can_no_longer_be_told_from_the_recording_counts_as_laxer(airline, bench_of):
    decided = rules(LOOK + "id: r, when: session.turn > 5, effect: deny}")
    needing = rules(LOOK + "id: r, when: facts.order.x, effect: deny}", facts=FACT)
    look = airline.action("look", {})
    assert both_ways(bench_of, decided, needing, look, Gate.ACTION) == ((1, 1), (1, 1))
    assert compared(bench_of, needing, needing, look, Gate.ACTION) == (0, 0)


@pytest.mark.parametrize(
    ("stricter", "laxer"),
    [
        ("words_max: 5", "words_max: 9"),
        ("words_max: 5", "restate: false"),
        ("restate: true", "restate: false"),
        ("forbid_irreversible: true", "restate: false"),
        ("words_max: 5, restate: true", "words_max: 5"),
    ],
)
def test_an_obligation_that_falls_away_is_laxer_and_a_new_one_is_not(bench_of, stricter, laxer):
    one, other = (rules(f"{{id: r, gate: input, effect: allow, {fields}}}") for fields in (stricter, laxer))
    heard = UtteranceSubject("hello", 0.9)
    assert both_ways(bench_of, one, other, heard, Gate.INPUT) == ((1, 1), (0, 0))


def test_personal_data_that_is_no_longer_taken_out_is_laxer(bench_of):
    both, one = (f"redact: [{{gate: output, kinds: [{kinds}]}}]\n" for kinds in ("email, card", "email"))
    said = SpeechSubject("Write to ann@shop.example about 4111 1111 1111 1111.")
    assert both_ways(bench_of, both, one, said, Gate.OUTPUT, layer="safety") == ((1, 1), (0, 0))


def test_a_caller_who_is_no_longer_passed_on_is_laxer(bench_of):
    phrase = "phrases: [{{id: p, gate: result, effect: allow, phrases: [danger]{more}}}]\n"
    passed, kept = phrase.format(more=", escalate: danger"), phrase.format(more="")
    result = ResultSubject("act_1", "look", '"danger"')
    assert both_ways(bench_of, passed, kept, result, Gate.RESULT, layer="safety") == ((1, 1), (0, 0))


def test_what_a_yes_must_no_longer_cover_is_laxer(bench_of, airline):
    consent = "{template: 'Look at {args.x}?', must_contain: [{value: args.x, kind: text}]}"
    files = {"actions": f"actions: {{look: {{consent: {consent}}}}}\n"}
    asks = "{id: r, gate: action, action: look, effect: confirm"
    one, other = rules(asks + ", states: It costs money.}"), rules(asks + "}")
    look = airline.action("look", {"x": "a"})
    first, second = bench_of(domain=one, **files), bench_of(domain=other, **files)
    for before, after, expected in ((first, second, 1), (second, first, 0)):
        request = before.request(look, gate=Gate.ACTION)
        assert diff(before.bundle, after.bundle, [request], renderer=spoken).laxer == expected
