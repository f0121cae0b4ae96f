"""A yes that is written badly or says more than yes is one still; what only looks like it is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_policy.adapters.spoken_values import says_value
from ringback_policy.domain.consent import ConsentQuestion, read_consent
from ringback_policy.domain.vocabulary import Reading, SideEffect

READ_BACK = "Please confirm: I will book 2 tickets for the bus from Fresno to Anaheim on March 3rd at 9 am."


def reading(utterance, side_effect=SideEffect.WRITE):
    question = ConsentQuestion(READ_BACK, utterance, 0.9, side_effect=side_effect, confidence_min=0.6)
    return read_consent(question, contains=says_value).reading


@pytest.mark.parametrize(
    "utterance",
    [
        "yes , that ' s right .",
        "it 's fine",
        "that s right",
        "Yesss pleaseee",
        "yest, that isgood",
        "comfirm please",
        "that souns good",
        "plese do, thnks",
        "i m happy with that",
    ],
)
def test_slips_of_the_hand_leave_a_yes_what_it_was(utterance):
    assert reading(utterance) is Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        "yes , do n ' t",
        "yes don t",
        "i can t",
        "the suite please",
        "supper",
        "yes, to Greta",
        "yes, for stella",
        "insure it",
        "that is ncorrect",
        "notgood",
        "nooo",
        "yes, yeast",
    ],
)
def test_what_is_spelt_like_a_yes_is_none(utterance):
    assert reading(utterance) is not Reading.YES


@given(
    refusal=st.sampled_from(
        ["no", "not that", "never", "that is wrong", "stop", "don't", "that is incorrect", "i do not want it"]
    ),
    at=st.integers(min_value=0, max_value=16),
    yes=st.sampled_from(["", "yes, ", "okay ", "sure. "]),
)
@settings(max_examples=200, deadline=None)
def test_a_refusal_with_a_letter_lost_never_becomes_a_yes(refusal, at, yes):
    slipped = refusal[:at] + refusal[at + 1 :]
    # Without any of its letters there is no refusal left to hear.
    if len(slipped.strip()) > 1:
        assert reading(f"{yes}{slipped}") is not Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        "Yes. That sounds shipshape.",
        "Perfect, you are a lifesaver.",
        "Sure. That rocks.",
        "Yes, I think they will love it.",
        "Yes. It is insanely good.",
        "Okay, I am fine with this setup.",
        "Yes, proceed onward.",
    ],
)
def test_a_remark_beside_a_yes_leaves_it_one(utterance):
    assert reading(utterance) is Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        "That rocks.",
        "You are a lifesaver.",
        "Yes. That sounds expensive.",
        "Yes, you are joking.",
        "Yes, I hate that.",
        "Yes. I have just thought of it.",
        "Yes, I sent it already.",
        "Yes. That is vegan.",
        "Yes, that looks like three tickets.",
        "Yes, but that rocks more.",
        "Yes, reluctantly.",
        "Yes, I think they will hate it.",
    ],
)
def test_a_remark_alone_or_with_a_fault_in_it_is_no_yes(utterance):
    assert reading(utterance) is not Reading.YES


def test_before_what_cannot_be_undone_a_remark_is_one_word_too_many():
    assert reading("Yes. That sounds shipshape.", SideEffect.IRREVERSIBLE) is Reading.UNCLEAR
    assert reading("Yes.", SideEffect.IRREVERSIBLE) is Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        "Yes, that's right. At what hour does the counter shut?",
        "Perfect. I was also wondering which side it is on.",
        "Yes. Can I call them?",
        "Yes. When did it drop?",
        "Sure, can you forward their number?",
        "Yes. What is the address? I don't have the address.",
        "Yes, is it not too far?",
        "Yes. I need their number for my records.",
        "Yes, but are the tickets refundable?",
        "Yes. What about drinks?",
    ],
)
def test_a_request_to_be_told_beside_a_yes_leaves_it_one(utterance):
    assert reading(utterance) is Reading.YES
    assert reading(utterance, SideEffect.IRREVERSIBLE) is Reading.UNCLEAR


@pytest.mark.parametrize(
    "utterance",
    [
        "Yes. Can I take the earlier bus?",
        "Yes, find their best seat.",
        "Yes. Can you give it to her?",
        "Yes, I was wondering if we should.",
        "Yes. At what time can you move it?",
        "Yes, in case there is a window seat.",
        "Yes. I don't have their number.",
        "Yes, but which tickets are these?",
        "Yes, but do the tickets leave from Hull?",
        "Yes. What about a window?",
        "Yes. What about the mill?",
        "What about drinks?",
        "Please confirm the number.",
        "Yes. Is it not right?",
    ],
)
def test_a_request_for_more_than_to_be_told_is_no_yes(utterance):
    assert reading(utterance) is not Reading.YES


@pytest.mark.parametrize(
    "utterance", ["Yes, I would prefer it from Fresno.", "Yes, a ticket to Anaheim at 9 am."]
)
def test_what_was_read_back_may_be_said_again_by_its_kind(utterance):
    assert reading(utterance) is Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        "Yes, I would prefer it from Anaheim.",
        "Yes, a ticket to Hull.",
        "Yes, a seat by the window.",
        "Yes, 2 rooms.",
        "Yes, the train to Anaheim.",
        "Yes, I would prefer it at 10 am.",
    ],
)
def test_what_is_said_again_otherwise_is_no_yes(utterance):
    assert reading(utterance) is not Reading.YES


@pytest.mark.parametrize(
    ("read_back", "utterance"),
    [
        ("You want 3 tickets to the match in Leeds. Is that right?", "Yes. Make that one ticket."),
        ("You want 3 tickets to the match in Leeds. Is that right?", "Yes, the one ticket"),
        ("One room at the Mill for 2 days. Is that right?", "Yes. I would like two rooms."),
    ],
)
def test_another_count_of_the_same_thing_is_never_a_yes(read_back, utterance):
    question = ConsentQuestion(read_back, utterance, 0.9)
    assert read_consent(question, contains=says_value).reading is not Reading.YES


def test_that_one_still_stands_for_the_thing():
    assert reading("Yes, that one works.") is Reading.YES
    assert reading("Yes, that one please.") is Reading.YES
