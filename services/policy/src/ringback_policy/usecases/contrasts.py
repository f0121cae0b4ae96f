"""Owns the contrast set: made answers that differ from a plain yes by little, and how they may be read.

Written from what people do besides saying yes (change, ask, hedge, negate, slip), not from recorded answers.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ringback_policy.domain.subjects import BoundValue
from ringback_policy.domain.vocabulary import Reading, SideEffect
from ringback_policy.usecases.contrasts_beside import answered_beside

__all__ = ["Contrast", "contrasts"]


class Contrast(msgspec.Struct, frozen=True):
    """One made answer, what it answers, and the readings that are right."""

    family: str
    read_back: str
    utterance: str
    side_effect: SideEffect
    allowed: frozenset[Reading]
    bound_values: tuple[BoundValue, ...] = ()


def contrasts() -> Iterator[Contrast]:
    """All of them, always in the same order."""
    for family, (utterances, allowed) in _FAMILIES.items():
        for utterance in utterances:
            yield Contrast(
                family, _CANCEL, utterance, SideEffect.IRREVERSIBLE, frozenset(allowed), _CANCEL_BOUND
            )
    for (family, tails), read_back in itertools.product(_REVERSIBLE.items(), _READ_BACKS):
        for utterance in _cross(_YES, tails):
            yield Contrast(
                f"reversible: {family}", read_back, utterance, SideEffect.WRITE, frozenset(_NO_YES)
            )

    answered = _ANSWERED | answered_beside(_READ_BACKS, _YES)
    for family, (read_backs, answers, readings) in answered.items():
        for read_back, utterance in itertools.product(read_backs, answers):
            yield Contrast(
                f"reversible: {family}", read_back, utterance, SideEffect.WRITE, frozenset(readings)
            )


def _said(text: str) -> Sequence[str]:
    return text.split("|")


def _cross(*parts: Sequence[str]) -> list[str]:
    return [" ".join(words).replace(" ,", ",") for words in itertools.product(*parts)]


_CANCEL = (
    "I will cancel reservation four eight two, nine one five, Boston to Denver on December fourth, and refund "
    "two hundred forty dollars to the card you paid with. This cannot be undone. Shall I go ahead?"
)
_CANCEL_BOUND = (BoundValue("reservation_id", "482915", "id"), BoundValue("amount", "240", "money"))
_READ_BACKS = (
    "Please confirm: a table for two people at the Corner House in Leeds at 7 pm today.",
    "I will send $500 from your checking account to the savings account of Maria. Is that right?",
    "So that is the bus from Leeds to York on March 3rd at 9 am, two seats in economy?",
)
_YES = ("yes", "okay", "sure", "that's right", "sounds good", "yes,", "yeah.")
_NO_YES = (Reading.NO, Reading.CORRECTION, Reading.UNCLEAR)
# After a yes, with signs and without: each of these takes it back, or makes it depend on something.
_REVERSIBLE: dict[str, Sequence[str]] = {
    "another one": (
        "i want a different time",
        "is there another day",
        "what other times are there",
        "do you have anything cheaper",
        "are there any other places",
        "can we make it earlier",
        "could i get a later one",
        "is something closer available",
        "which other dates are there",
        "show me the alternatives",
        "do you have anything by the sea",
        "let me have the business fare",
        "give me the window seat",
        "what about the price? can you lower it",
        "what about friday?",
        "is it for four people?",
    ),
    "something more": (
        "can we get a booth",
        "could it be outdoors",
        "can you add my wife",
        "can you include breakfast",
        "i will need a wheelchair",
        "can you call me back",
    ),
    "only after something": (
        "tell me the price before you do it",
        "check whether it is open and then book",
        "first tell me the address",
        "once you tell me the price",
        "if pets are allowed",
        "only if it is refundable",
        "when my husband agrees",
        "let me ask my wife",
        "after i hear the price",
        "unless it costs extra",
    ),
    "something done": (
        "can you do it from my other card",
        "could you find a table at the mill",
        "can i leave from hull",
        "can you change the name",
        "would you mind changing the seat",
        "could you get me a bigger one",
        "i would like the flexible fare",
        "i want a shared one",
        "just the one",
        "but i will be at work then",
    ),
    "it is wrong": (
        "but the time is wrong",
        "except the name",
        "the date should be friday",
        "but for eleven people",
        "that is too expensive",
        "that is too late",
        "not today",
        "but not yet",
        "but tomorrow",
        "make it half past eight",
        "in manchester instead",
        "the other one",
    ),
}
# Of what denies something, it may be denied again, and a "no" in it excuses no other "no".
_INSURANCE = (
    "Your rental: a small car from March 2nd to March 4th in York, without insurance. Is that right?",
    "No problem. So that is two seats on the bus to Leeds, no insurance, at 9 am?",
    "To confirm, you do not want insurance for the trip to Hull on March 3rd.",
)
_ANSWERED: dict[str, tuple[Sequence[str], Sequence[str], Iterable[Reading]]] = {
    "what was denied is wanted": (
        _INSURANCE,
        _cross(
            ["", *_YES],
            _said(
                "with insurance|insurance please|but with insurance|and add insurance|"
                "i want insurance|i do need insurance|i would like to have insurance|"
                "can i get insurance|including the insurance"
            ),
        ),
        _NO_YES,
    ),
    "a no that repeats none": (
        (*_INSURANCE, *(f"No problem. {read_back}" for read_back in _READ_BACKS)),
        (
            "no",
            "no thanks",
            "no thank you",
            "no, thank you",
            "no good",
            "that is no good",
            "not that",
            "not good",
            "it is not right",
            "no it's okay",
            "no please",
            "sorry no",
            "yes, not the bus",
            "sure, no seats",
            "okay no march",
            "never mind, thanks",
        ),
        _NO_YES,
    ),
    "denied again": (
        _INSURANCE,
        _cross(
            ["yes", "okay", "sure", "that's right", "yeah."],
            [
                "no insurance",
                "without insurance",
                "i don't need insurance",
                "no insurance please",
                "no insurance is fine",
            ],
        ),
        {Reading.YES},
    ),
    "no need of it": (
        (
            "Your rental: a small car from March 2nd to March 4th in York, with insurance. Is that right?",
            "So that is two seats on the bus to Leeds, with insurance, at 9 am?",
        ),
        _cross(
            ["", *_YES],
            [
                "no need for insurance",
                "no need for the insurance",
                "no need of any insurance",
                "but there is no need for insurance",
            ],
        ),
        _NO_YES,
    ),
    "another kind of thing": (
        (_READ_BACKS[2], "A flight from Leeds to Cork on March 3rd at 9 am for two. Is that right?"),
        _cross(
            ["yes", "okay", "great", "sure,"],
            ["book the train", "that train is fine", "that taxi works", "play the song", "take the train"],
        ),
        _NO_YES,
    ),
    "sorry": (
        _READ_BACKS,
        ("i am sorry", "i'm sorry", "so sorry", "sorry for that", "oh i am sorry"),
        _NO_YES,
    ),
    "asked to be told beside it": (
        _READ_BACKS,
        _cross(
            ["yes that's right.", "perfect,", "yeah that works."],
            _said(
                "find me the address please|i just need their address|"
                "what about the price range?|do you know if they play music?|"
                "can they serve children?|how long is the wait?|"
                "how long until the driver gets there?|was it opened in '13?|"
                "does it have one stop?|i wanted to ask, is it quiet?"
            ),
        ),
        {Reading.YES},
    ),
    "said in other words": (
        _READ_BACKS,
        _said(
            "deal|that sounds like a plan|exactly as i said|that is what i was looking for|"
            "i will take it|you heard me right|that all checks out|confirm the same|"
            "yes, proceed further|sorry for the confusion, yes|i see, that works"
        ),
        {Reading.YES},
    ),
    "by the name of its kind": (
        (_READ_BACKS[0], _READ_BACKS[2]),
        _cross(
            ["yes", "yeah", "sure", "great"],
            [
                "that time works for me",
                "that day is fine",
                "that place is perfect",
                "that date suits me",
                "we need two",
            ],
        ),
        {Reading.YES},
    ),
}
_FAMILIES: dict[str, tuple[Sequence[str], set[Reading]]] = {
    "yes and a change": (
        _cross(
            ["yes", "yeah", "okay", "sure", "yes please", "that's right", "correct"],
            ["but", ", just", "and", ", only", ""],
            _said(
                "make it 731604|make that Friday|change the date to the ninth|"
                "for two passengers|refund one hundred dollars|use reservation 159372|"
                "send it to my other card instead|on December fifth|at three p m|"
                "keep the outbound flight|only the return flight|put it on a voucher instead|"
                "switch it to Denver on Monday"
            ),
        ),
        {Reading.CORRECTION, Reading.UNCLEAR},
    ),
    "yes and a question about it": (
        _cross(
            ["yes", "yeah", "okay", "sure", "right", "correct"],
            ["but", ", wait,", ", hold on,", "but first,"],
            _said(
                "which card does it go to?|how much is the refund|is that refundable?|"
                "can I undo it later|is there a fee?|when do I get the money|"
                "what happens to my miles|does it cancel both flights?|are you sure|"
                "what date was that|why can't I get all of it|what about my seat|"
                "will my wife be cancelled too|whose reservation is it"
            ),
        ),
        {Reading.UNCLEAR, Reading.CORRECTION},
    ),
    "hedges": (
        _cross(
            ["yes", "yeah", "okay", "well", "um", "sure"],
            _said(
                "I guess|I think so|maybe|probably|I suppose|if there is no fee|"
                "as long as it is free|unless it costs|depends|not sure|I don't know|"
                "let me think|perhaps|possibly|kind of|provided I get it back"
            ),
            ["", ", hmm", ", wait"],
        ),
        {Reading.UNCLEAR},
    ),
    "negated yes": (
        _cross(
            ["yes", "yeah", "okay", "no", "well", "sorry", "um", "actually"],
            ["", ","],
            _said(
                "that's not right|don't do it|I do not want that|that is wrong|I'd rather not|"
                "not that one|please don't cancel|stop|never mind|I changed my mind|"
                "that's incorrect|leave it|forget it|I can't do that|it isn't correct"
            ),
        ),
        {Reading.NO, Reading.CORRECTION, Reading.UNCLEAR},
    ),
    "slips of a refusal": (
        _cross(
            ["know", "noo", "nope", "nah", "ni", "na", "no no", "nope sorry"],
            ["", "thanks", "dont do it", "thats wrong", "wait", "i changed my mind", "leave it", "not that"],
        ),
        {Reading.NO, Reading.CORRECTION, Reading.UNCLEAR},
    ),
    "plain and slipped yes": (
        _cross(
            _said("yes|yeah|yep|um yes|uh yeah|yess|yea|okay|ok|sure|right|oh yes|yes yes|absolutely"),
            _said(
                "|please|, go ahead|, do it|, that's right|thats corect|, that's fine|"
                "cancel it|please cancel it"
            ),
            ["", ", thank you", "thanks", "please", ", go ahead please"],
        ),
        {Reading.YES},
    ),
}
