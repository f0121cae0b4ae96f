"""Owns what callers told of themselves in a recorded conversation, with the words that say so: slots with evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import yaml
from ringback_errors import InvalidInput

from ringback_cli.guard.recordings import Utterance, Write

__all__ = ["Evidence", "SlotWords", "caller_id", "read_slot_words", "slots_of"]

# To be unable is to deny nothing: "I can't fly, I am ill".
_DENIALS = frozenset(
    ("not", "no", "never", "neither", "nor", "without", "isnt", "arent", "wasnt", "dont", "doesnt", "didnt")
)
# So many words before it a denial is of it.
DENIED_WORDS = 3
_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]?")


class SlotWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The words that say each value; with `unprompted`, only before the agent used one of those.

    A value that is named in `against` contradicts each that is not.
    """

    values: dict[str, list[str]]
    unprompted: list[str] = []
    against: list[str] = []


@dataclass(frozen=True)
class Evidence:
    """A slot's value and the sentence that says it."""

    slot: str
    value: str
    sentence: str


def read_slot_words(path: Path) -> dict[str, SlotWords]:
    """The words of each slot; none without a file. Raises InvalidInput."""
    if not path.is_file():
        return {}
    try:
        return msgspec.convert(yaml.safe_load(path.read_text()), dict[str, SlotWords])
    except (yaml.YAMLError, msgspec.ValidationError) as error:
        raise InvalidInput(str(error), field=str(path)) from None


def slots_of(said: Sequence[Utterance], words: Mapping[str, SlotWords]) -> list[Evidence]:
    """The last thing that the caller said to each slot; questions say nothing."""
    found = (_last(name, own, said) for name, own in words.items())
    return [evidence for evidence in found if evidence is not None]


def caller_id(write: Write, user_ids: Iterable[str]) -> str:
    """The user id that the caller gave last; empty when none was given."""
    told = [one.text for one in write.said if one.speaker == "caller"]
    known = frozenset(user_ids)
    for text in reversed(told):
        given: list[str] = [word for word in re.findall(r"\w+", text.lower()) if word in known]
        if given:
            return given[-1]
    return ""


def _last(name: str, own: SlotWords, said: Sequence[Utterance]) -> Evidence | None:
    """What was told; nothing when it contradicts itself, for then nobody knows which of it is true."""
    found: list[Evidence] = []
    for one in said:
        if one.speaker == "agent":
            if own.unprompted and _says(one.text, own.unprompted):
                break
            continue
        for sentence in _SENTENCE.findall(one.text):
            value = next((value for value, words in own.values.items() if _tells(sentence, words)), None)
            if value is not None and (own.unprompted or not sentence.endswith("?")):
                found.append(Evidence(name, value, sentence.strip()))
    contradicting = {one.value for one in found if one.value in own.against} and {
        one.value for one in found if one.value not in own.against
    }
    return found[-1] if found and not contradicting else None


def _tells(sentence: str, words: Sequence[str]) -> bool:
    """Whether it says one of the words and does not deny it: "it is not for health reasons"."""
    spoken = re.findall(r"[a-z]+", sentence.lower().replace("'", "").replace("’", ""))
    for phrase in words:
        wanted = phrase.split()
        for at in range(len(spoken) - len(wanted) + 1):
            before = spoken[max(at - DENIED_WORDS, 0) : at]
            if spoken[at : at + len(wanted)] == wanted and not _DENIALS & set(before):
                return True
    return False


def _says(text: str, words: Sequence[str]) -> bool:
    padded = f" {' '.join(re.findall(r'[a-z]+', text.lower()))} "
    return any(f" {word} " in padded for word in words)
