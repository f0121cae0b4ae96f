"""What a "no" in the read-back does to the reading of an answer, and what counts as said again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_policy.adapters.spoken_values import says_value
from ringback_policy.domain.consent import ConsentQuestion, read_consent
from ringback_policy.domain.vocabulary import Reading

BUS = (
    "You want two seats on the bus from Leeds to York on March 3rd at 9 am, without insurance. Is that right?"
)
RIDE = "Ordering a luxury ride for two people to the museum at 7 pm."


def reading(read_back, utterance):
    return read_consent(
        ConsentQuestion(read_back=read_back, utterance=utterance), contains=says_value
    ).reading


@pytest.mark.parametrize("before", ["No problem. ", "Not a problem, ", "Never mind that. ", "No worries: "])
@pytest.mark.parametrize(
    "refusal", ["No.", "No thanks", "no thank you", "It is no good", "No, it's ok", "not that"]
)
def test_a_no_of_the_read_back_excuses_no_other_no(before, refusal):
    assert reading(before + RIDE, refusal) is not Reading.YES


@pytest.mark.parametrize(
    "wish", ["with insurance", "I do need insurance", "insurance please", "can I get insurance"]
)
@pytest.mark.parametrize("yes", ["", "yes ", "Sure, ", "That's right, but "])
def test_what_the_read_back_denies_cannot_be_affirmed(yes, wish):
    assert reading(BUS, yes + wish) is not Reading.YES


@pytest.mark.parametrize(
    "again", ["no insurance", "without insurance", "I don't need insurance", "no insurance needed"]
)
def test_what_the_read_back_denies_can_be_denied_again(again):
    assert reading(BUS, f"Yes, {again}.") is Reading.YES


def test_a_no_before_other_words_does_not_repeat_the_read_backs():
    assert reading(BUS, "no i do want insurance") is not Reading.YES
    assert reading("Playing Bad Moon on the radio.", "Yes, play Bad Moon") is Reading.YES


@pytest.mark.parametrize(
    "asked",
    [
        "can you do it from my other card",
        "could you find a table at the mill",
        "would you mind changing the seat",
        "can you change the name",
        "i want a shared one",
        "just the one",
        "i will be at work then",
        "do you have anything closer",
    ],
)
def test_a_yes_with_something_else_to_be_done_is_no_yes(asked):
    assert reading(RIDE, asked) is not Reading.YES
    assert reading(RIDE, f"yes {asked}") is not Reading.YES


@pytest.mark.parametrize(
    "told",
    [
        "what is left after that?",
        "how long until it arrives?",
        "do they make vegetarian meals?",
        "will I have to change trains?",
        "can you smoke there?",
        "can you tell me a number I can use?",
    ],
)
def test_a_yes_with_a_question_that_asks_for_nothing_more_is_a_yes(told):
    assert reading(RIDE, f"Yes, please. {told}") is Reading.YES


@pytest.mark.parametrize(
    "again", ["seven o'clock is fine", "two people", "we need two", "that time works for me"]
)
def test_values_and_things_said_again_in_other_words_are_still_the_same(again):
    assert reading(RIDE, f"Yes, {again}.") is Reading.YES


def test_the_ends_of_a_transfer_cannot_be_swapped():
    read_back = "Transferring $650 from checking to the savings account of Nadia."
    assert reading(read_back, "Yes, to her checking account") is Reading.CORRECTION
    assert reading(read_back, "Yes, from savings") is Reading.CORRECTION
    assert reading(read_back, "Yes, to savings") is Reading.YES


@given(
    st.sampled_from(["no", "not", "without", "never", "wrong"]),
    st.sampled_from(["", "yes ", "sure, ", "thanks, "]),
)
def test_a_refusing_word_before_something_read_back_as_agreed_is_never_a_yes(word, yes):
    for thing in ("ride", "museum", "luxury ride", "people"):
        assert reading(RIDE, f"{yes}{word} {thing}") is not Reading.YES
