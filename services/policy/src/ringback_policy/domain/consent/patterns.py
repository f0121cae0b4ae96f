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
    "INFO_LEAD",
    "INFO_PATTERN",
    "INFO_START",
    "STOP_PATTERN",
    "pattern_of",
]


# "Where I want to hear it", "what I would like you to do"; not what they hate, paid or had.
_WANTED = (
    "(?:what|how|the way|where|when) (?:i|we) (?!hate|fear|dread|doubt|dislike|regret|avoid|paid|had|thought|used|got"
    r"|do not|did not|was afraid|worry)(?:\w+ )?\w+"
    r"(?: (?:for|about|you to do|to (?:do|go with|listen to|hear|see|watch|have|book|get|play)(?: it)?))?"
)
_EXACTLY = "(?:that is |it is |is )?(?:exactly |precisely |just )?"


def pattern_of(alternatives: str) -> re.Pattern[str]:
    """One pattern of whole words, an alternative a line."""
    lines = (
        line.strip().replace("{exactly}", _EXACTLY).replace("{wanted}", _WANTED)
        for line in alternatives.strip().splitlines()
    )
    return re.compile(rf"\b(?:{'|'.join(lines)})\b")


AFFIRM_PHRASES = pattern_of(
    r"""
    (?:wrap|finish|lock|line|set|book) (?:it|that|this) (?:up|in)$|sign (?:me|us) up
    (?:seal|close) the deal|(?:put|push) (?:it|that|this) through
    get (?:it|that|this) (?:done|going|started|moving|over with|booked|reserved|scheduled|confirmed|sorted)
    (?:fire|start|queue|spin) (?:it|that|this) up|bring it on|(?:roll|run) with (?:it|that|this)
    let us (?:roll|rock|proceed|begin|get started|get going|get to it|make it happen|do this|get it done)
    count (?:me|us) in|i am sold|(?:you|we) are on$|(?:you|we) have a deal|it is a date
    (?:that|it|this) (?:does|will do) (?:it|the (?:trick|job))(?: (?:for me|nicely|perfectly))?
    hits the spot|(?:fit|fill)s? the bill
    (?:that|it|this) is (?:music to my ears|the way to go|the spirit|the stuff|the bomb|the best|a yes|a go|a match)
    (?:i am|we are) (?:all )?(?:for|in favou?r of) (?:it|that|this)$
    (?:i am|we are) (?:all )?(?:ready|set|good) to (?:go|roll)$
    (?:that|it|this) (?:ticks|checks) (?:all|every)(?: of)?(?: the| my)? box(?:es)?
    to a tee?$|right on the (?:money|nose|mark)
    you (?:read|know) my (?:mind|thoughts)|you know it|(?:fair|good) enough|could not agree more
    (?:just )?(?:as|like) you (?:said|say|stated|described)
    what i (?:wished|hoped|planned|intended|chose|picked|selected|had in mind|have in mind)(?: for)?
    (?:i|we) (?:am|are) (?:comfortable|content) with (?:it|that|this|those|them|all|everything)
    (?:consider|take) (?:this|that|it) (?:as |to be )?(?:my|our) (?:permission|consent|approval|confirmation)
    (?:gets|has) (?:my|our) (?:permission|consent|approval|okay|vote)
    i would (?:really )?appreciate (?:it|that)|i would be (?:very |most )?grateful
    (?:that|it|this) (?:should|ought to) do(?: it| the trick| the job)?
    ^sounds like a (?:plan|winner|deal)
    (?:i|we) (?:give|gave|am giving) (?:you )?(?:my|our) (?:permission|consent|approval|blessing|okay|confirmation)
    that is the \w+ (?:i|we) (?:want|need)(?:ed)?
    (?:that|this|it) (?:is|will be|would be|sounds like) (?:a|the) (?:plan|deal|winner)|sounds like a plan
    ^(?:it is a )?deal$
    (?:go|going|get) (?:right )?(?:ahead|for it|on|forward|through with it)(?: (?:with (?:it|that|this)|and))?
    (?:please |just |yes )?(?:do|try) (?:it|that|so|this|please)
    please do|do proceed|will do|that will do|can do|could do
    of course|by all means|be my guest|carry on|continue|keep going|make it so
    (?:that|this|it|which) (?:is|was|will be|would be) (?:\w+ly |just |all |so )?{wanted}$
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
    permission (?:is |was )?(?:allowed|given|granted)
    you (?:have )?(?:got|have|had) (?:it|that|me|everything|the whole thing) (?:all )?(?:figured out|worked out|down)?$
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
    make (?:it|that|this) (?:happen|official)|make the purchase$|the (?:plan|deal|ticket)
    my (?:\w+ )?(?:request|plan|wish|desire|intention|choice)
    """
)

STOP_PATTERN = pattern_of(
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

HOLD_PATTERN = pattern_of(
    r"""
    wait|hold (?:on|it|that|up|your)|hang on
    (?:one|a|just a|give me a|another|half a) (?:second|sec|moment|minute|min)
    once (?:more|again) please|(?:keep|continue) (?:looking|searching)
    not yet|not so fast|slow down|later|^another time|some other time
    let me (?:think|check|see|ask|look|find)|think about it
    pardon|excuse me|repeat|say (?:that|it) again|come again|again please|what was that|sorry what
    i am not sure|not (?:quite |really |so |entirely )?sure|not certain|do not know|no idea
    (?:did not|could not|can not) (?:hear|catch|understand|get)
    before (?:you|i|we) (?:do|go|start|book|cancel|decide|say|agree|confirm)
    hmm+
    need (?:a|some|more) (?:time|minute|moment|second)
    on second thoughts?|actually|oh no|oops|whoa|hesitate
    first i (?:want|need|would)
    i (?:have|found|got|know|saw) a (?:much )?better
    """
)

HEDGE_PATTERN = pattern_of(
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
    i am (?:good|fine|okay|all right|alright|great)(?! (?:with|to|for (?!now\b|today\b)))
    ^yeah right$
    """
)

CONDITION_PATTERN = pattern_of("if|unless|as long as|provided|providing|assuming|only when")

CHANGE_PATTERN = pattern_of(
    r"""
    change|changed|changes|changing|instead|rather|switch|modify|amend|update|correction|different|another|prefer
    should be|should have been|supposed to be|meant to|i meant
    replace|move|swap|adjust|reschedule|rename|increase|reduce|lower|raise|double that
    (?:make|making|made) (?:it|that|this|them|the|one|my|for)
    needs? to be|has to be|have to be|must be|would be better|would rather
    add|remove|take (?:off|out|away)|include|exclude|extend|shorten|upgrade|downgrade
    not the|it is for|put it|set it|try|plus|minus
    earlier|sooner|more|less|fewer|only|second thoughts?|elsewhere
    """
)

# That a question comes is none yet.
ANNOUNCE_PATTERN = re.compile(
    r"(?:also )?(?:i |we )?(?:also )?(?:forgot|wanted|want|need|meant|have|would like) to ask(?: you)?"
    r"(?: (?:this|that|about (?:this|that|it)|thing|some thing))?"
)
# What others will feel about it, said after a yes, asks for nothing and takes nothing back.
COMMENT_PATTERN = re.compile(
    r"i am (?:very |really |quite |so )?(?:interested|intrigued|curious)(?: in (?:it|that|this))?"
    r"|(?:so )?(?:she|he|they|everyone|everybody|my \w+|the (?:kids|children|family)) "
    r"(?:will|is going to|are going to|would|is|are) (?:be )?"
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
    r"(?:\bthe |\b(?:when|what time) (?:is|does|will) )(?:very )?first (?!class\b|row\b|floor\b|of\b|one\b)[a-z]{4,}"
    r"|\bthat (?:night|day|morning|afternoon|evening)\b|\bnight (?:rate|price|cost|charge|fee)"
    r"|(?:much|price|cost|rate)(?: (?!to\b)\w+){0,6} (?:a|per|each)(?: single)? night\b(?! (?!there|and|at|in)[a-z])"
    r"|(?:rate|price|cost|costing|costs|charge|much)(?: \w+){0,2} night\b"
)

# "What about the price" asks to be told; "what about Tuesday" does not.
ASKED_INFO = re.compile(r"\b(?:what|how) about (?:(?:the|its|their|his|her|your|any) )?")

# Questions that put the action itself in doubt.
DOUBT_PATTERN = pattern_of(
    """
    (?:what|how) about
    what (?:if|happens|would happen)
    why
    are you (?:sure|certain|serious)
    (?:if|whether) (?:i|we) (?:should|ought)|(?:if|whether) (?:it|that|this) is (?:wise|worth|better|safe|right|a good)
    is (?:that|it|this) (?:legit|feasible|doable|sensible|reasonable|workable|accurate|valid)
    is (?:that|it|this) (?:right|okay|correct|final|safe|necessary|all|certain|reversible|for sure)
    really
    (?:how|where|when) (?:to|do i|can i|could i) (?:cancel|undo|stop)
    can i (?:still|undo|change|cancel|get (?:it|my money) back)
    """
)

# Questions after something else than what was read back, or to be answered before it is done.
ALTERNATIVE_PATTERN = pattern_of(
    r"""
    different|another|others?|else|alternatives?|instead|rather
    (?:other|the|my|our|your|any|more|all|what) (?:options?|choices?)
    (?:do|would) you have (?:anything|something|any)
    cheaper|better|bigger|larger|smaller|nicer|closer|nearer|faster|quicker|longer|shorter|higher|lower|newer
    earlier|later|sooner|less|fewer|extra|elsewhere
    (?:any more|additional) (?!fees?\b|costs?\b|charges?\b|information\b|details?\b|expenses?\b)\w+
    (?:what|anything|something) (?:is )?available|(?:is|are) there (?:something|others?)|something (?:in|at|near|on)
    (?:show|give|tell) (?:me|us) (?:(?:some|the|your|any|more) )?(?:options|others?|choices)|any more$
    the only (?:one|\w+)(?: \w+)?(?: available| left| you have)$|anything (?:available|in|at|near|around|by)
    (?:before|after|until|once) (?:you|i|we|it|that|this|\w+ing)
    (?:first|beforehand)$|^(?:first|before|after|until|once)
    """
)

INFO_PATTERN = pattern_of(
    """
    tell me|tel me|let me (?:know|have)|find (?:out|me|us|the|their|its)|know|check|inform (?:me|us)
    confirm (?:if|whether|about)
    see (?:if|whether)
    (?:i|we) (?:(?:will|would|just|only|also|still|do) )*(?:want|need|require|like|was wondering|wonder)(?: to know)?
    all (?:that )?i need(?: now)? is
    wondering|curious|look up|provide
    (?:give|get|send) (?:(?:some|any|the) )?(?:information|details?)
    (?:give|send|get|grab|show|read|email|text|mail|forward) (?:me|us|their|the|its|his|her)
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
    r"|check(?=$| (?:if|whether|it|that|what|when|where|who|how|on)\b)"
    r"|see (?:if|whether)|confirm (?:if|whether|about)|look up)\b"
)
