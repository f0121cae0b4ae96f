"""What is said beside an answer: it changes nothing, and never makes a yes of what is none."""

import pytest
from ringback_policy.adapters.spoken_values import says_value
from ringback_policy.domain.consent import ConsentQuestion, read_consent
from ringback_policy.domain.vocabulary import Reading, SideEffect

READ_BACK = "Please confirm: I will book 2 tickets for the bus from Fresno to Anaheim on March 3rd at 9 am."


def reading(utterance, side_effect=SideEffect.WRITE):
    return read_consent(
        ConsentQuestion(READ_BACK, utterance, 0.9, side_effect=side_effect, confidence_min=0.6),
        contains=says_value,
    ).reading


@pytest.mark.parametrize(
    "utterance",
    [
        "Yes. Does the bus have one transfer?",
        "Yes, that's right. Do you know if the bus has 2 stops?",
        "Perfect. Is that line from 2016?",
        "Okay. While you book it, can you tell me their phone number?",
        "Yes please. She will love it.",
        "Great, they are going to be so happy.",
        "You got every detail.",
    ],
)
def test_an_aside_beside_a_yes_leaves_it_one(utterance):
    assert reading(utterance) is Reading.YES


@pytest.mark.parametrize(
    "utterance",
    [
        "Yes. Is it for 3 adults?",
        "Yes, does it leave at 10 am?",
        "Yes. Are there 4 tickets?",
        "Yes. Does the booking have 3 tickets?",
        "Yes. Is it in April?",
        "While you book it.",
        "She will love it.",
        "Okay. While you cancel it, wait.",
        "Yes. While you change the date, what is the fare?",
        "Yes. She will not like it.",
        "Yes. They will be late.",
        "You got every detail wrong.",
        "Yes, but make it one that has 3 stops",
        "Yes, I want one from 2016",
    ],
)
def test_what_only_looks_like_an_aside_is_no_yes(utterance):
    assert reading(utterance) is not Reading.YES


def test_before_what_cannot_be_undone_a_question_still_waits_for_its_answer():
    assert reading("Yes. Does the bus have one transfer?", SideEffect.IRREVERSIBLE) is Reading.UNCLEAR
