"""Owns the words of consent: what affirms, refuses, commands, asks, and what adds nothing.

Chosen from how English answers a question of yes or no: closed classes (pronouns, auxiliaries, particles) are listed
whole, open ones by their common members. A word that is in none of these lists makes an answer unclear, never a yes.
"""

__all__ = [
    "ACTION_VERBS",
    "AFFIRM_WORDS",
    "AFTER_PREPOSITIONS",
    "AMENITIES",
    "ASKED_KINDS",
    "ASKING_SUBJECTS",
    "ASK_LEADS",
    "BEFORE_LEADS",
    "BESIDE_WORDS",
    "CHANGE_VERBS",
    "CHANGING_VERBS",
    "DONE_VERBS",
    "FAULT_WORDS",
    "GETTING_VERBS",
    "INFO_NOUNS",
    "KIND_FAMILIES",
    "KIND_WORDS",
    "MODAL_LEADS",
    "NEGATIVE_WORDS",
    "NEUTRAL_WORDS",
    "NO_ADVERBS",
    "OWN_MEANING",
    "PERMITTED_VERBS",
    "PREPOSITIONS",
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
    "yeahh=yeah; okey=okay; ok=okay; k=okay; kay=okay; alrite=alright; rite=right; wright=right; "
    "corect=correct; corrrect=correct; collect=correct; perfact=perfect; thast=that's; thst's=that's; "
    "thats=that's; its=it's; pls=please; pleas=please; plz=please; whats=what's; whos=who's; hows=how's; "
    "wheres=where's; noo=no; noe=no; nop=nope; naw=nah; ni=no; na=nah; dont=don't; doesnt=doesn't; "
    "isnt=isn't; wasnt=wasn't; cant=can't; wont=won't; didnt=didn't; wouldnt=wouldn't; shouldnt=shouldn't; "
    "im=i'm; ive=i've; id=i'd; youre=you're; lets=let's; nevermind=never mind; gonna=going to; wanna=want "
    "to; gotta=got to; lemme=let me; gimme=give me; yest=yes; yesm=yes; yesd=yes; yse=yes; ues=yes; "
    "yees=yes; yews=yes; yers=yes; yeps=yep; yups=yup; yass=yes; yessir=yes sir; yeahs=yeah; shure=sure; "
    "suer=sure; tat=that; taht=that; tht=that; ths=this; tel=tell; teh=the; hte=the; thnks=thanks; "
    "thx=thanks; tnx=thanks; ty=thanks; cheers=thanks; okeydokey=okay; okie=okay; dokie=okay; dokey=okay; "
    "okey-dokey=okay; okie-dokie=okay; correctamundo=correct; correctomundo=correct; kewl=cool; si=yes; "
    "righty=right; gud=good; goo=good; gret=great; grat=great; fien=fine; fne=fine; rght=right; rigt=right; "
    "sur=sure; okat=okay; okya=okay; oaky=okay; thnak=thank; thta=that; thas=that's; "
    "iis=is; isit=is it; adn=and; you'r=you're; your'e=you're; u=you; ur=your; cuz=because; "
    "cannot=can not; dunno=do not know; kinda=kind of; sorta=sort of;"
)

# Near to words of yes, and not one.
OWN_MEANING = _words(
    "yeast suite suites supper sweat bitter butter batter letter wetter getter setter lonely rights "
    "words works "
    "conform greet greets greek green sheet street clear clean coarse flight niece eyes yen true trust solo "
    "agent exam extra actor event enter inner under order older other right rightly brightly exact expect "
    "except aspect inspect respect suspect direct correctly valet solid value stella greta thriller "
    "albright"
)

STRONG_YES = _words(
    "yes yeah yep yup aye sure surely certainly absolutely definitely affirmative confirmed confirm approve "
    "approved agreed agree indeed proceed correct exactly precisely granted accept accepted totally "
    "authorise authorize authorised authorized approval verified validated affirm positive bingo righto "
    "roger assent acknowledge acknowledged"
)

AFFIRM_WORDS = STRONG_YES | _words(
    "right true okay alright fine good great perfect perfectly excellent awesome wonderful fantastic cool "
    "nice super lovely brilliant ideal amazing delightful splendid terrific marvellous marvelous rad "
    "accurate valid works work suits suit fits happy glad love spotless well better best nicely correctly "
    "absolute sweet satisfied acceptable beautiful superb outstanding magnificent fabulous phenomenal "
    "gorgeous stellar neat flawless impeccable faultless suitable satisfactory agreeable pleased delighted "
    "thrilled exact right-o "
    # Praise and joy, and the slang of both.
    "groovy peachy dandy swell incredible exceptional extraordinary impressive remarkable exquisite "
    "heavenly dreamy spectacular sensational smashing stunning tremendous legit dope mint ace aces stoked "
    "pumped psyched ecstatic overjoyed doable workable feasible hooray hurray woohoo yay yippee amen ditto "
    "wilco favorable favourable appealing pleasing sensible reasonable flawlessly accurately brilliantly "
    "wonderfully beautifully fabulously admirably unmistakable undoubtedly undeniably unquestionably "
    "naturally gladly willingly wholeheartedly readily happily confirmable correctness accuracy excellently "
    "superbly ideally marvelously optimal optimum amazingly fantastically magical sublime stupendous "
    "terrifically tip-top top-notch a-ok a-okay hunky-dory spot-on bang-on on-point"
)

NEGATIVE_WORDS = _words(
    "no nope nah not never none nothing neither nor without wrong incorrect false mistake mistaken misheard "
    "misunderstood error negative decline refuse refused disagree reject stop abort forget scrap undo nay "
    "know hell bad cancelled denied unhappy quit drop abandon withdraw retract skip"
)

# What finds fault, doubts or fears: "that sounds expensive", "you are joking".
FAULT_WORDS = _words(
    "expensive pricey costly steep dear high low cheap risky dangerous unsafe scary weird strange odd funny "
    "fishy off awful terrible horrible dreadful poor worse worst late early far away long short small big "
    "large tiny huge little tight close rushed crowded busy full noisy loud dark cold hot hard difficult "
    "tough complicated complex confusing vague familiar similar different other another opposite backwards "
    "twisted shady dodgy suspicious phony fake fraud scam ridiculous crazy insane mad silly stupid dumb "
    "absurd outrageous harsh boring dull lame tiring tedious questionable doubtful iffy tricky concerning "
    "worrying alarming troubling problematic rough sketchy sad wasteful pointless useless excessive extreme "
    "much many few joking kidding lying teasing pulling fooling slow fast quick confused lost deaf blind "
    "robot machine liar thief crook idiot fool moron jerk premature tempting close concerned worried afraid "
    "scared nervous hesitant torn disappointed annoyed angry upset tired sick broke fried old new young "
    "changed interested free taken closed open booked sold ready alone single double shared private thought "
    "think thinks thinking realise realize realised realized remembered noticed hate hates hated dislike "
    "dislikes detest loathe object objects protest oppose opposed resist resent regret reconsider "
    "reconsidering rethink rethinking postpone postponing delay delaying defer pass passed decline "
    "declining joke joked lie lied pretend pretending forget forgot forgotten forgetting miss missed "
    "missing omit omitted err erred fail fails failed sucks suck stinks stink bites hurts hurt lacks lack "
    "worry worries fear fears feared dread wonder question dispute challenge contest deny differ differs "
    "balk quit quits resign leaving left dying died paid paying bought booked cancelled canceled decided "
    "chose picked selected switched moved returned refunded joining joined coming bringing waiting waited "
    "thinking driving talking kid sucked misspoke slipped stuck stalling bluffing guessing assume assumed "
    "assuming suspect lied denied feign costs costing charged charges overcharged ends ended closes expires "
    "expired disappears overlaps clashes conflicts conflict backfired hesitating hesitate debating deciding "
    "doubt concern issue problem complaint "
    "skeptical sceptical reluctant unwilling clueless baffled puzzled perplexed furious outraged economy "
    "business premium standard regular luxury compact window aisle direct nonstop"
)

ACTION_VERBS = _words(
    "book reserve schedule rent buy purchase order send transfer pay play add set create make start submit "
    "place call change update move switch refund issue charge file renew activate cancel delete remove "
    "close end terminate block stop share start begin watch hear stream listen finalize finalise complete "
    "process apply arrange save cast"
)
# Verbs that may also undo what was asked: an order to do it counts only when it was read back.
UNDOING_VERBS = _words("cancel delete remove close end terminate block stop change update move switch")

CHANGE_VERBS = _words(
    "want need like prefer make change switch book reserve put play set try cast move add needs wants wanted "
    "rather instead meant"
)
REQUEST_VERBS = _words(
    "make change switch modify update move put play cast set book reserve schedule reschedule add remove "
    "adjust rename extend use try swap replace"
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
    "tell inform explain remind check confirm verify help see look let repeat say describe find give get "
    "grab send show provide share text email read mention advise ask know remember recall forward list "
    "spell message pull fetch clarify elaborate specify outline relay supply deliver display identify "
    "educate enlighten notify report quote estimate print write jot"
)
PERMITTED_VERBS = _words("smoke park eat drink swim bring wear walk dance sit")
BESIDE_WORDS = _words("please also just kindly possibly maybe then now quickly")

# What may stand before the word that makes a question: "also, what …".
BEFORE_LEADS = _words(
    "also please so oh then well okay yes hey um uh er now and great good perfect fine alright right thanks "
    "just lastly finally btw"
)
# "At what time", "for how much".
PREPOSITIONS = _words("at for from in on to by of with about")
AFTER_PREPOSITIONS = _words("what which how who whom whose where when")
# Not every word in "ly" says only how.
NO_ADVERBS = _words(
    "only early hardly barely scarcely rarely seldomly unfortunately regrettably sadly unlikely likely daily "
    "weekly monthly nightly hourly yearly family supply apply reply rely fly partly mostly nearly fairly "
    "possibly probably supposedly hopefully reluctantly hesitantly conditionally temporarily tentatively "
    "allegedly separately differently anomaly italy july ugly lonely silly elderly costly deadly friendly "
    "unfriendly assembly butterfly jelly belly ally bully rally tally holly molly sally kelly billy lily "
    "emily beverly kimberly doubly singly monthly badly wrongly falsely incorrectly inaccurately mistakenly "
    "unclearly unwillingly unusually partially slightly solely"
)
# What one did is no part of an answer.
DONE_VERBS = _words(
    "sent sold lost took gave kept saw broke threw wrote spent won tried thought realised realized"
)

_INFO_NOUNS = _words(
    "address number phone telephone price cost costs fare total rating ratings review reviews details "
    "contact name names website email director actor genre year duration time location station stations "
    "route menu policy information info wifi internet pets smoking parking seating options rate charge fee "
    "fees refund card status receipt confirmation directions long much far type rated date departure "
    "arrival venue eta category album artist hours runtime length cast actors plot synopsis lyrics singer "
    "distance mileage gate terminal platform landline mobile cell fax zip postcode neighborhood "
    "neighbourhood landmark menu overview estimate invoice breakdown whereabouts coordinates website "
    "webpage homepage reference intersection timing schedule"
)
# One may ask for one or for several: "their contacts", "the addresses".
INFO_NOUNS = _INFO_NOUNS | {f"{noun}s" for noun in _INFO_NOUNS}
# Said alone they ask to be told: "phone number, please".
TOLD_NOUNS = INFO_NOUNS - _words("long far much type rated date time name names card status refund location")
TOLD_FRAME = _words("the their its his her your total please of and also nightly")
# What a place, a journey or a work has or has not: after "what about" it is asked after, and no other choice.
AMENITIES = _words(
    "alcohol liquor booze drinks drink beer beers wine wines cocktails spirits music band bands mariachi jazz "
    "karaoke entertainment performers pets pet dogs dog cats cat animals wifi internet parking "
    "valet laundry gym pool spa "
    "furniture furnishings cosmetic cosmetics makeup services refunds refund refundability "
    "cancellation cancellations "
    "luggage baggage smoking accessibility transfers layovers stopovers"
)
# What something told is of, or which of several it is.
TOLD_OF = _words(
    "street exact full user average customer overall departure arrival departing arriving origin "
    "destination start end starting ending release rental monthly nightly venue bus train theater theatre "
    "therapist doctor dentist office amenities facilities something anything playing live type kind "
    "apartment provider salon "
    "stylist current actual specific whole entire full complete final nearest street what which whom where "
    "if whether know tell give let find check who how when old range music following hotel's opening "
    "closing"
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
    "ride trip visit seat seats purchase stay tour viewing theater theatre cinema venue"
).union(*KIND_FAMILIES)
# Of these one may ask confirmation without giving it.
ASKED_KINDS = _words("time date day hour amount price place location size name number address spot slot")
# Words of values, which are compared as values.
VALUE_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand "
    "first second third fourth fifth sixth seventh eighth ninth tenth dollar dollars bucks usd o'clock am "
    "pm"
)

TIME_WORDS = _words(
    "today tomorrow tonight yesterday monday tuesday wednesday thursday friday saturday sunday weekend "
    "morning afternoon evening night noon midnight midday january february march april june july august "
    "september october november december mondays tuesdays wednesdays thursdays fridays saturdays sundays "
    "fortnight"
)

NEUTRAL_WORDS = _words(
    "i me my mine you your yours we us our it this that these those they them all everything every each "
    "both he she his her him hers ours theirs myself himself herself itself ourselves themselves yourself "
    "their there here the a an of to for with in on at by as from into up out and or so then now just "
    "really very quite so much too also as well truly be been being is are am was were will would can could "
    "should shall do does did done doing have has had having get got gotten getting let go going please "
    "thanks thank oh ah um uh er erm hey hi hello yes okay dear sir madam ma'am miss mister man mate buddy "
    "friend guys want wanted wants need needed needs like liked said say saying asked requested request "
    "mean meant info information detail details data thing things way part plan deal idea looks look "
    "looking seems seem sounds sound sounding feels appears about hear already finally again course sake "
    "job recap summary forward ahead order reservation booking appointment bet kindly entirely completely "
    "exactly simply extremely pretty most such kind understand understood aware appreciate appreciated "
    "grateful bye goodbye day sorry bit because since permission consent approval procedure process "
    "transaction operation choice selection option arrangement same further found heard made still soon "
    "ready excited helpful lastly finally btw wow whew phew omg lol haha "
    # What a read-back is called as a whole, and what is done with it.
    "proposal suggestion recommendation offer arrangements instruction instructions itinerary "
    "specifications requirements preferences criteria parameters points description statement summary "
    "confirmation job operation data recapitulation rundown breakdown roundup readback wording record "
    "records booking bookings bargain solution decision pick picks selections choices answer response reply "
    "interpretation understanding aspects items particulars specifics settings entries arranged listed "
    "stated described mentioned noted provided presented outlined explained repeated summarized summarised "
    "read shown given told mind mood "
    # Who is spoken to.
    "maam mam ms mrs mr pal dude bro brother boss chief champ folks honey hon darling sweetie sweetheart "
    "love babe baby toots doll gal lady gentleman gentlemen ladies genius champion "
    # How much or how, without saying what.
    "gosh goodness lord heck dang darn super-duper fully wholly altogether overall basically obviously "
    "clearly certain positively literally highly perfectly honestly frankly especially particularly total "
    "totally indeed again likewise alike accordingly therefore thus hence hereby moreover"
)
