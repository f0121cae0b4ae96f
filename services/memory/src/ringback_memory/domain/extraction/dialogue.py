"""Owns what an utterance means after the one before it: answers to questions, yes to what was "
"offered, no matter."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec
from ringback_spoken import contains_value

from ringback_memory.domain.cues import Cue
from ringback_memory.domain.extraction.assign import PEOPLE, Found, assign, is_numeric, names_in
from ringback_memory.domain.extraction.replies import NO, NO_MATTER, OTHERWISE, YES
from ringback_memory.domain.schema import SlotGroup, SlotSchema, SlotSpec, stem, words_of
from ringback_memory.domain.slots import parse, to_json
from ringback_memory.domain.state import State

TEXT_CHARS_MAX = 1_000
"""Longer utterances are read to here only."""
OFFERS_MAX = 3
"""How many of the agent's turns an acceptance reaches back: details may have been asked for in between."""
DONT_CARE = "dontcare"
OFFERED_CONFIDENCE = 0.7
CARRIED_CONFIDENCE = 0.65

_NEGATED = re.compile(r"\b(?:no|not|n't|without|don'?t|doesn'?t|isn'?t|never|neither)\b", re.I)
_CONFIRMS = re.compile(
    r"\b(confirm\w*|verify|to be clear|is that (right|correct)|make sure|ensure|double[- ]check|"
    r"check that|you(?:'d| would)? "
    r"(?:like|want)|right\?|correct\?)|"
    r"(?:^|[.!?,]) *(?:(?:and|so|sure|ok|okay|alright|great),? )*(?:do|are|is|will|should|shall) "
    r"(?:you|it|that|this|i|we)\b[^.!?]*\?",
    re.I,
)
_OFFERS = re.compile(
    r"\b(how about|what about|there(?:'s| is| are)|found|find|recommend|suggest|called|named|is (?:a|an|in|at|located)|"
    r"would you like|think of|have)\b",
    re.I,
)
_ADDRESS = re.compile(r"\d+ [A-Z]")
_THANKS = re.compile(r"^\W*(thank|thanks)\b", re.I)
_TITLES = frozenset({"name", "titl"})
_TOWNS = frozenset({"city", "town"})
_AGAIN = (
    (
        Cue(
            r"(?<!is )(?<!are )(?<!was )(?<!hello )(?<!hi )(?<!hey )\bthere\b(?!'s| is| are| was| any)|"
            r"\b(near ?by|the place|around (there|here)|(that|the same|this) (area|city|place|town|location))\b",
            holds="there|near|place|around|area|city|town|location",
        ),
        frozenset({"city", "location", "area", "destination", "to", "place"}),
    ),
    (Cue(r"\b(that|the same) (day|date)\b", holds="that da|same da"), frozenset({"date", "day"})),
)
_WANTS = re.compile(
    r"\b(?:(?:can|could|would|will) (?:you|i|we) (?:please |also |help )*(?:me |us )?(?:to )?(?:find|book|get|search|"
    r"look|reserve|show|help)|i(?:'d| would)? (?:need|want|like)|looking for|find me|get me)\b"
)
"""A question that asks for a thing as described, not whether it is so."""
_FROM = frozenset({"from", "origin", "departure", "source", "start"})
"""Where one sets out from is not where "there" is."""
_ASKS = re.compile(r"\b(what|which|where|when|how many|how long|who)\b", re.I)
_SENTENCE = re.compile(r"[^.!?]+[.!?]?")
_LEAD_IN = re.compile(
    r"^\W*(?:(?:i(?:'d| would)? (?:like|want|need|prefer|am looking for|'m looking for)(?: (?:it|to|"
    r"look(?:ing)? for|search(?:ing)? for|find|see|watch|hear|a|an|the|some))*|look for|search for|find|it'?s|"
    r"that would be|make it|how about|try|maybe|just|please|name it|call it|(?:i'm |i am )?(?:in|to|"
    r"from|at|for))\b\W*)+",
    re.I,
)
_TEXT_ANSWER_WORDS_MAX = 5


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What was read, and the group of slots that the caller speaks of now."""

    focus: str
    found: tuple[Found, ...]


def read_caller(schema: SlotSchema, text: str, *, question: str, state: State) -> Reading:
    """What an utterance of the caller, after `question` of the agent, says about the slots of `schema`."""
    text, question = text[:TEXT_CHARS_MAX], question[-TEXT_CHARS_MAX:]
    focus = _focus(schema, text, question, state)
    specs = schema.of_group(focus)
    asked = _asked_slots(specs, question)
    # What was offered belongs to what was spoken of until now, also when the caller goes on to something else.
    found = {one.name: one for one in _accepted(schema.of_group(state.focus), text, question, state)}
    found |= {one.name: one for one in assign(specs, text, asked=asked, offers=question)}
    for one in _carried(schema, specs, text, state):
        found.setdefault(one.name, one)
    for one in _short_answers(specs, text, asked, found):
        found.setdefault(one.name, one)
    return Reading(focus, tuple(found.values()))


def _focus(schema: SlotSchema, text: str, question: str, state: State) -> str:
    """The group that the caller is talking about."""
    if len(schema.groups) <= 1:
        return ""
    spoken, asked = words_of(text), words_of(question)

    def score(group: SlotGroup) -> float:
        named = 2.0 * len(group.own_words & spoken) + 0.3 * len(group.shared_words & spoken)
        named += 0.4 * len(group.slot_words & spoken)
        return named + 0.2 * len(group.slot_words & asked) + (1.6 if group.name == state.focus else 0.0)

    return max(schema.groups, key=score).name


def _asked_slots(specs: Sequence[SlotSpec], question: str) -> list[str]:
    """Slots that the agent's last question is about, likeliest first."""
    questions = [s for s in _SENTENCE.findall(question) if s.rstrip().endswith("?")]
    if not questions and question and _ASKS.search(question):
        questions = [question]
    if not questions:
        return []
    words = words_of(questions[-1]) | _implied(questions[-1])
    scored = []
    for spec in specs:
        own = spec.own_words
        score = 2 * len(own & words) + len((spec.words - own) & words) + (2 if spec.kind in words else 0)
        if is_numeric(spec) and spec.words & PEOPLE and words & PEOPLE:
            score += 2
        if score > 0:
            scored.append((score / (1 + 0.05 * len(spec.words)), spec.name))
    return [name for _, name in sorted(scored, key=lambda one: (-one[0], one[1]))][:4]


def _implied(question: str) -> frozenset[str]:
    folded = question.casefold()
    return frozenset().union(*(words for cue, words in _IMPLIED if cue in folded))


_IMPLIED = tuple(
    (cue, frozenset(stem(word) for word in words.split()))
    for cue, words in (
        ("when", "date day"),
        ("what day", "date"),
        ("what time", "time"),
        ("where", "city location area place"),
        ("which city", "location area city destination"),
        ("what city", "location area city destination"),
        ("which area", "location area city"),
        ("how many", "number"),
        ("how long", "length day duration"),
        ("from where", "from origin"),
        ("leaving from", "from origin"),
        ("going to", "to destination"),
        ("genre", "genre subcategory"),
        ("type of food", "category"),
        ("cuisine", "category"),
        ("kind of", "category type genre"),
    )
)


def _accepted(specs: Sequence[SlotSpec], text: str, question: str, state: State) -> list[Found]:
    """What the agent offered or repeated, if the caller takes it."""
    takes = YES.match(text)
    if not question or not (takes or _THANKS.match(text)) or NO.match(text) or OTHERWISE.search(text[:60]):
        return []
    confirming = bool(_CONFIRMS.search(question))
    if not takes and not confirming:
        return []
    if confirming:
        confirmed = _offered(specs, question, state)
        if confirmed:
            return confirmed
    wanted = [spec for spec in specs if spec.needed and _open_to_offers(spec, state)]
    titles = {spec.name for spec in wanted if spec.own_words & _TITLES}
    taken: dict[str, Found] = {}
    for said in _recent_offers(state):
        for one in _offered(wanted, said, state):
            taken.setdefault(one.name, one)
        if not titles or titles & taken.keys():
            # Details may have been given after the thing was named, but not before.
            break
    return list(taken.values())


def _open_to_offers(spec: SlotSpec, state: State) -> bool:
    """What the caller has said already is not changed by a detail of an offer, but by another thing "
    "or time."""
    return spec.name not in state.slots or spec.kind == "time" or bool(spec.own_words & _TITLES)


def _carried(schema: SlotSchema, specs: Sequence[SlotSpec], text: str, state: State) -> list[Found]:
    """The place, or date, that was said for something else and is meant again: "a hotel there", "on "
    "the same day"."""
    found = []
    for cue, words in _AGAIN:
        if not cue.search(text):
            continue
        mine = min(
            (
                s
                for s in specs
                if s.name not in state.slots
                and words & (s.own_words | _start(s))
                and not _FROM & frozenset(s.plain.split("_"))
            ),
            key=lambda s: not s.sought,
            default=None,
        )
        others = {s.name: s for s in schema.slots if s not in specs and words & (s.own_words | _start(s))}
        said = [slot for slot in state.slots.values() if slot.name in others and slot.source != "tool"]
        if mine is not None and said:
            same = mine.words & _TOWNS
            newest = max(
                said, key=lambda slot: (bool(same & others[slot.name].words), slot.position, slot.name)
            )
            found.append(Found(mine.name, parse(newest.value_json), CARRIED_CONFIDENCE))
    return found


def _start(spec: SlotSpec) -> frozenset[str]:
    """What a description says first is what it describes: "City where the event happens"."""
    return words_of(" ".join(spec.description.split()[:1]))


def _recent_offers(state: State) -> list[str]:
    """What the agent said last, newest first; the newest is the question itself."""
    return [turn.text for turn in reversed(state.turns) if turn.speaker == "agent"][:OFFERS_MAX]


def _offered(specs: Sequence[SlotSpec], said: str, state: State) -> list[Found]:
    offered = {one.name: one for one in assign(specs, said, asked=(), floor=1.4, filled=state.slots.keys())}
    offered |= {one.name: one for one in _from_results(specs, said, state)}
    entity = next((s for s in specs if s.kind in ("name", "text") and s.own_words & _TITLES), None)
    settled = entity is not None and entity.name in state.slots and not _OFFERS.search(said)
    if entity is not None and entity.name not in offered and not settled:
        known = {str(one.value) for one in offered.values()} | {
            slot.value_json for slot in state.slots.values()
        }
        for name in names_in(said):
            if not _ADDRESS.match(name) and name not in known and to_json(name, bytes_max=200) not in known:
                offered[entity.name] = Found(entity.name, name, OFFERED_CONFIDENCE)
                break
    return [Found(one.name, one.value, OFFERED_CONFIDENCE) for one in offered.values()]


def _from_results(specs: Sequence[SlotSpec], said: str, state: State) -> list[Found]:
    """Fields of the last result that the agent said aloud, of the entry of which it said most."""
    finished = [a for a in state.actions.values() if a.result_json]
    if not finished:
        return []
    result = parse(max(finished, key=lambda a: a.finished or a.position).result_json)
    entries = result if isinstance(result, list) else [result]
    best: list[Found] = []
    for entry in entries[:20]:
        if not isinstance(entry, Mapping):
            continue
        said_of = [
            Found(spec.name, entry[field], OFFERED_CONFIDENCE)
            for spec in specs
            if (field := spec.plain) in entry and spec.kind != "flag"
            if contains_value(said, entry[field])
        ]
        if len(said_of) > len(best):
            best = said_of
    return best


def _short_answers(
    specs: Sequence[SlotSpec], text: str, asked: Sequence[str], found: Mapping[str, Found]
) -> list[Found]:
    answers = []
    by_name = {spec.name: spec for spec in specs}
    folded = text.casefold()
    if asked and NO_MATTER.search(text) and asked[0] not in found:
        answers.append(Found(asked[0], DONT_CARE, 0.7))
    for spec in specs:
        if spec.kind == "flag" and (value := _flag(spec, folded, asked)) is not None:
            answers.append(Found(spec.name, value, 0.7))
    if asked and not answers and not found:
        spec = by_name[asked[0]]
        rest = _LEAD_IN.sub("", text).strip(" .,!?\"'")
        if (
            spec.kind in ("text", "name")
            and 0 < len(rest.split()) <= _TEXT_ANSWER_WORDS_MAX
            and not _is_reply(text)
        ):
            answers.append(Found(spec.name, rest, 0.6))
    return answers


def _flag(spec: SlotSpec, folded: str, asked: Sequence[str]) -> str | bool | None:
    own = spec.own_words - {"has", "allow", "good", "number"}
    own = own or words_of(spec.name)
    for sentence in _SENTENCE.findall(folded):
        asks = sentence.rstrip().endswith("?") and not _WANTS.search(sentence)
        if own & words_of(sentence) and not asks:
            return _truth(spec, not _NEGATED.search(sentence))
    if asked and asked[0] == spec.name:
        if NO.match(folded):
            return _truth(spec, False)
        if YES.match(folded):
            return _truth(spec, True)
    return None


def _truth(spec: SlotSpec, value: bool) -> str | bool:
    return str(value) if spec.values else value


def _is_reply(text: str) -> bool:
    return bool(YES.match(text) or NO.match(text) or text.rstrip().endswith("?"))
