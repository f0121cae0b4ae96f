"""Owns the made answers that say more than a yes, or say it badly: slips, remarks, requests to be told.

Each kind comes with its opposite: what looks like it and is no yes.
"""

import itertools
from collections.abc import Iterable, Sequence

from ringback_policy.domain.vocabulary import Reading

__all__ = ["answered_beside"]

_Family = tuple[Sequence[str], Sequence[str], Iterable[Reading]]


def answered_beside(read_backs: Sequence[str], yes: Sequence[str]) -> dict[str, _Family]:
    """The families, each with what was read back, the answers, and the readings that are right."""
    clear = ("yes.", "sure,", "perfect.", "that's right.")
    bus = read_backs[2:]
    return {
        "written badly": (read_backs, _said(_SLIPPED), {Reading.YES}),
        "a remark beside it": (read_backs, _after(clear, _REMARKS), {Reading.YES}),
        "asked in other ways": (read_backs, _after(clear, _TOLD), {Reading.YES}),
        "said again with its kind": (bus, _after(("yes,", "yes."), _AGAIN), {Reading.YES}),
        "told of oneself and asked": (read_backs, _after(clear, _REASONS), {Reading.YES}),
        "one that counts nothing": (read_backs, _after(clear, _PRONOUNS), {Reading.YES}),
        "a yes in other sayings": (read_backs, _said(_SAYINGS), {Reading.YES}),
        "felt and told beside it": (read_backs, _after(clear, _FELT), {Reading.YES}),
        "near to a yes in letters": (read_backs, _said(_NEAR), _NO_YES),
        "a remark that finds fault": (read_backs, _after((*yes, *clear), _FAULTS), _NO_YES),
        "asked for more than that": (read_backs, _after((*yes, *clear), _MORE), _NO_YES),
        "said again otherwise": (bus, _after(("yes,", "yes.", "okay"), _OTHERWISE), _NO_YES),
        "another of its kind": (read_backs, _after((*yes, *clear), _OTHERS), _NO_YES),
        "more of the same kind": (bus, _after((*yes, *clear), _MORE_OF_IT), _NO_YES),
        "wanted otherwise": (read_backs, _after((*yes, *clear), _WISHED), _NO_YES),
        "told of oneself, and it takes the yes back": (read_backs, _after(clear, _NO_REASONS), _NO_YES),
        "one that counts": (bus, _after((*yes, *clear), _COUNTED), _NO_YES),
        "thought, and no more": (read_backs, _after(("", *yes, *clear), _THOUGHT), _NO_YES),
        "nearly such a saying": (read_backs, _said(_NO_SAYINGS), _NO_YES),
        "felt, and it takes the yes back": (read_backs, _after((*yes, *clear), _NO_FEELINGS), _NO_YES),
        "interest alone": (read_backs, _said(_INTEREST), _NO_YES),
    }


def _said(text: str) -> list[str]:
    return text.replace("\n", "").split("|")


def _after(starts: Sequence[str], text: str) -> list[str]:
    return [" ".join(words) for words in itertools.product(starts, _said(text))]


_NO_YES = (Reading.NO, Reading.CORRECTION, Reading.UNCLEAR)
_SLIPPED = """yes , that ' s right|it ' s fine|that;s correct|yes it 's good|yesss|yest that is good|perfct|
that souns good|yes confrim|comfirm please|that isperfect|yesplease|that s right|i m happy with that|
plese do|okayyy|absolutley|yes that is corrrect|righ, go ahead|yup looks gooood"""
_REMARKS = """that sounds topping|that looks shipshape to me|that rocks|you are a lifesaver|you are such a gem|
i dig that|i think they will love it|i hope my wife will enjoy it|it is insanely good|what a relief|proceed onward|
i am fine with this setup"""
_TOLD = """at what hour does the kitchen shut?|can you forward their number?|
i was also wondering which side it is on|i am curious whether they have parking|can i call them?|
can i take my dog with me?|find their brochure|what about the parking situation?|
how about live music?|when did it drop?|
i need their number for my records|can you remind me what the address is?|is it not too far?|
what is their number? i don't have their number"""
_AGAIN = """i would prefer it in economy|a ticket from leeds to york|the trip from leeds to york at 9 am|
two seats in economy"""
_NEAR = """suite|the suite|supper|words|butter|yes, the suite|yes to greta|insure it|outright|upright|notgood|
nothanks|nooo|noooo thanks|yes , do n ' t|don t|yes don t|that isn 't it|i ca n't|it ' s not right|
wo n't do|lonely|yes , but it ' s wrong|yeast|unsure|yes, for stella"""
_FAULTS = """that sounds expensive|that looks pricey|it seems risky|that feels unfair|you are joking|you are mistaken|
you are a liar|i hate that|i regret it|i oppose this|we are late|i have just thought of it|
i sent it already|that clashes|that sucks|i think they will hate it|hardly|reluctantly|conditionally|
that is vegan|i messed up|that is my mistake"""
_MORE = """find their best table|find their cheapest wine|can i take the terrace|can i bring five friends|
can you give it to her|can you get it cheaper|at what time can you move it|for how much can you lower it|
i was wondering if we should|i wonder whether it is wise|in case there is a window seat|
in case you have outdoor seating|how about the mill|what about the dinner tomorrow|
what about a window|continue searching|
once more please|i need help|with conditions|confirm the number"""
_OTHERWISE = """i would prefer it in business|i prefer york to leeds|a ticket from leeds to hull|a ticket from york|
a seat by the window|the train to york|one seat|three tickets from leeds|the coach to hull"""
# What one is or has, lacks or has never seen, is why one asks.
_REASONS = """i am a vegetarian. do they have anything for me?|we have a dog with us. are dogs allowed?|
i have never been there. what is the address?|i am not familiar with the area. where is it?|
where is it? i have never heard of it|i am very hungry. how long does it take?|
i am curious, who runs it?|that sounds intriguing. what is their website?|
excuse me, where is it?|pardon me but where is it?|may i know how many stops it makes?|
would you say it is quiet?|would this be an open place?|what would you call that style?|
would you be able to give me their number?|can i get beer there?|can you confirm the city for me?|
send me their contacts|is there a wait?|i think that is perfect|i believe everything is correct"""
_PRONOUNS = (
    """is that one quiet?|does this one have parking?|when does that one close?|is it a furnished one?"""
)
_OTHERS = """can we look elsewhere|is there something in hull|what is available on the coast|any more?|
are there any additional places?|show me some options|is that the only one?|is there anything in hull?|
i have a better idea|i found a better one|check union city|take me to the airport|find the airport hotel"""
_MORE_OF_IT = """are there any more buses?|do you have a faster bus?|find me some buses|are there other coaches|
is there a night bus?|can you find a coach"""
_WISHED = """i would like to have it outside|we would love to have it in hull|i want to have it by the window|
would it be possible to sit outside|would it be better on a friday|would you be able to change it|
are you able to move it|i want a nice one|what can you do about it|how can you make it cheaper|
where do i cancel|may i know how to cancel"""
_NO_REASONS = """i have doubts. what is the address?|i have a complaint. what is the number?|
i am very unsure. what is the address?|i have another plan. what is the number?|
we have four children. what is the address?|i have never wanted that. what is the address?|
i do not want it. what is the address?|i have not decided. what is the address?|
i am a little late. what is the address?"""
_COUNTED = """is that one ticket?|does this one seat cost more|make that one seat|just a single one|
is this one person?"""
_THOUGHT = """i think so|i think|i believe so|i think that is wrong|i think it is too late|i believe it is for three|
i guess that is fine|i think it would be better outside|i think you are joking"""
_INTEREST = """i am interested|i am curious|that sounds interesting|sounds intriguing|excuse me|pardon me|so far|
i am interested in the other one|yes, i am interested in a later one|not so far so good|it is not all clear|
would you say that it is okay|yes, i am not interested"""
_SAYINGS = """that ought to do it|nothing to change, book it|can't argue with that|you took the words out of my mouth|
music to my ears|couldn't be happier|i can live with that|works like a charm|let's get it booked|
consider this my confirmation|that gets my approval|that is the right time|yes, that is the time i want|
100 percent.|i would appreciate that|i'd be grateful|yes, if you would|if you could, please|
let me see. yes, that's it|hmm, yes|let's take a look. ok, correct|sounds like a plan"""
_FELT = """i appreciate your help with this|please email me the details|my friend recommended it|we loved it there|
it's our anniversary|we are celebrating my wife's birthday|it's my favorite place|i am so thrilled about it|
they are going to be so thrilled|i can't wait to see her face|the kids will love it"""
_NO_SAYINGS = """that ought to do it for ten people|that should do if it is outside|nothing to change but the time|
nothing is correct|i can live without it|it does not work like a charm|get it booked at the mill|
get it confirmed first|consider it my refusal|that has no approval|does that have my approval|
that is not the right time|is that the right time|that is the right place but the wrong time|
that is the price i hate|100 percent refund|100 people|i would appreciate another time|
i would be grateful for a booth|yes, if you could make it eight|if you would rather not|
yes if you could get a booth|let me see. no|let me see, yes or no|hmm, yes but at eight|
let us see, is that correct|yes thanks for that but no|another time, please|i'm good for now thanks|
yes thanks for that don't do it|yes thank you for nine people|let me see. incorrect|hmm"""
_NO_FEELINGS = """i can't wait until friday|i can't wait to change it|i can't wait to cancel|i can't wait that long|
i appreciate your help but no|hopefully not|hopefully they have a booth|i am so unsure|
we are so many|she is so against it|it is so expensive|my friend recommended the mill|
we liked that other place|she loved it at the mill|it is our anniversary tomorrow|it is his turn|
email me the other options|email bob|text me first|i am so late|i am very hesitant about this"""
