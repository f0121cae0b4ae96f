"""What happens in one simulated call: a list of moves, drawn from a seed.

All chance is in the plan. The actors add none of their own, so a move that is taken out changes what follows from it
and nothing else: that is what makes a failure small.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import msgspec

__all__ = ["TALK_MS", "Move", "Plan", "draw"]

TALK_MS: Final = 45_000
SAYINGS: Final = (
    "Look up 1.",
    "Cancel 1.",
    "Cancel 2.",
    "Cancel 1 and 2.",
    "Refund 1.",
    "Note 1.",
    "Note 2.",
    "Note 1 and cancel 1.",
    "Dim 1.",
    "What is the weather?",
    "Lose 1.",
    "Billing, please.",
    "Front, please.",
    "A person, please.",
    "Something forbidden.",
    "Swear, please.",
    "Ask about 1.",
    "Ask to cancel 2.",
    "Ask to note 2.",
    "Again, please.",
    "Dim 1 and 2.",
    "Dim 1, 2 and cancel 1.",
    "Quiz me, please.",
)
WEIGHTS: Final = (3, 8, 4, 3, 3, 4, 2, 2, 2, 3, 1, 2, 1, 0.3, 0.5, 1.5, 1.5, 1.5, 0.7, 3, 1.5, 1.5, 2)
ANSWERS: Final = ("yes", "no", "correction", "question", "silence", "mumble", "early_yes", "yes_no")
ANSWER_WEIGHTS: Final = (10, 2, 2, 3, 1, 1, 1, 1)
WILLING_WEIGHTS: Final = (30, 1, 1, 2, 1, 1, 1, 1)
MODEL_QUIRKS: Final = (
    "garbage",
    "wrong_words",
    "repeats_call",
    "calls_anyway",
    "fails",
    "silent",
    "slow",
    "no_metadata",
    "double_created",
    "double_done",
    "incomplete",
    "cut_call",
    "calls_again",
)


class Move(msgspec.Struct, frozen=True):
    """One thing that somebody does, or that goes wrong, at a moment of virtual time.

    `who` is the actor, `what` the thing, `arg` its one parameter, `for_ms` how long a fault lasts.
    """

    at_ms: int
    who: str
    what: str
    arg: str = ""
    for_ms: int = 0

    def __str__(self) -> str:
        parts = [f"{self.at_ms:>7} ms", self.who, self.what]
        if self.arg:
            parts.append(repr(self.arg))
        if self.for_ms:
            parts.append(f"for {self.for_ms} ms")
        return "  ".join(parts)


class Plan(msgspec.Struct, frozen=True):
    """One call. `answers` are what the caller answers to the read-backs, in order; then yes.

    `model_lasts_ms`: when the model ends each connection; 0: it does not. `output`: the gate of what the model says;
    `slow_after_ms`, `window_ms`: the rules `slow_model` and `backchannel`; `budget_tokens`: after which it has to end.
    `manual`: no turn detection, the client commits what the caller said and asks for replies; `text`: it wants text;
    `sound`: the format of its audio. `recorded`: the call is; each frame of the agent's audio goes through the core.
    `slots`: which decisions read slots, as the rules say: any, none, or none, and policy finds that some do; `stale`:
    what memory knows is past its time, and a tool can read it again. `results`: the gate of what tools return;
    `idle_ms`, `resume_ms`, `person_ms`: the rules `idle_prompt`, `false_interruption` and, how long one is awaited,
    `person_wait`. `garbles`: the model says no read-back as it is; `voice`: the text-to-speech port is ready, slow,
    away or unusable; empty: there is none. `questions`: what comes of a reply with more than one of them, by the rule
    `one_question`: count or ask_again; empty: nobody counts.
    """

    seed: int
    typed: bool = False
    gate: str = "off"
    client_tools: str = "allow"
    jitter: bool = False
    model_lasts_ms: int = 0
    output: str = "off"
    slow_after_ms: int = 0
    window_ms: int = 0
    budget_tokens: int = 0
    manual: bool = False
    text: bool = False
    sound: str = "pcm"
    recorded: bool = False
    slots: str = "any"
    stale: bool = False
    results: str = "off"
    idle_ms: int = 0
    resume_ms: int = 0
    person_ms: int = 0
    garbles: bool = False
    voice: str = ""
    questions: str = ""
    moves: tuple[Move, ...] = ()
    answers: tuple[str, ...] = ()


def draw(seed: int) -> Plan:
    """The plan of a seed: always the same."""
    source = random.Random(seed)
    moves = [*_sayings(source)]
    for faults, share in _FAULTS:
        if source.random() < share:
            moves += faults(source)
    moves += _ending(source)
    willing = source.random() < 0.2
    if willing:
        moves += _insisting(source)
    return Plan(
        seed=seed,
        typed=source.random() < 0.25,
        gate=source.choice(("off", "blocking")),
        client_tools=source.choice(("allow", "allow", "confirm")),
        jitter=source.random() < 0.8,
        model_lasts_ms=source.choice((0, 0, 0, 12_000, 30_000)),
        moves=tuple(sorted(moves, key=lambda move: move.at_ms)),
        answers=tuple(source.choices(ANSWERS, WILLING_WEIGHTS if willing else ANSWER_WEIGHTS, k=6)),
        output=source.choice(("off", "off", "blocking", "parallel")),
        slow_after_ms=source.choice((0, 0, 400, 1_500)),
        window_ms=source.choice((0, 0, 250)),
        budget_tokens=source.choice((0, 0, 0, 0, 60, 150)),
        manual=source.random() < 0.2,
        text=source.random() < 0.15,
        sound=source.choice(("pcm", "pcmu", "pcmu", "pcma")),
        recorded=source.random() < 0.2,
        slots=source.choice(("any", "any", "none", "found")),
        stale=source.random() < 0.4,
        results=source.choice(("off", "off", "blocking")),
        idle_ms=source.choice((0, 0, 0, 6_000)),
        resume_ms=source.choice((0, 0, 2_000)),
        person_ms=source.choice((0, 4_000, 15_000)),
        garbles=source.random() < 0.15,
        voice=source.choice(("", "ready", "ready", "ready", "ready", "slow", "away", "unusable")),
        questions=source.choice(("", "count", "ask_again")),
    )


def _sayings(source: random.Random) -> list[Move]:
    moves, at_ms = [], 1_000
    while at_ms < TALK_MS:
        moves.append(Move(at_ms, "caller", "says", source.choices(SAYINGS, WEIGHTS)[0]))
        at_ms += source.choice((700, 2_500, 6_000, 15_000, 25_000))
    return moves


def _at(source: random.Random) -> int:
    return source.randrange(600, TALK_MS)


def _window(who: str, *modes: str) -> Callable[[random.Random], list[Move]]:
    """A service that is in some mode for a while, once or several times."""

    def windows(source: random.Random) -> list[Move]:
        return [
            Move(
                _at(source),
                who,
                source.choice(modes),
                for_ms=source.choice((200, 1_000, 4_000, 12_000, 30_000)),
            )
            for _ in range(source.choice((1, 1, 2, 4)))
        ]

    return windows


def _caller(source: random.Random) -> list[Move]:
    kinds = (
        "noise",
        "cancels",
        "truncates",
        "deletes",
        "updates",
        "garbage",
        "asks_twice",
        "interrupts",
        "murmurs",
        "mutters",
    )
    return [Move(_at(source), "caller", source.choice(kinds)) for _ in range(source.choice((1, 2, 5)))]


def _model(source: random.Random) -> list[Move]:
    return [
        Move(_at(source), "model", "quirk", source.choice(MODEL_QUIRKS))
        for _ in range(source.choice((1, 2, 4)))
    ]


def _hearing(source: random.Random) -> list[Move]:
    return [
        Move(_at(source), "model", "hears", source.choice(("nothing", "badly", "late", "failed")))
        for _ in range(source.choice((1, 2)))
    ]


def _losses(source: random.Random) -> list[Move]:
    return [Move(_at(source), "model", "drops") for _ in range(source.choice((1, 1, 2, 3)))]


def _lines(source: random.Random) -> list[Move]:
    """The caller's connection breaks: noticed by the owner at once, or only later."""
    return [
        Move(
            _at(source),
            "line",
            source.choice(("breaks", "goes_dead")),
            for_ms=source.choice((50, 1_000, 8_000)),
        )
        for _ in range(source.choice((1, 1, 2)))
    ]


def _crashes(source: random.Random) -> list[Move]:
    """The owner dies at its n-th word to the outside after a moment, whatever it is doing."""
    return [
        Move(
            _at(source),
            "owner",
            "dies",
            arg=str(source.randrange(0, 30)),
            for_ms=source.choice((100, 3_000, 20_000)),
        )
        for _ in range(source.choice((1, 1, 2)))
    ]


def _pauses(source: random.Random) -> list[Move]:
    """The owner stands still for a while and then goes on, as if it still were the owner."""
    return [
        Move(
            _at(source),
            "owner",
            "stalls",
            arg=str(source.randrange(0, 20)),
            for_ms=source.choice((500, 5_000, 20_000, 60_000)),
        )
        for _ in range(source.choice((1, 1, 2)))
    ]


def _repeating(source: random.Random) -> list[Move]:
    """The caller wants one thing several times: because the line was lost, or on purpose."""
    wish, at_ms = source.choice(("Cancel 1.", "Note 1.", "Dim 1.", "Ask to cancel 2.")), _at(source)
    moves = [Move(at_ms, "caller", "says", wish)]
    if source.random() < 0.5:
        moves.append(Move(at_ms + source.choice((3_000, 6_000, 9_000)), "line", "breaks", for_ms=1_000))
    for _ in range(source.choice((1, 2, 3, 5))):
        at_ms += source.choice((2_000, 6_000, 12_000, 12_000))
        moves.append(Move(at_ms, "caller", "says", source.choice((wish, "Again, please."))))
    return [move for move in moves if move.at_ms < TALK_MS]


def _insisting(source: random.Random) -> list[Move]:
    """The caller wants one thing once more, and once more, each time after the one before has been done."""
    wish = source.choice(("Cancel 1.", "Note 1.", "Dim 1.", "Dim 1 and 2.", "Cancel 1 and 2."))
    at_ms, moves = source.randrange(600, 10_000), []
    while at_ms < TALK_MS:
        moves.append(Move(at_ms, "caller", "says", wish))
        at_ms += source.choice((6_000, 8_000, 8_000, 14_000))
    return moves


def _operators(source: random.Random) -> list[Move]:
    """A person looks into the call: says or notes something, switches a tool off and on, takes over and hands back.

    Or has somebody else take it over, who may come and may not.
    """
    at_ms, what = _at(source), source.choice(("says", "notes", "asks", "switches", "takes_over", "transfers"))
    return [Move(at_ms, "operator", what, for_ms=source.choice((500, 3_000, 10_000)))]


def _ending(source: random.Random) -> list[Move]:
    """How it ends: some calls earlier than others, some without a word."""
    if source.random() < 0.3:
        return [Move(_at(source), "caller", source.choice(("hangs_up", "vanishes")))]
    return []


_FAULTS: Final = (
    (_caller, 0.5),
    (_model, 0.4),
    (_hearing, 0.2),
    (_losses, 0.25),
    (_lines, 0.3),
    (_crashes, 0.35),
    (_pauses, 0.2),
    (_window("policy", "away", "late", "slow", "needs_facts", "confirms_all", "denies"), 0.4),
    (_window("tools", "away", "slow", "error", "unknown", "restarts"), 0.4),
    (_window("supervisor", "away", "slow", "loops", "unusable"), 0.25),
    (_window("memory", "away", "slow", "plans", "plans"), 0.5),
    (_window("records", "away", "unknown_lost", "unknown_written", "unknown_late", "slow"), 0.35),
    (_window("bus", "away", "unacked"), 0.25),
    (_operators, 0.2),
    (_repeating, 0.35),
)
