"""How answers to a read-back read."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_policy.adapters.spoken_values import says_value
from ringback_policy.domain.consent import ConsentQuestion, read_consent
from ringback_policy.domain.subjects import BoundValue
from ringback_policy.domain.vocabulary import Reading, SideEffect
from ringback_policy.usecases.contrasts import contrasts

READ_BACK = (
    "I will cancel reservation four eight two, nine one five, Boston to Denver on December fourth, and refund "
    "two hundred forty dollars to the card you paid with. This cannot be undone. Shall I go ahead?"
)
BOUND = (BoundValue("reservation_id", "482915", "id"), BoundValue("amount", "240", "money"))


def answer(utterance, *, confidence=0.9, side_effect=SideEffect.IRREVERSIBLE, read_back=READ_BACK, **more):
    question = ConsentQuestion(
        read_back=read_back,
        utterance=utterance,
        confidence=confidence,
        bound_values=BOUND,
        side_effect=side_effect,
        confidence_min=0.6,
        **more,
    )
    return read_consent(question, contains=says_value)


def reading(utterance, **more):
    return answer(utterance, **more).reading


YES = """yes|yes please|yes go ahead|go ahead|yeah do it|sure, go ahead and cancel it|yes, cancel it|okay|
okay do it|correct|yes please cancel my reservation|yep that's right|I confirm|
yes I confirm the cancellation|yes, cancel 482915|absolutely|yes four eight two nine one five|um yes|
uh, yeah, go ahead please|please do|of course|sounds good thank you|I'm sure|do it|
yes that's fine go ahead and cancel it please|yes I am sure|yes, refund it to my card|yes you may|
yes, Boston to Denver|yes I would like to cancel it|yess please|yep thats rite|yes, go on|
yes I understand, go ahead|proceed please|you have my permission|Yes. Go ahead. Thank you.|
no problem, go ahead|why not, go ahead|yes for sure|Yes, refund the 240 dollars"""

NO = """no|no thanks|nope|don't|don't do it|please don't|stop|never mind|forget it|I changed my mind|
no, leave it|absolutely not|not anymore|no way|I don't want that|do not cancel it|no don't cancel it|nah|
know|that is not right|I'd rather not"""

UNCLEAR = """hold on, which card does it go to?|which card does it go to?|yes, but which card does it go to?|wait|
is it refundable?|yes, which card does it go to?|how long does the refund take|yes if it is free|maybe|
I think so|I guess so|probably|not sure|yes I think so|I don't know|let me think|hmm|uh|what?|sorry?|
pardon|can you repeat that|yes?|okay?|mm-hmm|yes no|yeah no|no yes|yes wait|only if I get it all back|
someone is at the door|i am sorry|my name is Maria|yes I want to talk to a person|did I say yes?|is that okay?|
okay so what happens then|right, so what about the card|as long as I get the money back|actually|thanks|
i'm good|I need to confirm with my husband|please confirm the amount|eyes|cancel that|great question|
are you sure|"""

CORRECTION = """yes but make it 731604|yes, reservation 482916|yes, four eight two nine one six|yes on december fifth|
yes but refund three hundred dollars|change it to the fifth|make it tomorrow|yes for 2 people|
no, reservation 731604|send it to my paypal instead|yes to denver on monday|Actually, make it the fifth"""


def phrases(text):
    return text.replace("\n", "").split("|")


@pytest.mark.parametrize("utterance", phrases(YES))
def test_a_plain_yes_is_a_yes(utterance):
    assert reading(utterance) is Reading.YES


@pytest.mark.parametrize("utterance", phrases(NO))
def test_a_refusal_is_never_a_yes(utterance):
    assert reading(utterance) in (Reading.NO, Reading.CORRECTION)


@pytest.mark.parametrize("utterance", phrases(UNCLEAR))
def test_a_question_a_hedge_or_noise_is_unclear(utterance):
    assert reading(utterance) is Reading.UNCLEAR


@pytest.mark.parametrize("utterance", phrases(CORRECTION))
def test_a_changed_value_is_a_correction_also_with_a_yes(utterance):
    assert reading(utterance) is Reading.CORRECTION


def test_a_correction_says_what_changed_where_it_can_be_read():
    found = answer("yes but refund three hundred dollars")
    assert [(value.name, value.value, value.kind) for value in found.corrections] == [
        ("amount", "$300.00", "money")
    ]


def test_what_can_be_undone_asks_for_less():
    assert reading("Yes. What's their phone number?", side_effect=SideEffect.WRITE) is Reading.YES
    assert reading("Yes. What's their phone number?", side_effect=SideEffect.IRREVERSIBLE) is Reading.UNCLEAR
    assert reading("thank you", side_effect=SideEffect.WRITE) is Reading.YES
    assert reading("please", side_effect=SideEffect.WRITE) is Reading.YES
    assert reading("please", side_effect=SideEffect.IRREVERSIBLE) is Reading.UNCLEAR
    assert reading("yes, but which card does it go to?", side_effect=SideEffect.WRITE) is Reading.UNCLEAR


@pytest.mark.parametrize("confidence", [0.59, 0.0, -1.0, float("nan")])
def test_low_confidence_never_gives_a_yes(confidence):
    assert reading("yes", confidence=confidence) is Reading.UNCLEAR


def test_an_unknown_confidence_needs_a_repeated_value_for_what_cannot_be_undone():
    assert reading("yes", confidence=None) is Reading.UNCLEAR
    assert reading("yes, four eight two nine one five", confidence=None) is Reading.YES
    assert reading("yes, the two hundred forty dollars", confidence=None) is Reading.YES
    assert reading("yes", confidence=None, side_effect=SideEffect.WRITE) is Reading.YES
    unclear = {"confidence": None, "without_confidence": "unclear"}
    assert reading("yes, four eight two nine one five", **unclear) is Reading.UNCLEAR
    assert reading("no", **unclear) is Reading.NO


def test_an_endless_answer_is_unclear():
    assert reading("yes " * 200) is Reading.UNCLEAR
    assert reading("yes " * 300_000) is Reading.UNCLEAR


@pytest.mark.parametrize("utterance", ["", "   ", "…", "?!", "\x00", "是的", "ja", "🙂"])
def test_what_is_no_english_word_is_unclear(utterance):
    assert reading(utterance) is Reading.UNCLEAR


AFFIRMATIONS = [
    "yes",
    "yeah",
    "sure",
    "okay",
    "that's right",
    "yes please",
    "correct",
    "go ahead",
    "sounds good",
    "perfect",
]


@given(
    yes=st.sampled_from(AFFIRMATIONS),
    number=st.integers(min_value=0, max_value=999_999),
    form=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_a_number_that_was_not_read_back_is_never_a_yes(yes, number, form):
    # Suffixes of the read-back's own numbers count as naming them.
    if any(str(number) in held or held.endswith(str(number)) for held in ("482915", "240", "4")):
        return
    words = [f"{yes}, {number}", f"{yes} for {number}", f"{yes} but {number} please", f"{number}, {yes}"]
    for side_effect in SideEffect:
        assert reading(words[form], side_effect=side_effect) is not Reading.YES


@given(
    yes=st.sampled_from(AFFIRMATIONS),
    no=st.sampled_from(["no", "don't", "not that", "never", "I do not want it", "stop"]),
)
@settings(max_examples=80, deadline=None)
def test_a_negation_flips_a_yes_before_and_after_it(yes, no):
    for text in (f"{yes} {no}", f"{no} {yes}", f"{yes}. {no}.", f"{no}, {yes}"):
        if re.sub(r"[^a-z ]", "", text.lower()) != "never mind":
            assert reading(text) is not Reading.YES


@given(text=st.text(max_size=80), read_back=st.text(max_size=80))
@settings(max_examples=150, deadline=None)
def test_any_text_reads_without_an_error_and_the_same_each_time(text, read_back):
    assert answer(text, read_back=read_back) == answer(text, read_back=read_back)


@given(text=st.text(max_size=60), confidence=st.floats(max_value=0.5999) | st.just(float("nan")))
@settings(max_examples=100, deadline=None)
def test_no_text_at_all_is_a_yes_at_low_confidence(text, confidence):
    assert reading(text, confidence=confidence) is not Reading.YES
    assert reading(f"yes {text}", confidence=confidence) is not Reading.YES


FAMILIES = {}
for made in contrasts():
    FAMILIES.setdefault(made.family, []).append(made)


def test_the_contrast_set_is_large():
    assert sum(map(len, FAMILIES.values())) >= 2_000


@pytest.mark.parametrize("family", FAMILIES)
def test_contrasts_read_as_they_should(family):
    made = FAMILIES[family]
    read = [
        read_consent(
            ConsentQuestion(m.read_back, m.utterance, 0.9, m.bound_values, m.side_effect, 0.6),
            contains=says_value,
        ).reading
        for m in made
    ]
    wrong = [m.utterance for m, found in zip(made, read, strict=True) if found not in m.allowed]
    allowed = len(made) * 0.025 if made[0].allowed == {Reading.YES} else 0
    assert len(wrong) <= allowed, wrong[:10]


AFFIRMING = [made for family in FAMILIES.values() for made in family if made.allowed == {Reading.YES}]


def contrasted(made, utterance, confidence=0.9):
    question = ConsentQuestion(
        made.read_back, utterance, confidence, made.bound_values, made.side_effect, 0.6
    )
    return read_consent(question, contains=says_value).reading


@given(made=st.sampled_from(AFFIRMING), number=st.integers(min_value=5_000, max_value=99_999))
@settings(max_examples=150, deadline=None)
def test_whatever_is_said_beside_a_yes_another_number_makes_it_none(made, number):
    for text in (
        f"{made.utterance} for {number}",
        f"{made.utterance}. {number}",
        f"{number}. {made.utterance}",
    ):
        assert contrasted(made, text) is not Reading.YES


@given(
    made=st.sampled_from(AFFIRMING), no=st.sampled_from(["no", "don't do it", "not that", "stop", "i refuse"])
)
@settings(max_examples=150, deadline=None)
def test_whatever_is_said_beside_a_yes_a_negation_takes_it_back(made, no):
    for text in (f"{made.utterance}. {no}.", f"{no}. {made.utterance}"):
        assert contrasted(made, text) is not Reading.YES


@given(made=st.sampled_from(AFFIRMING), confidence=st.floats(max_value=0.5999) | st.just(float("nan")))
@settings(max_examples=100, deadline=None)
def test_whatever_is_said_beside_a_yes_low_confidence_makes_it_none(made, confidence):
    assert contrasted(made, made.utterance, confidence) is not Reading.YES


def test_public_read_backs_without_any_signs_give_no_false_yes(shared_data):
    lines = (shared_data / "sgd" / "consent_dev.jsonl").read_text().splitlines()
    refusals = [row for row in map(json.loads, lines) if row["label"] == "negate"]
    bare = [(row["assistant"], " ".join(re.findall(r"[a-z0-9']+", row["user"].lower()))) for row in refusals]
    read = [
        read_consent(ConsentQuestion(read_back=a, utterance=u), contains=says_value).reading for a, u in bare
    ]
    assert read.count(Reading.YES) == 0


def test_public_read_backs_are_read_within_the_goal(shared_data):
    lines = (shared_data / "sgd" / "consent_dev.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    read = {"affirm": [], "negate": []}
    for row in rows:
        question = ConsentQuestion(read_back=row["assistant"], utterance=row["user"])
        read[row["label"]].append(read_consent(question, contains=says_value).reading)
    assert read["negate"].count(Reading.YES) <= 0.002 * len(read["negate"])
    assert read["affirm"].count(Reading.YES) >= 0.975 * len(read["affirm"])
