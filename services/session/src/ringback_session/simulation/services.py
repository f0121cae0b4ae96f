"""Policy and memory as a call asks them; tools are in `tool_world`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from ringback_errors import Unavailable

from ringback_session.domain.effects import AskPolicy, FetchPacket, ReadConsent
from ringback_session.domain.inputs import (
    CompactionPlan,
    ConsentRead,
    Decided,
    FactNeed,
    ReadBack,
)
from ringback_session.domain.known import StaleValue
from ringback_session.domain.rules import Effect, SideEffect, TurnRules
from ringback_session.domain.state import BoundValue, SlotValue
from ringback_session.ports import Pinned, Remembered
from ringback_session.simulation.process import Process
from ringback_session.simulation.stores import Stream
from ringback_session.simulation.weather import Weather

__all__ = ["CURSE", "ONCE_MORE", "MemoryOf", "PolicyOf", "PolicyWorld", "read_answer", "read_back_text"]

CONSENT_MS: Final = 15_000
MEMORY_WAIT_MS: Final = 700
PROOF_MS: Final = 60_000
FACT: Final = "reservation"
CURSE: Final = "Damn"
READ_SLOTS: Final = ("cancel_reservation", "add_note")
ONCE_MORE: Final = "This was done already. Once more:"
# The bundle has no words to ask for it in, but for a while when everything is asked.
UNASKED: Final = ("add_note",)

# One that a tool can read again, under the name of its result.
STALE: Final = (
    StaleValue(name="status", tool="get_reservation", arguments_json='{"reservation":"9"}', ttl_ms=60_000),
)


def read_answer(text: str) -> str:
    """How an answer to a read-back is read: the same for policy and for who checks on it."""
    words = text.lower()
    if "wait" in words or "actually" in words:
        return "correction"
    if words.startswith("yes"):
        return "yes"
    return "no" if words.startswith("no") else "unclear"


def read_back_text(tool: str, number: str, *, once_more: bool) -> str:
    """The words in which a change is read back."""
    text = f"I will {tool.replace('_', ' ')} 48291{number}. Shall I do that?"
    return f"{ONCE_MORE} {text}" if once_more else text


@dataclass
class PolicyWorld:
    """What policy decided, for whoever checks the proofs."""

    proofs: dict[str, dict[str, Any]] = field(default_factory=dict)


class PolicyOf:
    """Implements `ports.Policy` for one process."""

    def __init__(self, world: PolicyWorld, weather: Weather, process: Process, rules: TurnRules) -> None:
        self._world = world
        self._weather = weather
        self._process = process
        self._rules = rules

    async def decide(self, question: AskPolicy, pinned: Pinned) -> Decided:
        mode = await self._asked(question.timeout_ms)
        if mode in ("away", "late"):
            return Decided(
                decision_id=question.decision_id,
                rule="session.policy_away",
                reason="UNAVAILABLE",
                source="fallback",
            )
        if question.gate == "input":
            return self._about_words(question)
        if question.gate == "output":
            return self._about_speech(question)
        if question.gate != "action":
            effect = Effect.DENY if mode == "denies" else Effect.ALLOW
            return Decided(decision_id=question.decision_id, effect=effect, rule="graph", layer="domain")
        return self._about_action(question, mode)

    async def read_consent(self, question: ReadConsent, pinned: Pinned) -> ConsentRead:
        mode = await self._asked(question.timeout_ms)
        reading = "unavailable" if mode in ("away", "late") else read_answer(question.utterance)
        return ConsentRead(
            consent_id=question.consent_id, reading=reading, evidence="sim", item_id=question.item_id
        )

    async def session_rules(
        self, *, tenant: str, pack: str, bundle_digest: str = "", session_id: str = ""
    ) -> tuple[str, TurnRules]:
        if await self._asked(3_000) == "away":
            raise Unavailable("policy is away")
        return "sha256:bundle", self._rules

    async def instructions(self, pinned: Pinned) -> str:
        if await self._asked(3_000) == "away":
            raise Unavailable("policy is away")
        return "You are an airline's agent."

    async def _asked(self, timeout_ms: int) -> str:
        await self._process.leaves()
        mode = self._weather.mode("policy")
        takes_ms = {"away": 1, "late": timeout_ms, "slow": timeout_ms - 50}.get(mode)
        await self._weather.passes(takes_ms if takes_ms is not None else self._weather.delay_ms("policy", 20))
        await self._process.passes()
        return mode

    def _about_words(self, question: AskPolicy) -> Decided:
        text, effect, escalate = question.subject["text"], Effect.ALLOW, ""
        if "forbidden" in text:
            effect = Effect.DENY
        elif "person" in text:
            effect, escalate = Effect.ESCALATE, "asked_for_a_person"
        return Decided(
            decision_id=question.decision_id,
            effect=effect,
            rule="words",
            layer="safety",
            say="I can't talk about that." if effect is Effect.DENY else "",
            escalate=escalate,
        )

    def _about_speech(self, question: AskPolicy) -> Decided:
        """What the model says: a curse is heard by nobody."""
        curses = CURSE in question.subject["text"]
        return Decided(
            decision_id=question.decision_id,
            effect=Effect.DENY if curses else Effect.ALLOW,
            rule="curses",
            layer="safety",
            say="Pardon me." if curses else "",
        )

    def _about_action(self, question: AskPolicy, mode: str) -> Decided:
        subject = question.subject
        decided: dict[str, Any] = {"decision_id": question.decision_id, "rule": "sim", "layer": "actions"}
        # By rules that are newer than those that the call was told of.
        decided["needs_slots"] = self._weather.plan.slots == "found" and subject["tool"] in READ_SLOTS
        if mode == "denies":
            return Decided(effect=Effect.DENY, say="That is not possible.", **decided)
        if mode == "needs_facts" and not any(fact["name"] == FACT for fact in question.facts):
            need = FactNeed(name=FACT, tool="get_reservation", arguments_json='{"reservation":"9"}')
            return Decided(effect=Effect.ALLOW, needs_facts=(need,), **decided)
        confirmed = self._confirmed(question)
        once_more = _repeats(question)
        if once_more and subject["tool"] in UNASKED and not confirmed and mode != "confirms_all":
            return Decided(effect=Effect.DENY, done_already=True, **decided)
        risky = self._asks_first(subject) or mode == "confirms_all"
        if (risky or once_more) and not confirmed:
            read_back = _read_back(subject, once_more=once_more)
            return Decided(effect=Effect.CONFIRM, read_back=read_back, **decided)
        consent = subject["consent"] if confirmed else None
        proof: dict[str, str | int] = {
            "key_id": "k1",
            "mac": f"mac of {question.decision_id}",
            "decision_id": question.decision_id,
            "consent_id": consent["consent_id"] if consent else "",
            "expires_at_ms": min(
                self._weather.now_ms + PROOF_MS, consent["expires_at_ms"] if consent else 2**53
            ),
        }
        self._world.proofs[str(proof["mac"])] = {
            "action_id": subject["action_id"],
            "digest": subject["arguments_digest"],
            **proof,
        }
        return Decided(effect=Effect.ALLOW, proof=proof, **decided)

    def _asks_first(self, subject: dict[str, Any]) -> bool:
        of_client = bool(subject["client_tool"]) and self._weather.plan.client_tools == "confirm"
        return of_client or subject["side_effect"] == SideEffect.IRREVERSIBLE

    def _confirmed(self, question: AskPolicy) -> bool:
        subject = question.subject
        consent = subject["consent"]
        own = {"consent_id": consent["consent_id"], "action_id": subject["action_id"]} if consent else {}
        return (
            consent is not None
            and own | {"reading": "yes"} in question.view["consents"]
            and consent["arguments_digest"] == subject["arguments_digest"]
            and consent["given_at_ms"] <= self._weather.now_ms < consent["expires_at_ms"]
        )


def _repeats(question: AskPolicy) -> bool:
    """Does the view show that the same was done, as another action?"""
    subject = question.subject
    return subject["side_effect"] != SideEffect.READ and any(
        (past["tool"], past["arguments_json"], past["status"])
        == (subject["tool"], subject["arguments_json"], "ok")
        and past["action_id"] != subject["action_id"]
        for past in question.view["actions"]
    )


def _read_back(subject: dict[str, Any], *, once_more: bool) -> ReadBack:
    number = msgspec.json.decode(subject["arguments_json"])["reservation"]
    value = BoundValue(name="reservation", value=f"48291{number}", kind="id")
    said = BoundValue(name="once_more", value=ONCE_MORE, kind="text")
    return ReadBack(
        text=read_back_text(subject["tool"], number, once_more=once_more),
        must_contain=(said, value) if once_more else (value,),
        once_more=ONCE_MORE if once_more else "",
        arguments_digest=subject["arguments_digest"],
        expires_after_ms=CONSENT_MS,
        clarify_max=2,
    )


class MemoryOf:
    """Implements `ports.Memory` for one process: it knows what is on the stream."""

    def __init__(self, stream: Stream, weather: Weather, process: Process) -> None:
        self._stream = stream
        self._weather = weather
        self._process = process

    async def packet(self, question: FetchPacket, pinned: Pinned) -> str | None:
        return None if await self._asked() == "away" else '{"summary":"sim"}'

    async def context(self, pinned: Pinned, *, min_epoch: int, min_seq: int) -> Remembered | None:
        mode = await self._asked()
        until_ms = self._weather.ms + MEMORY_WAIT_MS
        while max(self._stream.facts, default=(0, 0)) < (min_epoch, min_seq):
            # It waits for the fact that it is asked to include, and does not answer without it.
            if self._weather.ms >= until_ms:
                return None
            await self._weather.passes(50)
        await self._process.passes()
        if mode == "away" or not self._stream.order:
            return None
        last = max(self._stream.facts)
        slots = tuple(
            SlotValue(name=name, value_json='"1"', as_of_seq=last[1], at_ms=self._weather.now_ms)
            for name in ("topic", "status")
        )
        plan = self._plan(last) if mode == "plans" else None
        stale = STALE if self._weather.plan.stale and len(self._stream.order) % 2 else ()
        return Remembered(
            text="So far: sim.", slots=slots, as_of_epoch=last[0], as_of_seq=last[1], plan=plan, stale=stale
        )

    async def recall(self, pinned: Pinned, *, min_epoch: int, min_seq: int, budget_tokens: int) -> str | None:
        return "They called before." if await self._asked() != "away" else None

    async def _asked(self) -> str:
        await self._process.leaves()
        mode = self._weather.mode("memory")
        await self._weather.passes(1_900 if mode == "slow" else self._weather.delay_ms("memory", 15))
        await self._process.passes()
        return mode

    def _plan(self, last: tuple[int, int]) -> CompactionPlan | None:
        """Fold all but the last turns; calls only once they are over."""
        turns = self._stream.of("user_turn_ended", "agent_turn_ended")[:-3]
        if not turns:
            return None
        over = {fact.body.action_id for fact in self._stream.of("action_finished")}
        calls = [
            fact.body.call_id
            for fact in self._stream.of("action_requested")
            if fact.body.action_id in over and (fact.epoch, fact.seq) < (turns[-1].epoch, turns[-1].seq)
        ]
        return CompactionPlan(
            epoch=1 + len(self._stream.of("context_compacted")),
            covers_epoch=turns[-1].epoch,
            covers_seq=turns[-1].seq,
            item_ids=tuple(fact.body.item_id for fact in turns),
            call_ids=tuple(calls),
            compact_context="Earlier: sim.",
        )
