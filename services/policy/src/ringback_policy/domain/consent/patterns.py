"""Owns the phrases of consent: patterns over folded text, each alternative on a line of its own."""

import re

__all__ = [
    "AFFIRM_PHRASES",
    "ALTERNATIVE_PATTERN",
    "ANNOUNCE_PATTERN",
    "ASKED_COUNT",
    "ASKED_INFO",
    "ASKED_WHICH",
    "ASKED_YEAR",
    "CHANGE_PATTERN",
    "COMMENT_PATTERN",
    "CONDITION_PATTERN",
    "DOUBT_PATTERN",
    "HEDGE_PATTERN",
    "HOLD_PATTERN",
    "IDIOMS",
    "INFO_LEAD",
    "INFO_PATTERN",
    "INFO_START",
    "STOP_PATTERN",
]


_EXACTLY = "(?:that is |it is |is )?(?:exactly |precisely |just )?"


def _pattern(alternatives: str) -> re.Pattern[str]:
    lines = (line.strip().replace("{exactly}", _EXACTLY) for line in alternatives.strip().splitlines())
    return re.compile(rf"\b(?:{'|'.join(lines)})\b")


def _idiom(value: str, clues: str, alternatives: str) -> tuple[tuple[str, ...], re.Pattern[str], str]:
    return tuple(clues.split("|")), _pattern(alternatives), f" {value} "


# Idioms whose words would mislead, with what they amount to. Applied in order, on text without contractions, where one
# of the clues stands in it: most texts have none, and looking for those costs a tenth.
IDIOMS = (
    _idiom(
        "thanks",
        "no|hardly|barely",
        """
        (?:can|could) (?:not|hardly|barely) wait(?: (?:to|for)(?: \\w+)?)?
        (?:there is |i have |i see )?no (?:problems?|worries|doubt|objections?|issues?|complaints?)(?: at all)?
        no (?:changes?|corrections?|need to change(?: \\w+)?)(?: needed| necessary)?
        no need to (?:worry|hurry|rush|wait|ask|repeat|apologi[sz]e|thank)(?: \\w+)?
        no need for (?:thanks|apologies|questions?|discussion)
        no need for (?:that|this|it)(?= *(?:[.?!,;]|$))
        nothing (?:else|more)(?: (?:thanks|please))?
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
    _idiom("perfect", "could not", r"could not (?:be|have been) (?:better|more \w+)"),
    _idiom(
        "sure",
        "hundred|100",
        r"(?:one|a) (?:hundred|100) ?(?:percent|%)(?: (?:sure|certain|right|correct))?|100 ?%(?: sure)?",
    ),
    _idiom("information", "more ", "(?:(?:some|a (?:bit|little)|a few) )?more (?:information|info|details?)"),
    _idiom(
        "thing",
        "thing|question|detail",
        r"(?:(?:one|two|three|[1-3]|some|a few|a couple(?: of)?|an?) |an(?=other))?"
        r"(?:more |other |last |final |quick |few )?"
        r"(?:(?:thing|question)s?|(?:(?<=more |last )|(?<=other |final ))details?)(?: though)?",
    ),
    _idiom(
        "that",
        " one",
        r"(?<!just )(?<!only )(?:this|that|the|right|same|which|correct) one"
        r"(?! (?:hundred|thousand|day|week|person|people))",
    ),
    # "A shared one" is no number, and still says what it is.
    _idiom(r"\1", " one", r"((?:a|an) [a-z]+(?:ed|able|free)) one"),
    _idiom("", "or no", "or not|or no(?= *(?:[.?!,;]|$))"),
    # What one remarks before an answer, or of it.
    _idiom("", "sense", "(?:that |it |this |which )?makes (?:perfect |total |complete |good )?sense"),
    _idiom("", "wondering", r"(?:i (?:was|am) )?(?:also )?just wondering(?= *(?:[,;:.]|$))"),
    _idiom("", ", is not ", r"(?<=, )is not (?:it|that)(?= *(?:[?.!;]|$))"),
    _idiom(
        "",
        "sorry",
        "(?:i am )?(?:so |very )?sorry (?:for|about) (?:the|any|all the|my) (?:confusion|trouble|mix[ -]?up|delay)",
    ),
    _idiom("station", " stop", "(?:bus|train|tram|subway) stops?"),
    _idiom("", "i see", r"i see(?= *(?:[.!,;]|$))"),
    _idiom("good", "more like", "(?:that|this) is more like it"),
    _idiom("perfect", " one", "(?:nice|great|perfect|lovely|excellent|brilliant|good) one"),
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
    # What somebody is thanked for asks for nothing.
    _idiom(
        "thanks",
        "thank",
        r"(?:thanks|thank you)(?: so much| very much)? for (?!everything but)(?:[\w']+ ?){1,6}(?=[.!?,;\n]|$)",
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
        r"you (?:have )?(?:got|gotten|nailed|said|have) (?:it|that|this|everything|all)(?: all)?",
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

AFFIRM_PHRASES = _pattern(
    r"""
    that is the \w+ (?:i|we) (?:want|need)(?:ed)?
    (?:that|this|it) (?:is|will be|would be|sounds like) (?:a|the) (?:plan|deal|winner)|sounds like a plan
    ^(?:it is a )?deal$
    (?:go|going|get) (?:right )?(?:ahead|for it|on|forward|through with it)(?: (?:with (?:it|that|this)|and))?
    (?:please |just |yes )?(?:do|try) (?:it|that|so|this|please)
    please do|do proceed|will do|that will do|can do|could do
    of course|by all means|be my guest|carry on|continue|keep going|make it so
    let us (?:do|go)(?: (?:it|that|for it|ahead))?
    (?:you )?got (?:it|that|everything)
    you (?:are|were) (?:right|correct)
    nailed it
    consider it (?:done|confirmed|approved|settled|agreed)
    (?:i|we) (?:am|are) (?:free|available)
    (?:it|that|this|which) (?:is|was|will be|would be) (?:it|all|so|about it)
    (?:it|that|this) (?:all )?(?:works|suits|fits|does|would do)
    works (?:for me|well)|fine by me
    i (?:do|am|did|would|sure do)(?= (?:indeed|so|too|please|that|want|need|like|love|agree|confirm|approve|accept)\b|$)
    i (?:would love (?:to|that)|would like (?:to|that|it))
    it is|it does|that is|they are|we do|we are
    {exactly}(?:what|how|the one) (?:i|we|you) (?:\w+ )?(?:want|need|like|wish)(?:ed)?(?: earlier| before)?
    {exactly}(?:what|how) (?:i|we|you) (?:\w+ )?(?:said|asked(?: for)?)(?: earlier| before)?
    {exactly}(?:what|how) (?:i|we|you) (?:\w+ )?(?:meant|requested|ordered|discussed|agreed)(?: earlier| before| on)?
    {exactly}as (?:i|we) (?:\w+ )?(?:said|asked|wanted|meant|requested|ordered|instructed|described|specified)
    (?:that|this|it|which|those|these) (?:is|are|was|were) (?:my|our|the) (?:instructions?|requirements?)
    (?:give|gave) (?:it|that|this) a (?:try|go|shot|whirl)
    checks? out|good enough|sure enough
    i am (?:all )?(?:down|on board|game|up|in)(?= (?:with|for) (?:it|that|this)\b|$)
    please help me (?:do|with) (?:so|it|that|this)
    you (?:have )?heard (?:me|it|that)? ?(?:right|correctly|well|perfectly|good|just fine)
    {exactly}what i (?:am|was|have been) (?:requesting|after|looking for|hoping for|waiting for|trying to do)
    (?:i|we) will take (?:it|that|this|them|those)(?= please\b|$)
    you have (?:my|our) (?:permission|consent|approval|blessing|okay)
    you (?:may|can|should)(?= |$)
    (?:i|we) (?:do )?(?:want|need) (?:this|that|it)(?! (?:to|for|on|at|in|with|from)\b)
    make (?:it|that) happen|the (?:plan|deal|ticket)|my (?:\w+ )?(?:request|plan|wish|desire|intention|choice)
    """
)

STOP_PATTERN = _pattern(
    """
    do not
    never mind
    forget (?:it|that|about)
    leave it|let it be
    stop|abort
    no way|hard pass
    not any ?more|no longer
    changed my mind
    call it off
    i (?:refuse|decline|disagree)
    absolutely not|not interested
    drop it|scrap (?:it|that)
    """
)

HOLD_PATTERN = _pattern(
    r"""
    wait|hold (?:on|it|that|up|your)|hang on
    (?:one|a|just a|give me a|another|half a) (?:second|sec|moment|minute|min)
    not yet|not so fast|slow down|later
    let me (?:think|check|see|ask|look|find)|think about it
    pardon|excuse me|repeat|say (?:that|it) again|come again|again please|what was that|sorry what
    i am not sure|not (?:quite |really |so |entirely )?sure|not certain|do not know|no idea
    (?:did not|could not|can not) (?:hear|catch|understand|get)
    before (?:you|i|we) (?:do|go|start|book|cancel|decide|say|agree|confirm)
    hmm+
    need (?:a|some|more) (?:time|minute|moment|second)
    on second thoughts?|actually|oh no|oops|whoa|hesitate
    first i (?:want|need|would)
    """
)

HEDGE_PATTERN = _pattern(
    r"""
    maybe|perhaps|probably|possibly|might|may be|could be
    i guess|guess so|i suppose|suppose so
    i (?:think|believe|reckon|assume|hope)(?: so)?
    depends|depending|unless|as long as|provided|providing|assuming|only if|if
    kind of|sort of|whatever|more or less|almost|nearly|partially|partly|mostly|half
    apart from|except|other than
    doubt|doubtful|unsure|supposedly|hopefully|in theory|not really|ish|sometimes
    yes and no|yes no|yeah no|no yes|no yeah
    either|up to you
    (?:good|great|fair|excellent|interesting) (?:thing|point|idea but)
    i am (?:good|fine|okay|all right|alright|great)(?! (?:with|to|for))
    ^yeah right$
    """
)

CONDITION_PATTERN = _pattern("if|unless|as long as|provided|providing|assuming|only when")

CHANGE_PATTERN = _pattern(
    r"""
    change|changed|changes|changing|instead|rather|switch|modify|amend|update|correction|different|another|prefer
    should be|should have been|supposed to be|meant to|i meant
    replace|move|swap|adjust|reschedule|rename|increase|reduce|lower|raise|double that
    (?:make|making|made) (?:it|that|this|them|the|one|my|for)
    needs? to be|has to be|have to be|must be|would be better|would rather
    add|remove|take (?:off|out|away)|include|exclude|extend|shorten|upgrade|downgrade
    not the|it is for|put it|set it|try|plus|minus
    earlier|sooner|more|less|fewer|only|second thoughts?
    """
)

# That a question comes is none yet.
ANNOUNCE_PATTERN = re.compile(
    r"(?:also )?(?:i |we )?(?:also )?(?:forgot|wanted|want|need|meant|have|would like) to ask(?: you)?"
    r"(?: (?:this|that|about (?:this|that|it)|thing|some thing))?"
)
# What others will feel about it, said after a yes, asks for nothing and takes nothing back.
COMMENT_PATTERN = re.compile(
    r"(?:so )?(?:she|he|they|everyone|everybody|my \w+) (?:will|is going to|are going to|would|is|are) (?:be )?"
    r"(?:so |very |really |absolutely )*"
    r"(?:love|enjoy|like|happy|glad|pleased|surprised|excited|thrilled|delighted)(?: it| that| this)?"
)

# A question whether something has a count of what was not spoken of, or comes from a year: no value of what is agreed.
ASKED_COUNT = re.compile(
    r"\b(?:has|have|are there|is there|more than|less than) (?:only |just |exactly )?"
    r"(?:[0-9]+|zero|one|two|three|four|five|six|seven|eight|nine|ten) ([a-z]{4,})"
    r"|\b(?:[0-9]|one|two|three|four|five|six|seven)[ -](stars?|stops?|layovers?|bedrooms?)\b"
)
ASKED_YEAR = re.compile(r"\b(?:from|in|of|since|year) (?:19|20)[0-9]{2}\b|^(?:19|20)[0-9]{2}$")
# "When does the first flight arrive", "what is the night rate": which of several is asked after, and at what rate.
ASKED_WHICH = re.compile(
    r"\bthe (?:very )?first (?!class\b|row\b|floor\b|of\b|one\b)[a-z]{4,}"
    r"|\bthat (?:night|day|morning|afternoon|evening)\b|\bnight (?:rate|price|cost|charge|fee)"
    r"|(?:rate|price|cost|costing|costs|charge|much)(?: \w+){0,2} night\b"
)

# "What about the price" asks to be told; "what about Tuesday" does not.
ASKED_INFO = re.compile(r"\b(?:what|how) about (?:(?:the|its|their|his|her|your|any) )?")

# Questions that put the action itself in doubt.
DOUBT_PATTERN = _pattern(
    """
    (?:what|how) about
    what (?:if|happens|would happen)
    why
    are you (?:sure|certain|serious)
    is (?:that|it|this) (?:right|okay|correct|final|safe|necessary|all|certain|reversible|for sure)
    really
    can i (?:still|undo|change|cancel|get (?:it|my money) back)
    """
)

# Questions after something else than what was read back, or to be answered before it is done.
ALTERNATIVE_PATTERN = _pattern(
    r"""
    different|another|others?|else|alternatives?|instead|rather
    (?:other|the|my|our|your|any|more|all|what) (?:options?|choices?)
    (?:do|would) you have (?:anything|something|any)
    cheaper|better|bigger|larger|smaller|nicer|closer|nearer|faster|quicker|longer|shorter|higher|lower|newer
    earlier|later|sooner|less|fewer|extra
    (?:before|after|until|once) (?:you|i|we|it|that|this|\w+ing)
    (?:first|beforehand)$|^(?:first|before|after|until|once)
    """
)

INFO_PATTERN = _pattern(
    """
    tell me|tel me|let me (?:know|have)|find (?:out|me|us|the|their|its)|know|check|inform (?:me|us)
    confirm (?:if|whether|about)
    see (?:if|whether)
    (?:i|we) (?:(?:will|would|just|only|also|still|do) )*(?:want|need|require|like|was wondering|wonder)(?: to know)?
    all (?:that )?i need(?: now)? is
    wondering|curious|look up|provide
    (?:give|get|send) (?:(?:some|any|the) )?(?:information|details?)
    (?:give|send|get|grab|show|read) (?:me|us|their|the|its|his|her)
    also (?:need|want)
    share
    """
)

# Where a request for information begins in speech without pauses.
INFO_START = re.compile(
    r"(?:please |also )*(?:tell? me|let me know|find out|inform (?:me|us)|(?:check|see) (?:if|whether)"
    r"|provide (?:me|the|their)|let me have (?:the|their|its|his|her)"
    r"|(?:give|send|get|find) (?:me (?:the|their|its|his|her)|their|the))\b"
)

INFO_LEAD = re.compile(
    r"(?:please |also |so |and |then |oh )*"
    r"(?:(?:i|we) (?:(?:will|would|just|also|still) )*(?:want|need|like|was wondering|wonder) (?:you )?(?:also )?"
    r"(?:to (?:know|tell me|check)|if|whether|what|how|when|where|who)|tell? me|let me know|find out|inform (?:me|us)"
    r"|check|see (?:if|whether)|confirm (?:if|whether|about)|look up)\b"
)
