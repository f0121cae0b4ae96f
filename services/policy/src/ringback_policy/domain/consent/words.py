"""Owns the words of consent: what affirms, refuses, commands, asks, and what adds nothing.

Chosen from how English answers a question of yes or no: closed classes (pronouns, auxiliaries, particles) are listed
whole, open ones by their common members. A word that is in none of these lists makes an answer unclear, never a yes.
"""

__all__ = [
    "ACTION_VERBS",
    "AFFIRM_WORDS",
    "ASKING_SUBJECTS",
    "ASK_LEADS",
    "BESIDE_WORDS",
    "CHANGE_VERBS",
    "CHANGING_VERBS",
    "GETTING_VERBS",
    "INFO_NOUNS",
    "KIND_FAMILIES",
    "KIND_WORDS",
    "MODAL_LEADS",
    "NEGATIVE_WORDS",
    "NEUTRAL_WORDS",
    "PERMITTED_VERBS",
    "REQUEST_VERBS",
    "SLIPS",
    "STRONG_YES",
    "TELLING_VERBS",
    "TELLING_WORDS",
    "TIME_WORDS",
    "TOLD_FRAME",
    "TOLD_NOUNS",
    "TOLD_OF",
    "TRAVELLING_VERBS",
    "UNDOING_VERBS",
    "VALUE_WORDS",
    "WH_LEADS",
]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.strip().split("=") for pair in text.split(";") if pair.strip())


# How recognisers and hasty fingers write the words that matter here.
SLIPS = _pairs(
    "yess=yes; yeas=yes; yas=yes; yep's=yep; yeh=yeah; ya=yeah; yah=yeah; yeap=yep; ye=yes; yea=yeah; "
    "yeahh=yeah; okey=okay; ok=okay; k=okay; kay=okay; alrite=alright; rite=right; wright=right; corect=correct; "
    "corrrect=correct; collect=correct; perfact=perfect; thast=that's; thst's=that's; thats=that's; its=it's; "
    "pls=please; pleas=please; plz=please; whats=what's; whos=who's; hows=how's; wheres=where's; noo=no; noe=no; "
    "nop=nope; naw=nah; ni=no; na=nah; dont=don't; doesnt=doesn't; isnt=isn't; wasnt=wasn't; cant=can't; "
    "wont=won't; didnt=didn't; wouldnt=wouldn't; shouldnt=shouldn't; im=i'm; ive=i've; id=i'd; youre=you're; "
    "lets=let's; nevermind=never mind; gonna=going to; wanna=want to; gotta=got to; lemme=let me; gimme=give me; "
    "u=you; ur=your; cuz=because; cannot=can not; dunno=do not know; kinda=kind of; sorta=sort of; "
)

STRONG_YES = _words(
    "yes yeah yep yup aye sure surely certainly absolutely definitely affirmative confirmed confirm approve "
    "approved agreed agree indeed proceed correct exactly precisely granted accept accepted totally authorise "
    "authorize authorised authorized approval verified validated affirm positive bingo righto roger assent"
)

AFFIRM_WORDS = STRONG_YES | _words(
    "right true okay alright fine good great perfect perfectly excellent awesome wonderful fantastic cool nice "
    "super lovely brilliant ideal amazing delightful splendid terrific marvellous marvelous rad accurate valid "
    "works work suits suit fits happy glad love spotless well better best nicely correctly absolute sweet "
    "satisfied acceptable beautiful superb outstanding magnificent fabulous phenomenal gorgeous stellar neat flawless "
    "impeccable faultless suitable satisfactory agreeable pleased delighted thrilled exact right-o"
)

NEGATIVE_WORDS = _words(
    "no nope nah not never none nothing neither nor without wrong incorrect false mistake mistaken misheard "
    "misunderstood error negative decline refuse refused disagree reject stop abort forget scrap undo nay know "
    "hell bad cancelled denied unhappy quit drop abandon withdraw retract skip"
)

ACTION_VERBS = _words(
    "book reserve schedule rent buy purchase order send transfer pay play add set create make start submit place "
    "call change update move switch refund issue charge file renew activate cancel delete remove close end "
    "terminate block stop share start begin watch hear stream listen finalize finalise complete process apply "
    "arrange save cast"
)
# Verbs that may also undo what was asked: an order to do it counts only when it was read back.
UNDOING_VERBS = _words("cancel delete remove close end terminate block stop change update move switch")

CHANGE_VERBS = _words(
    "want need like prefer make change switch book reserve put play set try cast move add needs wants wanted "
    "rather instead meant"
)
REQUEST_VERBS = _words(
    "make change switch modify update move put play cast set book reserve schedule reschedule add remove adjust "
    "rename extend use try swap replace"
)

MODAL_LEADS = _words("can could would will should shall may might")
WH_LEADS = _words(
    "what who whose whom which when where why how what's who's how's where's when's whether any"
)
ASK_LEADS = _words("is are am was were do does did have has had isn't aren't doesn't don't")

# Who a question asks something for, or to do something.
ASKING_SUBJECTS = _words("i we you it this that they he she")
# What is told may begin with when.
TELLING_WORDS = _words("know me us of out about wonder wondering exactly and time date day")
GETTING_VERBS = _words(
    "get have be do make take add include give send put sit choose pick call hold keep order pay go"
)
CHANGING_VERBS = _words(
    "make change switch modify update move put set reschedule add remove adjust rename extend swap replace"
)
TRAVELLING_VERBS = _words("fly leave depart travel return stay ride")
# What one asks to be told, and what one asks whether it is allowed: "can you smoke there".
TELLING_VERBS = _words(
    "tell inform explain remind check confirm verify help see look let repeat say describe find give get grab send "
    "show provide share text email read mention advise ask"
)
PERMITTED_VERBS = _words("smoke park eat drink swim bring wear walk dance sit")
BESIDE_WORDS = _words("please also just kindly possibly maybe then now quickly")

INFO_NOUNS = _words(
    "address number phone telephone price cost costs fare total rating ratings review reviews details contact "
    "name names website email director actor genre year duration time location station stations route menu "
    "policy information info wifi internet pets smoking parking seating options rate charge fee fees refund card "
    "status receipt confirmation directions long much far type rated date departure arrival "
    "venue eta category album artist"
)
# Said alone they ask to be told: "phone number, please".
TOLD_NOUNS = INFO_NOUNS - _words("long far much type rated date time name names card status refund location")
TOLD_FRAME = _words("the their its his her your total please of and also nightly")
# What something told is of, or which of several it is.
TOLD_OF = _words(
    "street exact full user average customer overall departure arrival departing arriving origin destination start end "
    "starting ending release rental monthly nightly venue bus train theater theatre therapist doctor dentist office "
    "apartment provider salon stylist current actual specific whole entire what which whom where if whether know tell "
    "give let find check who how when old range music"
)

# Names of the kinds of things that are read back, which stand for the thing itself after "that" or "the". "The train"
# stands for no flight: kinds of different families exclude each other.
KIND_FAMILIES = tuple(
    _words(text)
    for text in (
        "flight plane",
        "bus coach",
        "train",
        "cab car vehicle rental taxi",
        "movie film show",
        "song track music",
        "table restaurant",
        "room rooms hotel property",
        "payment transfer",
        "meeting appointment event",
        "alarm",
    )
)
KIND_WORDS = _words(
    "time date day hour amount price place location size name number address spot slot ticket tickets "
    "ride trip visit seat seats"
).union(*KIND_FAMILIES)
# Words of values, which are compared as values.
VALUE_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand first second third "
    "fourth fifth sixth seventh eighth ninth tenth dollar dollars bucks usd o'clock am pm"
)

TIME_WORDS = _words(
    "today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday weekend morning "
    "afternoon evening night noon midnight midday january february march april june july august september "
    "october november december mondays tuesdays wednesdays thursdays fridays saturdays sundays fortnight"
)

NEUTRAL_WORDS = _words(
    "i me my mine you your yours we us our it this that these those they them all everything every each both he "
    "she his her him hers ours theirs myself himself herself itself ourselves themselves yourself "
    "their there here the a an of to for with in on at by as from into up out and or so then now "
    "just really very quite so much too also as well truly be been being is are am was were will would can could "
    "should shall do does did done doing have has had having get got gotten getting let go going please thanks "
    "thank oh ah um uh er erm hey hi hello yes okay dear sir madam ma'am miss mister man mate buddy friend guys "
    "want wanted wants need needed needs like liked said say saying asked requested request mean meant info "
    "information "
    "detail details data thing things way part plan deal idea looks look looking seems seem sounds sound "
    "sounding feels appears about hear already finally again course sake job recap summary forward ahead order "
    "reservation booking appointment bet kindly entirely completely exactly simply extremely pretty most such "
    "kind understand understood aware appreciate appreciated grateful bye goodbye day sorry bit because since "
    "permission consent approval procedure process transaction operation choice selection option arrangement same "
    "further found heard made still soon ready excited helpful lastly finally btw wow"
)
