"""Owns the little words of replies: yes, no, no matter, something else, as people say them."""

from __future__ import annotations

import re

from ringback_memory.domain.cues import Cue

YES = re.compile(
    r"^\W*(?:(?:oh|ok(?:ay)?|alright|well|so|great|cool|perfect|awesome|wow|hmm|um)\W+)*(?:yes|yeah|yea|"
    r"yep|yup|sure|"
    r"correct|right|exactly|absolutely|definitely|of course|please do|go ahead|ok(?:ay)?|fine|great|"
    r"perfect|cool|awesome|"
    r"good|nice|wonderful|excellent|(?:it|that|this)(?:'s| is| one)? (?:works|perfect|good|great|"
    r"fine|right|correct|ok)|"
    r"(?:(?:that|it|this|that one|this one) )?(?:sounds?|looks?|seems?) (?:good|great|fine|nice|"
    r"perfect|right|like|ok|"
    r"interesting|delicious|lovely|promising|wonderful|excellent|awesome)|i(?:'d| would)? (?:like|"
    r"love) (?:the sound of )?(?:it|that)|i (?:would|do|sure (?:would|do))\b(?=\W*$)|"
    r"i(?:'ll| will) take (?:it|that|this)|(?:it|that)(?:'ll| will) do|just what i|"
    r"i(?:'d| would) (?:like|love) to (?:book|reserve|buy|rent|get|see|watch) (?:it|that|this|one)|"
    r"that(?:'s| is| will| would|'ll| does| works))\b",
    re.I,
)
NO = re.compile(r"^\W*(?:no|nope|nah|not? (?:really|now|quite)|never|i don'?t|actually)\b", re.I)
OTHERWISE = re.compile(
    r"\b(other|others|another|else|different|instead|any ?more|alternatives?|what about|how about|something)\b",
    re.I,
)
NO_MATTER = re.compile(
    r"\b(?:(?:do(?:es)?n'?t|do not|does not) (?:really )?(?:care|matter|mind)|any(?:thing|where|one|"
    r"time)? (?:is|will|works|"
    r"would be|at all)|no preference|not (?:picky|particular|fussy)|up to you|either (?:is|one|way)|"
    r"whatever|any (?:kind|type|"
    r"sort|of)?\b.{0,24}\b(?:fine|ok|okay|good|works|do)|(?:ok|okay|fine|good) with any)\b",
    re.I,
)
DECLINES = Cue(
    r"\b(?:(?:do|did|will|would|wo|ca)(?:n'?t|n’t| not) (?:really |actually )?(?:want|need|wish|like|plan|intend|care)|"
    r"no need|no thanks?|not (?:yet|now|right now|today|at the moment|interested)|(?:an)?other time|later on|"
    r"maybe later|perhaps later|rather not|without (?:booking|buying))\b",
    holds="n't|nt | not|not |no need|no thank|other time|later|without",
)
