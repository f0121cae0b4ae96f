"""Owns the replay: each recorded write is decided, consented to or not, and executed, on the state of the recording."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from ringback.policy.v1 import policy_pb2
from ringback.tools.v1 import tools_pb2
from ringback_errors import InvalidInput
from ringback_identity import Canonical, action_id, canonical_arguments, canonical_json, new_id
from ringback_packs import ToolSpec

from ringback_cli.guard.answered import changed_since_answer, names_action
from ringback_cli.guard.desk import TENANT, Desk
from ringback_cli.guard.evidence import Evidence, SlotWords, caller_id, slots_of
from ringback_cli.guard.recordings import PastCall, Story, Write
from ringback_cli.guard.tables import Tables

__all__ = ["Judged", "Replay"]

FACT_ROUNDS_MAX = 3
PAST_ACTIONS_MAX = 32
CONSENT_MS = 60_000
_EFFECTS = {
    policy_pb2.EFFECT_ALLOW: "allow",
    policy_pb2.EFFECT_CONFIRM: "confirm",
    policy_pb2.EFFECT_ESCALATE: "escalate",
    policy_pb2.EFFECT_DENY: "deny",
}
_CLASSES = {
    "read": policy_pb2.SIDE_EFFECT_READ,
    "write": policy_pb2.SIDE_EFFECT_WRITE,
    "irreversible": policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
}
_READINGS = {
    policy_pb2.CONSENT_READING_YES: "yes",
    policy_pb2.CONSENT_READING_NO: "no",
    policy_pb2.CONSENT_READING_CORRECTION: "correction",
    policy_pb2.CONSENT_READING_UNCLEAR: "unclear",
}


@dataclass(frozen=True)
class Judged:
    """What became of one write. `undecidable`: it rests on something that was only told."""

    story: Story
    write: Write
    decision: str
    executed: bool = False
    rules: tuple[str, ...] = ()
    reason: str = ""
    undecidable: bool = False

    def as_json(self) -> dict[str, Any]:
        """One line of the results."""
        return {
            "source": self.story.source,
            "index": self.story.index,
            "call_id": self.write.call_id,
            "tool": self.write.tool,
            "arguments": dict(self.write.arguments),
            "decision": self.decision,
            "executed": self.executed,
            "rules": list(self.rules),
            "reason": self.reason,
            "undecidable": self.undecidable,
        }


@dataclass
class _Asking:
    """One write on its way through policy."""

    write: Write
    spec: ToolSpec
    arguments: Canonical
    action_id: str
    view: policy_pb2.SessionView
    evidence: Sequence[Evidence]
    facts: list[policy_pb2.Fact] = field(default_factory=list)


class Replay:
    """Replays stories one after the other; every question to policy is kept in `questions` for a replay diff."""

    def __init__(self, desk: Desk, *, slots: Mapping[str, SlotWords], tables: Tables) -> None:
        self._desk = desk
        self._slots = slots
        self._tables = tables
        self._tools = {tool.name: tool for tool in desk.pack.tools}
        self.questions: list[policy_pb2.DecideRequest] = []

    async def story(self, story: Story) -> list[Judged]:
        """All writes of one run or task, from the recorded state on."""
        if not story.writes:
            return []
        await self._desk.reset()
        session_id, done, judged = new_id("sess"), list[Write](), list[Judged]()
        for write in story.writes:
            one = await self._write(story, write, session_id)
            judged.append(one)
            done += [write] if write.succeeded else []
            if one.executed != write.succeeded:
                # The recording went on otherwise than this replay: its own state is what comes next.
                await self._as_recorded(done)
        return judged

    async def _as_recorded(self, done: Sequence[Write]) -> None:
        await self._desk.reset()
        for write in done:
            await self._desk.apply(write.tool, write.arguments)

    async def _write(self, story: Story, write: Write, session_id: str) -> Judged:
        spec = self._tools[write.tool]
        if write.unreadable:
            return Judged(story, write, "deny", rules=("arguments",), reason=write.unreadable)
        try:
            arguments = canonical_arguments(write.arguments, spec.parameters)
        except InvalidInput as error:
            return Judged(story, write, "deny", rules=("arguments",), reason=str(error))
        asking = self._asking(story, write, spec, arguments, session_id)
        answer = await self._decide(asking)
        if answer.effect == policy_pb2.EFFECT_ALLOW:
            return await self._execute(story, asking, answer)
        if answer.effect != policy_pb2.EFFECT_CONFIRM:
            return _judged(story, write, answer, reason=answer.reason)
        objection = await self._consent(story, asking, answer)
        if objection:
            return _judged(story, write, answer, reason=objection)
        allowed = await self._decide(asking, consent=self._given(asking))
        if allowed.effect != policy_pb2.EFFECT_ALLOW:
            return _judged(story, write, allowed, reason=allowed.reason)
        return await self._execute(story, asking, allowed, states=answer.read_back.states)

    async def _consent(self, story: Story, asking: _Asking, answer: policy_pb2.DecideResponse) -> str:
        """Why what was said is no yes to this action; empty when it is one."""
        write, made = asking.write, answer.read_back
        if story.source == "task":
            read_back, said = made.text, "Yes."
        else:
            read_back, said = write.read_back, write.answer
            if made.states:
                return f"the read-back did not state: {made.states}"
            # The desk of a recording had no template; but a yes to words about something else is none to this.
            if not names_action(read_back, write.arguments):
                return "the read-back names nothing of this action"
            if changed_since_answer(write):
                return "the arguments are others than those that were answered"
        reading = await self._desk.read_consent(
            policy_pb2.ReadConsentRequest(
                tenant=TENANT,
                session_id=asking.view.session_id,
                consent_id=new_id("con"),
                bundle_digest=self._desk.bundle_digest,
                read_back=read_back,
                utterance=said,
                # Written words were not recognised: there is nothing to doubt.
                confidence=1.0,
                bound_values=made.must_contain,
                side_effect=_CLASSES[asking.spec.side_effect],
            )
        )
        if reading.reading == policy_pb2.CONSENT_READING_YES:
            return ""
        return f"the answer is {_READINGS.get(reading.reading, 'unclear')}: {reading.evidence}"

    async def _decide(
        self, asking: _Asking, *, consent: policy_pb2.Consent | None = None
    ) -> policy_pb2.DecideResponse:
        """Asks until no fact is missing; each is fetched through tools."""
        for _ in range(FACT_ROUNDS_MAX):
            request = self._request(asking, consent)
            answer = await self._desk.decide(request)
            if not answer.needs_facts:
                self.questions.append(request)
                return answer
            for need in answer.needs_facts:
                asking.facts.append(await self._fact(asking, need))
        return policy_pb2.DecideResponse(
            effect=policy_pb2.EFFECT_DENY, rule="needs-facts", reason="more rounds of facts than are allowed"
        )

    async def _fact(self, asking: _Asking, need: policy_pb2.FactNeed) -> policy_pb2.Fact:
        result = await self._desk.execute(
            tools_pb2.ExecuteRequest(
                session_id=asking.view.session_id,
                action_id=new_id("act"),
                tool=need.tool,
                tool_version=self._tools[need.tool].version,
                arguments_json=need.arguments_json,
            )
        )
        found = result.status == tools_pb2.STATUS_OK
        return policy_pb2.Fact(
            name=need.name,
            tool=need.tool,
            arguments_json=need.arguments_json,
            value_json=result.data_json if found else "",
            unavailable=not found,
        )

    async def _execute(
        self, story: Story, asking: _Asking, answer: policy_pb2.DecideResponse, *, states: str = ""
    ) -> Judged:
        request = tools_pb2.ExecuteRequest(
            session_id=asking.view.session_id,
            action_id=asking.action_id,
            tool=asking.write.tool,
            tool_version=asking.spec.version,
            arguments_json=asking.arguments.json,
        )
        if answer.HasField("proof"):
            request.proof.CopyFrom(answer.proof)
        result = await self._desk.execute(request)
        executed = result.status == tools_pb2.STATUS_OK
        reason = answer.reason if executed else f"refused by the system: {result.message or result.detail}"
        if states:
            reason = f"{reason}; undecidable here, covered by the read-back: {states}"
        return _judged(
            story, asking.write, answer, reason=reason, executed=executed, undecidable=bool(states)
        )

    def _request(self, asking: _Asking, consent: policy_pb2.Consent | None) -> policy_pb2.DecideRequest:
        request = policy_pb2.DecideRequest(
            decision_id=new_id("dec"),
            gate=policy_pb2.GATE_ACTION,
            tenant=TENANT,
            bundle_digest=self._desk.bundle_digest,
            session=asking.view,
            facts=asking.facts,
            now=_stamp(_now_ms()),
        )
        request.action.action_id = asking.action_id
        request.action.tool = asking.write.tool
        request.action.tool_version = asking.spec.version
        request.action.arguments_json = asking.arguments.json
        request.action.arguments_digest = asking.arguments.digest
        request.action.side_effect = _CLASSES[asking.spec.side_effect]
        if consent is not None:
            request.action.consent.CopyFrom(consent)
        return request

    def _given(self, asking: _Asking) -> policy_pb2.Consent:
        now_ms = _now_ms()
        return policy_pb2.Consent(
            consent_id=new_id("con"),
            arguments_digest=asking.arguments.digest,
            given_at=_stamp(now_ms),
            expires_at=_stamp(now_ms + CONSENT_MS),
        )

    def _caller(self, story: Story, write: Write) -> str:
        """Who called: as told, else as looked up; a task's correct actions are asked for by whom they are about."""
        if story.source == "task":
            about = [write.arguments, *(call.arguments for call in reversed(write.before))]
            return next(filter(None, map(self._tables.customer_of, about)), "")
        looked_up = (
            str(call.arguments.get("user_id", ""))
            for call in reversed(write.before)
            if call.succeeded and call.tool == "get_user_details"
        )
        return caller_id(write, self._tables.user_ids) or next(looked_up, "")

    def _asking(
        self, story: Story, write: Write, spec: ToolSpec, arguments: Canonical, session_id: str
    ) -> _Asking:
        same = [call for call in write.before if (call.tool, call.arguments) == (write.tool, write.arguments)]
        own_id = action_id(
            session_id=session_id,
            tool=write.tool,
            major_version=spec.major_version,
            arguments_digest=arguments.digest,
            ordinal=len(same) + 1,
        )
        evidence = slots_of(write.said, self._slots)
        view = _view(write, session_id, evidence, caller=self._caller(story, write))
        view.pack = self._desk.pack.name
        return _Asking(write, spec, arguments, own_id, view, evidence)


def _view(
    write: Write, session_id: str, evidence: Sequence[Evidence], *, caller: str
) -> policy_pb2.SessionView:
    view = policy_pb2.SessionView(
        session_id=session_id,
        tenant=TENANT,
        agent="desk",
        turn=sum(1 for one in write.said if one.speaker == "caller"),
        epoch=1,
    )
    view.caller.caller_id, view.caller.auth_level = caller, int(bool(caller))
    for at, call in enumerate(write.before[-PAST_ACTIONS_MAX:]):
        view.actions.add(
            action_id=f"act_{at}",
            tool=call.tool,
            status="ok" if call.succeeded else "failed",
            arguments_json=canonical_json(call.arguments),
        )
    for tool in dict.fromkeys(call.tool for call in write.before):
        own = [call for call in write.before if call.tool == tool]
        view.totals.add(tool=tool, requested=len(own), succeeded=_count(own, True), failed=_count(own, False))
    for known in evidence:
        view.slots.add(name=known.slot, value_json=canonical_json(known.value), confidence=1.0)
    return view


def _count(calls: Sequence[PastCall], succeeded: bool) -> int:
    return sum(1 for call in calls if call.succeeded is succeeded)


def _judged(
    story: Story,
    write: Write,
    answer: policy_pb2.DecideResponse,
    *,
    reason: str,
    executed: bool = False,
    undecidable: bool = False,
) -> Judged:
    stated = bool(answer.read_back.states)
    return Judged(
        story,
        write,
        _EFFECTS.get(answer.effect, "deny"),
        executed,
        (answer.rule,) if answer.rule else (),
        reason,
        undecidable or stated,
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _stamp(at_ms: int) -> Timestamp:
    return Timestamp(seconds=at_ms // 1000, nanos=at_ms % 1000 * 1_000_000)
