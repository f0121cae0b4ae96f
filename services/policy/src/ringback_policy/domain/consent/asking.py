"""Owns questions and orders: whether a clause asks, what for, and whether it orders what was read back."""

import re
from collections.abc import Sequence

from ringback_policy.domain.consent.clauses import Clause
from ringback_policy.domain.consent.patterns import AFFIRM_PHRASES, INFO_LEAD, INFO_PATTERN
from ringback_policy.domain.consent.remarks import telling
from ringback_policy.domain.consent.values import SaidValues, stem
from ringback_policy.domain.consent.words import (
    ACTION_VERBS,
    AFFIRM_WORDS,
    AFTER_PREPOSITIONS,
    AMENITIES,
    ASK_LEADS,
    ASKING_SUBJECTS,
    BEFORE_LEADS,
    BESIDE_WORDS,
    CHANGING_VERBS,
    GETTING_VERBS,
    INFO_NOUNS,
    KIND_FAMILIES,
    KIND_WORDS,
    MODAL_LEADS,
    NEUTRAL_WORDS,
    PERMITTED_VERBS,
    PREPOSITIONS,
    REQUEST_VERBS,
    TELLING_VERBS,
    TELLING_WORDS,
    TOLD_FRAME,
    TOLD_NOUNS,
    TOLD_OF,
    TRAVELLING_VERBS,
    UNDOING_VERBS,
    WH_LEADS,
)

__all__ = [
    "asks",
    "asks_for_its_like",
    "asks_for_more",
    "bare",
    "commands",
    "lacks",
    "reason",
    "requests_change",
    "waits_for",
]


def asks(clause: Clause, said: SaidValues) -> bool:
    words = clause.words
    at = next((at for at, word in enumerate(words[:-1]) if word not in BEFORE_LEADS), len(words) - 1)
    lead = words[at]
    if lead in PREPOSITIONS and set(words[at + 1 : at + 2]) & AFTER_PREPOSITIONS:
        # "At what time", "for how much".
        lead = words[at + 1]
    if lead in WH_LEADS:
        return not AFFIRM_PHRASES.match(clause.text) or clause.asked
    if lead in MODAL_LEADS or lead in ASK_LEADS:
        return not _is_order(words[words.index(lead) :]) and not _only_affirms(words)
    if (
        INFO_PATTERN.search(clause.text)
        and (clause.asked or not _SAID_OF_IT.match(clause.text))
        and (INFO_NOUNS & set(words) or INFO_LEAD.match(clause.text) or _PLACE_TOLD.search(clause.text))
    ):
        return not _wants_another(clause, said)
    if _TO_BE_TOLD.search(clause.text) and not _IN_DOUBT.search(clause.text):
        return True
    if clause.asked and set(words) & (WH_LEADS | INFO_NOUNS):
        return True
    if set(words) & TOLD_NOUNS and set(words) <= TOLD_NOUNS | TOLD_FRAME:
        return True
    if _asks_what_they_have(clause, said):
        return True
    return clause.asked and not _only_affirms(words) and not _restates(words, said)


def lacks(clause: Clause) -> bool:
    """ "I don't have their number", "I have never been there": why one asked to be told, and no refusal."""
    if _STRANGE.fullmatch(clause.text):
        return True
    match = _LACKS.fullmatch(clause.text)
    return match is not None and match.group(1).split()[-1] in INFO_NOUNS


def reason(clause: Clause) -> bool:
    """ "I am a vegetarian", before one asks what the kitchen has: what one is or has, and no wish."""
    if lacks(clause):
        return True
    match = _OF_ONESELF.fullmatch(clause.text)
    return match is not None and not clause.contrast and not telling(match.group("what"))


def waits_for(clause: Clause) -> bool:
    """ "When my husband agrees": no question, but something that must come first."""
    words = clause.words
    at = words.index("when") if "when" in words and not clause.asked else len(words)
    if at + 1 >= len(words) or (at and words[at - 1] in TELLING_WORDS):
        return False
    return words[at + 1] not in ASK_LEADS | MODAL_LEADS


def asks_for_more(clause: Clause, said: SaidValues) -> bool:
    """Whether it asks for something that was not read back: "can we get a booth", "could you find another table".

    To be told something ("can I get the address", "could you check whether it is open") asks for nothing more.
    """
    words = clause.words
    lead = next((at for at, word in enumerate(words) if word in MODAL_LEADS), None)
    if lead is None or not ({*words[lead + 1 : lead + 2]} & ASKING_SUBJECTS):
        return False
    verb = next((word for word in words[lead + 2 :] if word not in BESIDE_WORDS), "")
    if all(said.has(word) or word in NEUTRAL_WORDS for word in words):
        return False
    if words[0] in WH_LEADS and words[lead + 1] == "you":
        # "What would you call it" asks what you think; "what can you do about it" asks for something.
        return verb in (GETTING_VERBS | CHANGING_VERBS | ACTION_VERBS) - {"call"}
    if _asks_how_it_is(clause, lead) or _to_be_told(words, verb, said):
        return False
    if words[lead + 1] in {"they", "he", "she"} and verb not in CHANGING_VERBS:
        # "Can they colour hair" asks what others do.
        return False
    if words[lead + 1] == "you" and verb not in TELLING_VERBS:
        return verb not in (NEUTRAL_WORDS - GETTING_VERBS) | PERMITTED_VERBS
    if words[lead] == "will" and words[lead + 1] != "you":
        return False
    if words[lead + 1] != "you" and verb not in GETTING_VERBS | TRAVELLING_VERBS:
        return False
    return not (set(words) & (INFO_NOUNS | WH_LEADS) or _TOLD.search(clause.text))


def _asks_how_it_is(clause: Clause, lead: int) -> bool:
    words = clause.words
    if _HOW_IT_WOULD_BE.match(clause.text) or (words[-1] == "there" and words[-2] in AMENITIES):
        # "Would this be an overnight bus", "can I get liquor there".
        return True
    # "Can I call them", "can I take my dog with me" asks whether one may.
    return words[lead + 1] in {"i", "we"} and _WITH_ME.search(clause.text) is not None


def _to_be_told(words: tuple[str, ...], verb: str, said: SaidValues) -> bool:
    if verb not in TELLING_VERBS or "to" in words:
        return False
    told = _PLACE_TOLD.sub(" ", " ".join(words[words.index(verb) + 1 :]))
    return not _names(told.split(), said)


def asks_for_its_like(text: str, said: SaidValues) -> bool:
    """ "Do you have a bigger car", "find me some flights": another one of the kind that was read back."""
    wanted = {stem(word) for found in _ONE_OF.finditer(text) for word in found.group(1).split()}
    return any(family & said.words and wanted & _KIND_STEMS[family] for family in KIND_FAMILIES)


def requests_change(text: str, said: SaidValues) -> bool:
    words = text.split()
    if "instead" in words or "rather" in words:
        return True
    if words and (words[0] in WH_LEADS or (words[0] in ASK_LEADS and words[1:2] != ["you"])):
        # "Do they make vegetarian meals" asks how it is; "do you mind changing it" asks for something.
        return False
    if _TO_COME.search(text):
        return False
    verbs = {word for word in words if word in REQUEST_VERBS or stem(word) in _REQUEST_STEMS}
    if (frame := _ASKED_WHETHER.search(text)) is not None:
        # "Do you know whether they play music": what they do, not what shall be done.
        verbs &= {*text[: frame.start()].split()} | CHANGING_VERBS - {"make", "put"}
    verbs -= {"use"} if _ABLE_TO_USE.search(text) else set()
    if INFO_NOUNS & set(words):
        # "Can you change the name" wants it changed; "a number that I can book at" wants it told.
        verbs &= CHANGING_VERBS
    return bool(verbs) and not commands(words[2:], said)


def commands(words: list[str], said: SaidValues) -> bool:
    """An order to do what was read back: its verb, and nothing that was not read back."""
    verbs = [word for word in words if word in ACTION_VERBS]
    if not verbs or any(word in UNDOING_VERBS and not said.has(word) for word in verbs):
        return False
    return all(
        said.has(word) or word in NEUTRAL_WORDS or word in AFFIRM_WORDS or word in ACTION_VERBS
        for word in words
    )


def bare(words: list[str]) -> bool:
    """An order that names nothing, "book it", is a yes; one that names something only goes with a yes."""
    return (
        bool(set(words) & {"it", "that", "them", "this"})
        and len(words) <= 4
        and not set(words) & UNDOING_VERBS
    )


def _asks_what_they_have(clause: Clause, said: SaidValues) -> bool:
    """ "Find their menu", "tell me its opening hours": to be told what is theirs, not which of theirs to take."""
    match = _THEIRS.search(clause.text)
    if match is None or clause.contrast:
        return False
    return not any(
        said.has(word) or word in KIND_WORDS - INFO_NOUNS or word in ACTION_VERBS or word.endswith("est")
        for word in match.group(1).split()
        if word not in NEUTRAL_WORDS
    )


def _names(words: Sequence[str], said: SaidValues) -> bool:
    """Whether anything is named that was not read back."""
    return any(not said.has(word) and word not in _NAMES_NOTHING for word in words)


def _wants_another(clause: Clause, said: SaidValues) -> bool:
    """ "I want the flexible fare" is no wish to be told the fare; "I want their phone number" is."""
    if INFO_LEAD.match(clause.text) or clause.asked:
        return False
    words = _OF_WHAT.sub(" ", clause.text).split()
    if not _WANTING.search(clause.text):
        if not _GETTING.search(clause.text):
            return False
        # "Give me the business fare": what stands before the noun says which one.
        words = [word for word in words if not word.endswith("'s")]
        words = words[: max((at for at, word in enumerate(words) if word in INFO_NOUNS), default=0)]
    return any(not said.has(word) and word not in _TOLD_OR_PLAIN for word in words)


def _is_order(words: tuple[str, ...]) -> bool:
    """ "Do it please", "do not cancel it": no question, though "do" begins many."""
    return (
        words[0] == "do"
        and len(words) > 1
        and words[1] in {"it", "that", "this", "so", "not", "please", "nothing"}
        and not (words[1] == "it" and set(words[2:3]) & {"have", "allow", "serve"})
    )


def _only_affirms(words: tuple[str, ...]) -> bool:
    """ "is good for me", "do it", "will do": statements that begin like questions."""
    text = AFFIRM_PHRASES.sub(" ", " ".join(words))
    rest = text.split()
    if not rest:
        return True
    if words[1:2] == ("you",) and words[2:3] in {("say",), ("think",)}:
        return False
    if (
        words[0] in MODAL_LEADS | ASK_LEADS
        and len(words) > 1
        and (words[1] not in AFFIRM_WORDS | {"very", "it"} or words[:2] == ("is", "it"))
    ):
        return len(rest) < len(words) and all(word in NEUTRAL_WORDS for word in rest)
    affirming = bool(set(words) & AFFIRM_WORDS)
    return affirming and all(word in NEUTRAL_WORDS or word in AFFIRM_WORDS for word in rest)


def _restates(words: tuple[str, ...], said: SaidValues) -> bool:
    return all(said.has(word) or word in NEUTRAL_WORDS or word in AFFIRM_WORDS for word in words) and bool(
        set(words) & AFFIRM_WORDS
    )


_WITH_ME = re.compile(
    r"\b(?:call|phone|contact|text|email|reach) (?:them|him|her|there|the \w+)(?: \w+)?$"
    r"|\b(?:take|bring) (?:\w+ ){1,3}(?:with (?:me|us)|along|inside)\b"
    r"|\b(?:take|bring) (?:my|our) \w+ there$"
)
# "I was also wondering which city it is in": whoever wants to be told waits for no one else.
_TO_BE_TOLD = re.compile(
    r"\b(?:know|wonder|wondering|curious|(?:tell|inform|remind) (?:me|us)|explain|clarify)"
    r"(?: (?:also|about|to me|please))?"
    r" (?:what|which|where|when|who|whose|how|if|whether)\b"
)
_IN_DOUBT = re.compile(r"\b(?:should|ought|really|worth|wise|better|you know|not)\b")
_LACKS = re.compile(
    r"(?:because )?(?:i|we) (?:do|can) not "
    r"(?:have|know|find|remember|recall|see|(?:think|believe) (?:i|we) (?:got|have|know)) "
    r"((?:the|their|its|it is|his|her|your|any) (?:\w+ ){0,2}\w+?)(?: yet| anymore| any more)?"
)
_STRANGE = re.compile(
    r"(?:because |and |since )?(?:i|we) (?:(?:am|are) not (?:at all |too |very |yet |even |that |really )*familiar with"
    r"|have never (?:even )?(?:heard of|been to)|have never been|do not know) "
    r"(?:there|them|it|him|her|this|that|(?:this|that|the) (?:area|place|city|town|part of town|neighborhood))"
    r"(?: before)?"
)
_KIND_STEMS = {family: frozenset(stem(word) for word in family) for family in KIND_FAMILIES}
# Unlike "is it a direct flight".
_ONE_OF = re.compile(
    r"\b(?:have|find|get|show|see|look(?:ing)? for|search for|check for|(?:are|is) there)\b"
    r"(?: (?:me|us|you|also|just|for))* (?:an?|any|some|more|other|all|what|which)"
    r"((?: (?!(?:for|on|of|at|in|with|to)\b)[a-z-]+){1,4})"
)
# "I am a vegetarian", "we have some pets with us".
_OF_ONESELF = re.compile(
    r"(?:also )?(?:(?:i am|we are) (?:an? |so |very |really )+|(?:i|we) (?:do )?have (?:got )?(?:an? |some |my |our )*)"
    r"(?P<what>[a-z]+)(?: with (?:me|us)| too| as well)?"
)
_THEIRS = re.compile(
    r"\b(?:find|tell|share|show|send|provide|read|look up|pull up|check)(?: out)?(?: (?:me|us))? "
    r"(?:their|its|his|her|the \w+'s) ((?:[a-z]+ ?){1,4})$"
)
# "That is the time I want" asks for nothing.
_SAID_OF_IT = re.compile(r"(?:yes )?(?:that|this|it) is (?:exactly |just )?(?:the|my|our) ")
# "The departing airport", unlike "the airport hotel".
_PLACE_TOLD = re.compile(
    r"(?<!\bto )(?<!\bat )(?<!\bin )(?<!\bfrom )\b(?:the|which|what) "
    r"(?:exact |depart(?:ing|ure) |arriv(?:al|ing) |origin |destination )?(?:city|airport)"
    r"(?= (?:for me|please|of|where|it|i|we)\b|$)"
)
_NAMES_NOTHING = NEUTRAL_WORDS | TELLING_VERBS
_TOLD_OR_PLAIN = (
    frozenset({"find", "give", "send"}) | NEUTRAL_WORDS | INFO_NOUNS | KIND_WORDS | TOLD_OF | AFFIRM_WORDS
)
_REQUEST_STEMS = frozenset(stem(word) for word in REQUEST_VERBS)
_ABLE_TO_USE = re.compile(r"\bi (?:can |could |may |might |will |should )?use\b")
# Unlike "would it be possible".
_HOW_IT_WOULD_BE = re.compile(
    r"would (?:you say (?:that )?)?(?:this|that|it|they|the \w+)(?: be| is| are) (?!possible|okay|better)"
)
# "Will I have to change trains" asks what is to come.
_TO_COME = re.compile(r"\bwill (?!you\b)")
_TOLD = re.compile(
    r"\b(?:tell|let (?:me|us) know|know|check(?! for\b)|verify|find out|look up|look into"
    r"|(?:see|search) (?:if|whether))\b"
)
_ASKED_WHETHER = re.compile(
    r"\b(?:know|tell me|check|find out|see|wondering|wonder|confirm|ask) (?:if|whether|where|when|who|what|how)\b"
)
# "Directions to the stadium": what is told may be of anything.
_OF_WHAT = re.compile(
    r"\b(?:address|contact|details|directions|number|price|rating|cost) (?:of|to|for|at) (?:the|my|our|this|that) \w+"
)
_WANTING = re.compile(r"\b(?:want|need|would like)\b")
_GETTING = re.compile(r"\b(?:let me have|(?:find|get|give|send) me)\b")
