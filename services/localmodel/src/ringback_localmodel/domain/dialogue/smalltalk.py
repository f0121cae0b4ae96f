"""Greetings, thanks, goodbyes, and who is speaking, from the first line of the session's instructions."""

import re
from typing import Final

from ringback_localmodel.domain.dialogue.words import content_stems, word_set, words_of

__all__ = ["abilities", "greeting", "small_talk", "who_am_i"]

_HELLO: Final = word_set("hello hi hey greetings")
_THANKS: Final = word_set("thanks thank cheers")
_BYE: Final = frozenset(["bye", "goodbye"])
_FILLER: Final = word_set(
    """
    please there you so much very good morning afternoon evening day everything all that's that is it for
    your help a lot have nice one great perfect and ok okay yes no oh well again appreciate i to the
    talking with me then nothing else i'm fine that'll be
    """
)
# "That is a pity, thank you anyway" is thanks; "thank you, and now a taxi to the station" is a wish.
_ASIDE_WORDS_MAX: Final = 2
_ABILITIES: Final = ("what can you do", "how can you help", "what can you help", "what do you do")
_ABLE: Final = re.compile(r"^\W*(?P<said>I (?:can|help|am able to)\b[^\n]{3,300})$", re.M)
_ROLE: Final = re.compile(r"\byou(?:'re| are)\s+(?P<role>[^.\n!?]{2,120})", re.I)
_SELF: Final = frozenset(
    ("who are you", "what is your name", "what's your name", "who am i talking to", "who is this")
)


def small_talk(text: str, *, instructions: str, tools: bool) -> str | None:
    """The reply to an utterance that is small talk and nothing else."""
    words = words_of(text)
    said = " ".join(words)
    if any(phrase in said for phrase in _SELF) or ("speaking to" in said and words[:1] == ["who"]):
        return who_am_i(instructions)
    rest = [word for word in words if word not in _FILLER]
    polite = any(word in _THANKS | _BYE for word in rest) and len(content_stems(text)) <= _ASIDE_WORDS_MAX
    if not words or (not polite and any(word not in _HELLO for word in rest)):
        return None
    if any(word in _BYE for word in rest):
        return "Goodbye, and have a good day."
    if any(word in _THANKS for word in rest):
        return "You are welcome. Is there anything else I can help with?"
    if any(word in _HELLO for word in rest):
        return "Hello. How can I help you?"
    if words[0] == "no" or "nothing" in words or "that's all" in said or "that is all" in said:
        return "All right. Have a good day."
    return "All right. What can I do for you?" if tools else "All right."


def abilities(text: str, *, instructions: str) -> str | None:
    """What the instructions let the assistant say of what it can do, if that was asked; "" if they do not."""
    said = " ".join(words_of(text))
    if not any(phrase in said for phrase in _ABILITIES):
        return None
    match = _ABLE.search(instructions)
    return match["said"].strip() if match else ""


def greeting(instructions: str) -> str:
    role = _role(instructions)
    return f"Hello, this is {role}. How can I help you?" if role else "Hello. How can I help you?"


def who_am_i(instructions: str) -> str:
    role = _role(instructions)
    return f"I am {role}." if role else "I am an automated voice assistant."


def _role(instructions: str) -> str:
    """What the instructions say the assistant is, without what follows in the same breath."""
    match = _ROLE.search(instructions.strip().split("\n\n", 1)[0])
    return re.split(r",? (?:who|and you|that|which)\b|;", match["role"])[0].strip(" ,:") if match else ""
