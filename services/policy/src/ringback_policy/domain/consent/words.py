"""Owns the words of consent: what affirms, refuses, holds, hedges, changes, asks, and what adds nothing.

Chosen from how English answers a question of yes or no, not from any one data set: closed classes (pronouns, auxiliaries,
particles) are listed whole, open ones by their common members.
"""

import re

__all__ = [
    "ACTION_VERBS",
    "AFFIRM_PHRASES",
    "AFFIRM_WORDS",
    "ASK_LEADS",
    "CHANGE_PATTERN",
    "CHANGE_VERBS",
    "HEDGE_PATTERN",
    "HOLD_PATTERN",
    "IDIOMS",
    "INFO_LEAD",
    "INFO_NOUNS",
    "INFO_PATTERN",
    "MODAL_LEADS",
    "NEGATIVE_WORDS",
    "NEUTRAL_WORDS",
    "REQUEST_VERBS",
    "SLIPS",
    "STOP_PATTERN",
    "STRONG_YES",
    "TIME_WORDS",
    "UNDOING_VERBS",
    "WH_LEADS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# How recognisers and hasty fingers write the words that matter here.
SLIPS = {
    "yess": "yes", "yeas": "yes", "yas": "yes", "yep's": "yep", "yeh": "yeah", "ya": "yeah", "yah": "yeah", "yeap": "yep",
    "ye": "yes", "yea": "yeah", "yess's": "yes", "yeahh": "yeah", "okey": "okay", "ok": "okay", "k": "okay", "kay": "okay",
    "alrite": "alright", "rite": "right", "wright": "right", "corect": "correct", "corrrect": "correct", "collect": "correct",
    "perfact": "perfect", "thast": "that's", "thst's": "that's", "thats": "that's", "its": "it's", "pls": "please",
    "pleas": "please", "plz": "please", "whats": "what's", "whos": "who's", "hows": "how's", "wheres": "where's",
    "noo": "no", "noe": "no", "nop": "nope", "naw": "nah", "ni": "no", "na": "nah", "dont": "don't", "doesnt": "doesn't",
    "isnt": "isn't", "wasnt": "wasn't", "cant": "can't", "wont": "won't", "didnt": "didn't", "wouldnt": "wouldn't",
    "shouldnt": "shouldn't", "im": "i'm", "ive": "i've", "id": "i'd", "youre": "you're", "lets": "let's",
    "nevermind": "never mind", "gonna": "going to", "wanna": "want to", "gotta": "got to", "lemme": "let me",
    "cuz": "because", "uhhuh": "uh-huh", "mhm": "mm-hmm", "mmhmm": "mm-hmm", "cannot": "can not",
}  # fmt: skip

# Idioms whose words would mislead, with what they amount to. Applied in order, on levelled text.
IDIOMS = tuple(
    (re.compile(rf"\b(?:{pattern})\b"), f" {value} ")
    for pattern, value in (
        (r"(?:can|could) (?:not|hardly) wait(?: (?:to|for)(?: \w+)?)?", "thanks"),
        (r"(?:there is |i have |i see |i have got )?no (?:problem|worries|problems|doubt|objections?|issues?|complaints?)"
         r"(?: (?:at all|with that|here|from me))?", "thanks"),
        (r"no (?:changes|change|corrections|need to change(?: \w+)?)(?: needed| necessary)?", "thanks"),
        (r"(?:do not|can not) (?:see|think of) (?:any reason )?why not", "okay"),
        (r"why not", "okay"),
        (r"could not (?:be|have been) (?:better|more \w+)", "perfect"),
        (r"not (?:a )?bad(?: at all)?|not a problem|would not mind|do not mind(?: at all)?", "okay"),
        (r"no need (?:to|for) \w+(?: \w+)?", "thanks"),
        (r"nothing (?:else|more)(?: (?:thanks|please))?|not at the moment|no more questions?", "thanks"),
        (r"(?:one|a) (?:hundred|100) ?(?:percent|%)(?: (?:sure|certain|right|correct))?|100 ?%(?: sure)?", "sure"),
        (r"(?:one|a)? ?(?:more|other|last|final|quick)? ?(?:thing|question)s?(?: though)?", "thing"),
        (r"(?:this|that|the|right|same|which|correct|better|good) one(?! (?:hundred|thousand|day|week|person|people))",
         "that"),
        (r"or not", ""),
        (r"you (?:have |'ve )?(?:got|nailed|said|have) (?:it|that|this|everything|all)(?: (?:all|all right))?", "you got it"),
        (r"all (?:right|good|correct|set)", "okay"),
        (r"right (?:now|away)", "now"),
        (r"just right|right on|spot on|bang on|on point|dead on", "correct"),
    )
)  # fmt: skip

STRONG_YES = _words(
    "yes yeah yep yup aye sure surely certainly absolutely definitely affirmative confirmed confirm approve approved agreed "
    "agree indeed proceed correct exactly precisely granted accept totally accepted authorise authorize authorised authorized"
)

AFFIRM_WORDS = STRONG_YES | _words(
    "right true okay alright fine good great perfect perfectly excellent awesome wonderful fantastic cool nice super lovely "
    "brilliant ideal amazing delightful splendid terrific marvellous marvelous super-duper accurate valid works work suits "
    "suit fits happy glad love spotless rad well better best nicely correctly absolute sweet satisfied acceptable"
)

AFFIRM_PHRASES = re.compile(
    r"\b(?:"
    r"(?:go|going|get) (?:right )?(?:ahead|for it|on|forward)(?: with (?:it|that|this))?"
    r"|(?:please |just |yes )?(?:do|try) (?:it|that|so|this|please)|please do|do proceed|will do|that will do|can do|could do"
    r"|of course|by all means|be my guest|carry on|continue|keep going|make it so|let us (?:do|go)(?: (?:it|that|for it|ahead))?"
    r"|(?:you )?got (?:it|that|everything)|you (?:are|were) (?:right|correct)|nailed it"
    r"|(?:it|that|this|which) (?:is|was) (?:it|all|so|about it)|(?:it|that|this) (?:all )?(?:works|suits|fits|does|would do)"
    r"|works (?:for me|well)|fine by me|i (?:do|am|did|would|sure do|would love (?:to|that)|would like (?:to|that|it))"
    r"|(?:it is|it does|that is|they are|we do|we are)"
    r"|(?:that is |it is |exactly |precisely |is )?(?:what|how|just what|the one) (?:i|we) (?:\w+ )?(?:want|wanted|need|needed|said|"
    r"asked(?: for)?|meant|requested|ordered|am (?:requesting|after)|was (?:after|trying to do)|discussed|agreed)"
    r"|make (?:it|that) happen|the (?:plan|deal|ticket)|my (?:request|plan)"
    r")\b"
)

NEGATIVE_WORDS = _words(
    "no nope nah not never none nothing neither nor without wrong incorrect false mistake mistaken misheard misunderstood error "
    "negative decline refuse refused disagree reject stop abort forget scrap undo nay know hell bad cancelled denied unhappy "
    "quit drop abandon withdraw retract skip"
)
STOP_PATTERN = re.compile(
    r"\b(?:do not|never mind|forget (?:it|that|about)|leave it|let it be|stop|abort|no way|hard pass|not any ?more"
    r"|changed my mind|no longer|call it off|i (?:refuse|decline|disagree)|absolutely not|not interested|drop it|scrap (?:it|that))\b"
)

HOLD_PATTERN = re.compile(
    r"\b(?:wait|hold (?:on|it|that|up|your)|hang on|(?:one|a|just a|give me a|another) (?:second|sec|moment|minute|min|moment please)"
    r"|not yet|let me (?:think|check|see|ask|look|find)|slow down|not so fast|pardon|excuse me|repeat|say (?:that|it) again|come again"
    r"|again please|what was that|i am not sure|not (?:quite |really |so |entirely )?sure|not certain|do not know|no idea"
    r"|(?:did not|could not|can not) (?:hear|catch|understand|get)|sorry what|before (?:you|i|we) (?:do|go|start|book|cancel|decide|say|agree)"
    r"|think about it|later|hmm+|need (?:a|some|more) (?:time|minute|moment|second)|on second thoughts?|actually|oh no|oops|whoa|hesitate"
    r"|first i (?:want|need|would))\b"
)

HEDGE_PATTERN = re.compile(
    r"\b(?:maybe|perhaps|probably|possibly|i guess|guess so|i suppose|suppose so|i (?:think|believe|reckon|assume|hope)(?: so)?|might"
    r"|depends|depending|unless|as long as|provided|providing|assuming|only if|if|kind of|sort of|kinda|sorta|whatever|more or less|almost"
    r"|nearly|partially|partly|mostly|half|apart from|except|other than|could be|may be|doubt|doubtful|unsure|supposedly|hopefully|in theory"
    r"|not really|ish|sometimes|yes and no|yes no|yeah no|no yes|no yeah|i do not mind whichever|either|up to you|don't care)\b"
)

CHANGE_PATTERN = re.compile(
    r"\b(?:change|changed|changes|changing|instead|rather|switch|modify|amend|update|correction|different|another|prefer|should be"
    r"|should have been|supposed to be|meant to|i meant|replace|move|swap|adjust|reschedule|rename|increase|reduce|lower|raise|double that"
    r"|(?:make|making|made) (?:it|that|this|them|the|one|my|for|sure)|needs? to be|has to be|have to be|must be|would be better|would rather"
    r"|add|remove|take (?:off|out|away)|include|exclude|extend|shorten|upgrade|downgrade|not the|it is for|put it|set it|try|plus|minus"
    r"|earlier|sooner|more|less|fewer|only|second thoughts?)\b"
)

ACTION_VERBS = _words(
    "book reserve schedule rent buy purchase order send transfer pay play add set create make start submit place call change "
    "update move switch refund issue charge file renew activate cancel delete remove close end terminate block stop"
)

MODAL_LEADS = _words("can could would will should shall may might")
WH_LEADS = _words(
    "what who whose whom which when where why how what's who's how's where's when's whether any"
)
ASK_LEADS = _words("is are am was were do does did have has had isn't aren't doesn't don't")

INFO_PATTERN = re.compile(
    r"\b(?:tell me|let me know|find out|know|check|see (?:if|whether)|i (?:also )?(?:want|need|would like|was wondering|wonder)"
    r"(?: to know)?|wondering|curious|look up|provide|give me|send me|get me|grab me|also (?:need|want)|share|show me|read me)\b"
)

TIME_WORDS = _words(
    "today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday weekend morning afternoon "
    "evening night noon midnight january february march april june july august september october november december midday "
    "mondays tuesdays wednesdays thursdays fridays saturdays sundays fortnight"
)

NEUTRAL_WORDS = _words(
    "i i'm i've i'd i'll me my mine you your yours we us our it it's that that's this these those they them all everything every "
    "each both both's he she his her their there here the a an of to for with in on at by as from into up out and or so then now "
    "just really very quite so much too also as well truly actually's be been being is are am was were will would can could "
    "should shall do does did done doing have has had having get got getting let go going please thanks thank you oh ah um uh er "
    "erm hey hi hello well yes hmm's okay dear sir madam ma'am miss mister man mate buddy friend guys there's what want wanted "
    "need needed like liked said say saying asked requested request mean meant info information detail details data thing things "
    "way part plan deal idea looks look looking seems seem sounds sound sounding feels appears about again's still already "
    "finally indeed again course sake job recap summary forward ahead order reservation booking appointment one's bet kindly "
    "entirely completely definitely exactly certainly simply extremely pretty super most such kind lot lots bunch million "
    "appreciate appreciated grateful awesome good bye goodbye day nice sorry's if's bit more's because since"
)

INFO_LEAD = re.compile(
    r"(?:please |also |so |and |then |oh )*(?:(?:i|we) (?:also )?(?:want|need|would like|was wondering|wonder) "
    r"(?:to know|if|whether|what|how|when|where|who)|tell me|let me know|find out|check|see (?:if|whether)|look up)\b"
)
UNDOING_VERBS = _words("cancel delete remove close end terminate block stop change update move switch")
CHANGE_VERBS = _words(
    "want need like prefer make change switch book reserve put play set try cast move add needs wants wanted rather instead meant"
)
REQUEST_VERBS = _words(
    "make change switch modify update move put play cast set book reserve schedule reschedule add remove adjust rename extend "
    "use try swap replace"
)
INFO_NOUNS = _words(
    "address number phone telephone price cost costs fare total rating ratings review reviews details contact name names website "
    "email director actor genre year duration time location station stations route menu policy information info wifi internet "
    "pets smoking parking seating options rate charge fee fees refund card status receipt confirmation directions long much "
    "far type rated date"
)
