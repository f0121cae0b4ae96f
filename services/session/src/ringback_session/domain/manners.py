"""The rules `brevity` and `one_question`: measured on what was said, and told to the model before its next reply."""

from __future__ import annotations

import re

from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import PlayedItem
from ringback_session.domain.step import Step

__all__ = ["measure", "questions_in", "take_instructions", "words_in"]

# A sentence that ends as a question; several marks are one question.
_QUESTION = re.compile(r"[?？]+")
_TOO_LONG = "Your last reply had {count} words. Use at most {limit} words in this one."
_TOO_MANY = (
    "Your last reply asked {count} questions at once. Ask again only the one whose answer you need next, "
    "unless the caller has answered it."
)


def words_in(text: str) -> int:
    return len(text.split())


def questions_in(text: str) -> int:
    return len(_QUESTION.findall(text))


def measure(step: Step, played: PlayedItem) -> None:
    """The model said something, whether or not it was heard to its end."""
    if played.kind != "reply":
        return
    rules = step.state.rules
    words, questions = words_in(played.text), questions_in(played.text)
    if rules.words_max and words > rules.words_max:
        _broken(step, RuleName.BREVITY, played, words, rules.words_max, _TOO_LONG)
    if rules.questions_max and questions > rules.questions_max:
        told = _TOO_MANY if rules.questions_over == "ask_again" else ""
        _broken(step, RuleName.ONE_QUESTION, played, questions, rules.questions_max, told)


def take_instructions(step: Step, instructions: str) -> str:
    """What the next reply is told: its own instructions, and once what was wrong with the last one."""
    manner, step.state.floor.manner = step.state.floor.manner, []
    return "\n".join(filter(None, [instructions, *manner]))


def _broken(step: Step, rule: RuleName, played: PlayedItem, count: int, limit: int, told: str) -> None:
    manner = step.state.floor.manner
    sentence = told.format(count=count, limit=limit)
    if sentence and sentence not in manner and len(manner) < len(RuleName):
        manner.append(sentence)
    outcome = "told" if told else "counted"
    step.applied(rule, outcome, item_id=played.item_id, count=count, limit=limit)
