"""Owns the idioms whose words would mislead, with what they amount to."""

import re

from ringback_policy.domain.consent.patterns import pattern_of
from ringback_policy.domain.consent.words import (
    ASKED_KINDS,
    KIND_WORDS,
    NEGATIVE_WORDS,
    REQUEST_VERBS,
    TIME_WORDS,
    UNDOING_VERBS,
    VALUE_WORDS,
)

__all__ = ["IDIOMS"]


def _idiom(value: str, clues: str, alternatives: str) -> tuple[tuple[str, ...], re.Pattern[str], str]:
    return tuple(clues.split("|")), pattern_of(alternatives), f" {value} "


# "Is that one ticket" counts.
_COUNTED = "|".join(
    sorted(
        KIND_WORDS
        | {"person", "passenger", "adult", "child", "night", "stop", "transfer", "bag", "apartment"}
    )
)

# What may not be swallowed with the rest of a thanks or of an impatience: speech comes without signs.
_TELLING = "|".join(
    sorted(
        VALUE_WORDS
        | TIME_WORDS
        | (NEGATIVE_WORDS - {"know", "mistake", "error"})
        | REQUEST_VERBS
        | UNDOING_VERBS
        | frozenset(
            {"but", "however", "though", "if", "unless", "wait", "actually", "instead", "say", "leave", "or"}
        )
    )
)
_WORDS = rf"(?:(?!(?:{_TELLING})\b)[a-z'\-]+ ?){{1,6}}"

# Idioms whose words would mislead, with what they amount to. Applied in order, on text without contractions, where one
# of the clues stands in it: most texts have none, and looking for those costs a tenth.
IDIOMS = (
    # "I can't wait to see her dress"; who can't wait until Friday wants something else.
    _idiom(
        "thanks",
        "wait to",
        rf"(?:i |we )?(?:can|could) (?:not|hardly|barely) wait to {_WORDS}(?= *(?:[.!,;]|$))",
    ),
    _idiom(
        "thanks",
        "no|hardly|barely",
        """
        (?:can|could) (?:not|hardly|barely) wait(?: for (?:it|this|that|them))?
        (?:there is |i have |i see )?no (?:problems?|worries|doubt|objections?|issues?|complaints?)(?: at all)?
        no (?:changes?|corrections?|need to change(?: \\w+)?)(?: needed| necessary)?
        no need to (?:worry|hurry|rush|wait|ask|repeat|apologi[sz]e|thank)(?: \\w+)?
        no need for (?:thanks|apologies|questions?|discussion)
        no need for (?:that|this|it)(?= *(?:[.?!,;]|$))
        nothing (?:else|more)(?: (?:thanks|please))?
        nothing to (?:change|correct|fix)(?: there| here)?(?= *(?:[.?!,;]|$))
        (?:can|could) not argue with (?:that|it|this)
        no more questions?
        """,
    ),
    # "No need for insurance" is a no to the insurance.
    _idiom("no", "no need", "no need (?:for|of)(?: any| the| a)?"),
    _idiom(
        "okay",
        "not|all |green|thumbs",
        """
        (?:do not|can not) (?:see|think of) (?:any reason )?why not
        why not
        not (?:a )?bad(?: at all)?
        not a problem
        would not mind|do not mind(?: at all)?
        all (?:right|good|correct|set)
        green light|thumbs up
        """,
    ),
    _idiom("perfect", "could not", r"could not (?:be|have been) (?:better|happier|more \w+)"),
    _idiom(
        "sure",
        "hundred|100",
        r"(?:(?:one|a) )?(?:hundred|100) ?(?:percent|%)(?: (?:sure|certain|right|correct|yes))?(?= *(?:[.!,;]|$))",
    ),
    _idiom("information", "more ", "(?:(?:some|a (?:bit|little)|a few) )?more (?:information|info|details?)"),
    _idiom(
        "thing",
        "thing|question|detail",
        r"(?<!my )(?<!i )(?:(?:one|two|three|[1-3]|some|a few|a couple(?: of)?|an?) |an(?=other))?"
        r"(?:more |other |last |final |quick |few )?"
        r"(?:(?:thing|question)s?|(?:(?<=more |last )|(?<=other |final ))details?)(?: though)?",
    ),
    _idiom(
        "that",
        " one",
        # "Make that one ticket" counts.
        r"(?<!just )(?<!only )(?:this|that|the|right|same|which|correct) one"
        r"(?= *(?:[.,?!;]|$| (?:please|thanks|now|then|is|was|has|will|would|works?|sounds?|looks?|seems?|suits?|fits?"
        r"|for|with|at|in|on|to|of|from|it|and|but|i|we|you|there|here|that|which|right|yes|okay|again|what|how|when|where"
        r"|who|can|could|do|does|are|any|also|tell|find|let|go)\b))",
    ),
    # "Is that one furnished" asks after the thing itself.
    _idiom(
        r"\1 it",
        " one",
        r"(is|are|was|does|did|do|has|will|would|can|could) (?:this|that) one"
        rf"(?! (?:{_COUNTED})\b)",
    ),
    # "A shared one" is no number, and still says what it is.
    _idiom(r"\1", " one", r"((?:a|an) [a-z]+(?:ed|able|free)) one"),
    _idiom(
        r"\1",
        " one",
        r"((?:is|was) (?:this|that|it|the) (?:\w+ )?an? (?!single|double|second|third|\w+er\b)[a-z]+(?:-[a-z]+)?) one"
        r"(?! [a-z])",
    ),
    _idiom(r"can \1", " be able", r"(?:would|will|could) (you|i|we|they) be able to"),
    _idiom(r"can \1", " able", r"are (you|we|they) able to"),
    _idiom(
        "is it refundable",
        " refund",
        r"(?:would|will|can|could|may) (?:i|we) (?:get|have|receive|claim) a (?:full )?refund",
    ),
    _idiom("good", "so far", "so far,? (?:so|it is|everything is|all is) good"),
    _idiom(
        "okay",
        "all clear|live with|nail on|of my mouth|to my ears|like a charm",
        """
        all clear
        (?:i|we) can live with (?:it|that|this)
        you (?:have )?hit the nail on the head
        you (?:have )?(?:took|taken) the words (?:right )?out of my mouth
        music to my ears
        works? like a charm
        """,
    ),
    _idiom(
        "that is correct",
        "right |correct ",
        rf"(?:that|this|it) is (?:also |exactly )?the (?:right|correct) (?:{'|'.join(sorted(ASKED_KINDS))})",
    ),
    # Politeness, and no condition.
    _idiom("please", "if you", r"if you (?:would|could|please|do not mind)(?: please)?(?= *(?:[.!,;]|$))"),
    _idiom(
        "thanks",
        "appreciate",
        r"appreciate (?:all )?(?:of )?(?:your|the) (?:help|assistance|patience|service|time|support)"
        r"(?: with (?:this|that|it|everything))?",
    ),
    # Somebody who makes up their mind and says yes in the end.
    _idiom(
        "",
        "see|look|hmm",
        r"^ *(?:(?:okay|well)[ ,.]+)?(?:(?:let me|let us) (?:see|look|(?:take|have) a look)|hmm+)[ ,.!]+"
        r"(?=(?:[a-z]+[ ,.!]+){0,3}(?:yes|yeah|yep|yup|correct)\b(?! or\b))",
    ),
    _idiom(
        "", "me", r"(?:excuse|pardon) me(?= *,? *(?:but )?(?:what|where|when|how|who|which|is|are|does)\b)"
    ),
    _idiom("", "or no", "or not|or no(?= *(?:[.?!,;]|$))"),
    # What one remarks before an answer, or of it.
    _idiom("details", "terms|conditions", "(?:your|the|these|those|all) (?:terms|conditions)"),
    _idiom("", "sense", "(?:that |it |this |which )?makes (?:perfect |total |complete |good )?sense"),
    _idiom("", "wondering", r"(?:i (?:was|am) )?(?:also )?just wondering(?= *(?:[,;:.]|$))"),
    _idiom("", ", is not ", r"(?<=, )is not (?:it|that)(?= *(?:[?.!;]|$))"),
    _idiom(
        "",
        "sorry",
        "(?:i am )?(?:so |very )?sorry (?:for|about) (?:the|any|all the|my) (?:confusion|trouble|mix[ -]?up|delay)",
    ),
    _idiom("good", " find", "(?:is|was|will be|would be) find(?= *(?:[.?!,;]|$|with|by))"),
    _idiom("station", " stop", "(?:bus|train|tram|subway) stops?"),
    _idiom("", "i see", r"i see(?= *(?:[.!,;]|$))"),
    _idiom(
        "",
        "calendar|agenda|diary|planner",
        "(?:to|on|in|into) (?:my|our|the) (?:calendar|agenda|diary|planner)",
    ),
    _idiom("", "either", "either way"),
    # What they would prefer is judged by what they name.
    _idiom("want it", "prefer it", "(?:would )?prefer it"),
    _idiom(
        "",
        "once",
        r"once (?:more|again)(?= *[,:]? *(?:what|where|when|how|who|which|is|are|can|could|tell)\b)",
    ),
    _idiom("yes", "y", r"^y(?= *(?:[,.!]|$))"),
    _idiom("", "-o", r"(?<=[a-z]{4})-oh?"),
    _idiom(
        "",
        "reference|record|notes|information",
        r"for (?:my|our|future|easy|the) (?:own )?(?:reference|records?|notes|information)",
    ),
    _idiom(
        "",
        "in case",
        r"(?:just )?in case (?:of |there is |there are |i have |we have )?(?:an? |any |some )?"
        r"(?:emergency|emergencies|problems?|issues?|delays?|trouble|accidents?)(?: with (?:it|that|anything))?"
        r"|(?:just )?in case (?:i|we) (?:get lost|can not (?:make|find) it)"
        r"|(?:just )?in case (?:i|we) (?:need|want|have) to (?:call|contact|reach)(?: \w+)?"
        r"|just in case(?= *(?:[.!?,;]|$))",
    ),
    _idiom("", "remember|recall", r"(?:because )?i (?:can|do) not (?:remember|recall)(?= *(?:[.!;]|$))"),
    _idiom(
        "",
        "always|long",
        r"(?:i|we) have (?:always|long) wanted (?:to )?(?:\w+ )?(?:him|her|them|it|this|that|there)(?= *[.,!;]|$)",
    ),
    _idiom("good", "more like", "(?:that|this) is more like it"),
    _idiom(
        "perfect",
        " one",
        r"(?<!want a )(?<!need a )(?<!get a )(?<!find a )(?:nice|great|perfect|lovely|excellent|brilliant|good) one",
    ),
    _idiom("oh", "uh|m", "uh[ -]?huh|m+[ -]?h+m+"),
    # "I will be at work then" says that one is busy.
    _idiom("busy", " work", "(?:at|from|after|before|until|have|into|my|off|got) work|have to work"),
    _idiom("yes", "you b", "you (?:bet|betcha)|you better believe it"),
    _idiom(
        "bye",
        "see y|have a|take c|talk ",
        """
        see (?:you|ya)(?: then| soon| there| around)?
        have a (?:good|great|nice|lovely|wonderful|pleasant) (?:day|one|evening|night|weekend|time)
        take care
        talk (?:to you |with you )?soon
        """,
    ),
    _idiom("thanks", "thank", "thanks? (?:you )?(?:a (?:lot|bunch|million|ton)|so much|very much)"),
    # What somebody is thanked for asks for nothing; "thanks for three people" counts.
    _idiom(
        "thanks",
        "thank",
        rf"(?:thanks|thank you)(?: so much| very much)? for {_WORDS}(?=[.!?,;\n]|$)",
    ),
    # How old something is says nothing of what will be done.
    _idiom(
        "long",
        "year",
        r"(?:about |over )?(?:[0-9]+|an?|one|two|three|four|five|six|seven|eight|nine|ten) years? (?:ago|back|old)",
    ),
    _idiom(
        "you got it",
        "you",
        r"you (?:have )?(?:got|gotten|nailed|said|have) (?:it|that|this|everything|all)(?: all)?"
        r"(?! (?:was|is|were|would|had|has)\b)",
    ),
    _idiom(
        "you got it",
        "you",
        r"you (?:have )?(?:got|gotten|captured|covered|included|noted) (?:each|every|all)(?: of)?(?: the| my| those)? "
        r"(?:details?|nuances?|points?|bits?|parts?|pieces?|aspects?|particulars?|information)",
    ),
    _idiom("now", "right | possible|asap", "right (?:now|away)|(?:as )?soon as possible|asap"),
    _idiom("correct", "just right| on|on point", "just right|right on|spot on|bang on|on point|dead on"),
)
