"""One simulated call from its first word to its settled end, and what must hold of it then."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from ringback.events.v1 import events_pb2
from ringback.session.v1 import record_pb2

from ringback_session import wire_records
from ringback_session.domain import person_wait
from ringback_session.domain.rules import SideEffect
from ringback_session.domain.state import ActionPhase, CallState
from ringback_session.simulation.caller import Caller
from ringback_session.simulation.operators import operate
from ringback_session.simulation.owners import SESSION, Line, Owner, Surroundings, answer
from ringback_session.simulation.plan import TALK_MS, Move, Plan
from ringback_session.simulation.promises import broken_promises
from ringback_session.simulation.services import read_back_text
from ringback_session.simulation.tool_world import TOOLS
from ringback_session.simulation.virtual_loop import VirtualLoop, run_virtually
from ringback_session.simulation.weather import Weather

__all__ = ["Outcome", "simulate"]

OWNERS: Final = 2
HEALS_MS: Final = TALK_MS + 2_000
CALM_MS: Final = 30_000
ANSWERED_MS: Final = 40_000
SETTLED_MS: Final = 120_000
STALL_NOTICED_MS: Final = 3_000


@dataclass
class Outcome:
    """What came of one call. `violations` is empty when all was well."""

    violations: list[str]
    log: list[str] = field(default_factory=list)
    virtual_ms: int = 0
    digest: str = ""
    counts: Counter[str] = field(default_factory=Counter)


def simulate(plan: Plan, *, keeps_log: bool = False) -> Outcome:
    """Run one call in virtual time. The same plan always gives the same outcome."""
    worlds: list[World] = []

    async def runs(loop: VirtualLoop) -> Outcome:
        worlds.append(World(loop, plan, keeps_log=keeps_log))
        return await worlds[0].runs()

    try:
        outcome: Outcome = run_virtually(runs, seed=plan.seed)
    except Exception as error:
        # A defect of ours in what should never raise is a finding like others, and does not end a run of thousands.
        weather = worlds[0].weather
        weather.wrong(f"the call breaks off: {type(error).__name__}: {error}")
        return Outcome(weather.violations, weather.log, weather.ms)
    return outcome


class World:
    """Everything of one call."""

    def __init__(self, loop: VirtualLoop, plan: Plan, *, keeps_log: bool) -> None:
        self.weather = Weather(loop, plan, keeps_log=keeps_log)
        self.around = Surroundings(self.weather)
        self.owners = [Owner(self.around, f"session-{number}") for number in range(OWNERS)]
        self.caller = Caller(self.weather, self._dial, list(plan.answers))
        self._dials = 0
        self._lost_with_bus = False
        loop.set_exception_handler(self._failed)

    async def runs(self) -> Outcome:
        weather = self.weather
        self._dial(self.caller, "")
        self._tick()
        for move in weather.plan.moves:
            weather.later(move.at_ms, lambda move=move: self._makes(move))  # type: ignore[misc]
        await weather.passes(HEALS_MS)
        self._heal()
        if not self.caller.gone:
            await weather.passes(5_000)
            await self._comes_back()
            await self._is_answered()
            await self._is_left_alone()
            # A budget may have ended the call in between: the caller learns it from the tokens that lead nowhere.
            await self._comes_back()
            self._check_calm()
            self.caller.hangs_up()
        await self._settles()
        self._check_end()
        return self._outcome()

    # The moves.

    def _makes(self, move: Move) -> None:
        weather = self.weather
        if move.who == "caller":
            self.caller.says(move.arg) if move.what == "says" else self.caller.does(move.what)
            return
        weather.note("MOVE", str(move).split("ms  ", 1)[1])
        match move.who, move.what:
            case "line", what:
                self.caller.loses_line(10 if what == "breaks" else move.for_ms)
            case "owner", "dies":
                self._holder_at_word(move, self._dies)
            case "owner", "stalls":
                self._holder_at_word(move, self._stalls)
            case "model", "quirk":
                self.around.model.quirks.append(move.arg)
            case "model", "hears":
                self.around.model.hears.append(move.arg)
            case "operator", what:
                operate(self.owners, weather, what, for_ms=move.for_ms)
            case "model", "drops":
                self.around.model.drop()
            case who, mode:
                weather.begin(who, mode)
                weather.later(move.for_ms, lambda: weather.end(who, mode))

    def _holder_at_word(self, move: Move, do: Any) -> None:
        owner = next((owner for owner in self.owners if owner.call() is not None), None)
        if owner is not None:
            owner.process.after_words(int(move.arg or 0), lambda: do(owner, move.for_ms))

    def _dies(self, owner: Owner, for_ms: int) -> None:
        process = owner.process
        if not process.alive:
            return
        record = self._record()
        if record is not None and record.ended and self.weather.mode("bus") == "away":
            # Two faults at once: what it says of the end waits in the process, and nobody looks into the record again.
            self._lost_with_bus = True
        owner.dies()
        self.weather.later(for_ms, owner.starts_again)
        self.weather.later(30, lambda: self._line_to(process))

    def _stalls(self, owner: Owner, for_ms: int) -> None:
        process = owner.process
        if process.still or not process.alive:
            return
        self.weather.note(owner.name, "STANDS STILL")
        process.stall()
        self.weather.later(for_ms, lambda: self._goes_on(owner.name, process))
        if for_ms > STALL_NOTICED_MS:
            self.weather.later(STALL_NOTICED_MS, lambda: self._line_to(process))

    def _goes_on(self, name: str, process: Any) -> None:
        if process.still:
            self.weather.note(name, "goes on")
            process.go_on()

    def _line_to(self, process: Any) -> None:
        """The caller notices that nobody is there any more."""
        line = self.caller.line
        if isinstance(line, Line) and line.process is process and (process.still or not process.alive):
            self.caller.loses_line(10)

    def _heal(self) -> None:
        self.weather.note("MOVE", "all is well from here on")
        self.weather.clear()
        self.around.model.quirks.clear()
        self.around.model.hears.clear()
        for owner in self.owners:
            owner.process.spare()
            self._goes_on(owner.name, owner.process)
            owner.starts_again()

    def _dial(self, caller: Caller, old_token: str) -> None:
        self._dials += 1
        ready = [o for o in self.owners if o.process.alive and not o.process.still]
        if not ready:
            caller.dials_again(500)
            return
        owner = ready[self._dials % len(ready)]
        token = f"token-{self._dials}"
        self.weather.note("caller", f"dials {owner.name}" + (f" with {old_token}" if old_token else ""))
        line = Line(caller, owner)
        caller.connected(line, token)
        work = answer(line, token=token.encode(), old_token=old_token.encode())
        owner.process.take(lambda: _spawn(self.weather.loop, work))

    def _tick(self) -> None:
        next_ms = self.caller.ticks()
        if not self.caller.gone and not self.caller.over:
            self.weather.later(next_ms, self._tick)

    # What must hold.

    async def _comes_back(self) -> None:
        """A caller who was refused for long has many tokens to try, the one that leads back among the last."""
        until_ms = self.weather.ms + ANSWERED_MS
        while self.weather.ms < until_ms and not self.caller.over:
            # What is said on a line that is about to be refused, nobody hears.
            if isinstance(self.caller.line, Line) and self.caller.line.has_call:
                return
            await self.weather.passes(100)

    async def _is_answered(self) -> None:
        """Whatever happened before: whoever speaks now is answered."""
        caller, began_ms = self.caller, self.weather.ms
        caller.says("What is the weather?")
        while self.weather.ms < began_ms + ANSWERED_MS:
            await self.weather.passes(1_000)
            if caller.heard_ms > began_ms or caller.over:
                break
        else:
            if not self._handed_over():
                self.weather.wrong("the caller speaks and is not answered, though all is well again")
        await self.weather.passes(CALM_MS)

    async def _is_left_alone(self) -> None:
        """Without turn detection nobody answers what was put in, until the client asks for it."""
        caller, plan = self.caller, self.weather.plan
        calls = [call for owner in self.owners if (call := owner.call())]
        asked = any(call.state.open_consent() for call in calls)
        # Or nobody but the rule that asks a silent caller.
        prompted = plan.budget_tokens or plan.idle_ms
        if not plan.manual or plan.typed or prompted or caller.over or asked or self._handed_over():
            return
        before = set(caller.responses)
        caller.mutters()
        await self.weather.passes(CALM_MS // 2)
        if caller.responses - before:
            self.weather.wrong("the caller is answered, and the client has not asked for it")
        began_ms = self.weather.ms
        caller.sends("response.create")
        await self.weather.passes(CALM_MS)
        if caller.heard_ms < began_ms and not caller.over:
            self.weather.wrong("the client asks for an answer to what was put in, and gets none")

    def _handed_over(self) -> bool:
        """Has a person the call, or nobody any more?"""
        return any(call.state.agent_silent for owner in self.owners if (call := owner.call()))

    def _check_calm(self) -> None:
        """Nobody speaks, nothing is wrong: nothing waits."""
        if self.caller.over:
            return
        calls = [call for owner in self.owners if (call := owner.call())]
        if len(calls) != 1:
            self.weather.wrong(f"{len(calls)} owners hold the call, though all is well again")
            return
        state = calls[0].state
        awaited = person_wait.awaited(state) and not state.account.spent
        if awaited and self.weather.plan.person_ms:
            self.weather.wrong("the caller still waits for a person, and was not told that none comes")
        if state.team.consultation is not None and not state.open_actions():
            self.weather.wrong("a supervisor is still thinking")
        for action in state.open_actions():
            if action.phase is not ActionPhase.CONFIRMING:
                self.weather.wrong(f"{action.tool} is still {action.phase}")
            elif state.open_consent() is None:
                self.weather.wrong(f"{action.tool} waits for a yes that nobody asks for")
        self._check_model(state)

    def _check_model(self, state: CallState) -> None:
        open_now = [c for c in self.around.model.connections if c.open]
        # One serves; another may be at hand for when that one ends.
        if not 1 <= len(open_now) <= (2 if self.weather.plan.model_lasts_ms else 1):
            self.weather.wrong(f"{len(open_now)} connections to the model are open")
        waiting = {call_id for action in state.open_actions() for call_id in action.call_ids}
        waiting |= self.caller.withdrawn
        for connection in open_now:
            for call_id, outputs in connection.calls.items():
                if not outputs and call_id not in connection.forgotten | waiting:
                    self.weather.wrong(f"the model's call {call_id} got no output")

    async def _settles(self) -> None:
        until_ms = self.weather.ms + SETTLED_MS
        while self.weather.ms < until_ms:
            record = self._record()
            if record is not None and record.ended:
                break
            await self.weather.passes(1_000)
        else:
            if self._record() is not None:
                self.weather.wrong("the call does not end")
        await self.weather.passes(20_000)

    def _record(self) -> Any:
        entry = self.around.bucket.entries.get(f"record.{SESSION}")
        if entry is None:
            return None
        return wire_records.record_from(record_pb2.SessionRecord.FromString(entry.value), entry.revision)

    def _check_end(self) -> None:
        record = self._record()
        if record is None:
            return
        self._check_once()
        if not self._lost_with_bus:
            self._check_facts()
            self._check_effects()
            for what in broken_promises(self.around.stream.order):
                self.weather.wrong(what)
        for owner in self.owners:
            if owner.process.alive and owner.calls.running:
                self.weather.wrong(f"{owner.name} still holds the call that has ended")

    def _check_facts(self) -> None:
        stream = self.around.stream
        lasts = Counter[int]()
        for epoch, seq in stream.facts:
            lasts[epoch] = max(lasts[epoch], seq)
        for epoch, last in lasts.items():
            missing = [seq for seq in range(1, last + 1) if (epoch, seq) not in stream.facts]
            if missing:
                self.weather.wrong(f"facts {missing[:5]} of epoch {epoch} are lost ({last} is there)")
        if not stream.of("session_ended"):
            self.weather.wrong("the call has ended, and no fact says so")

    def _check_once(self) -> None:
        happened = Counter(self.around.tools.effects)
        asked_first = self.weather.plan.client_tools == "confirm"
        if asked_first:
            happened += Counter(self.caller.asked_to_run)
        for (tool, arguments), times in happened.items():
            number = msgspec.json.decode(arguments)["reservation"]
            if asked_first and tool not in TOOLS and not self._said_yes(f"48291{number}"):
                self.weather.wrong(
                    f"{tool} {arguments} is handed to the client, and the caller never said yes to it"
                )
            words = read_back_text(tool, number, once_more=True)
            # Each time but the first on a yes of its own, said by a caller who has heard that it is one time more,
            # also behind other words: "Are you still there?"
            agreed = len({said.item_id for said in self.caller.yeses if said.words.endswith(words)})
            if times > 1 + agreed:
                self.weather.wrong(f"{tool} {arguments} happened {times} times, {agreed} of them once more")

    def _check_effects(self) -> None:
        tools, stream = self.around.tools, self.around.stream
        finished = {fact.body.action_id for fact in stream.of("action_finished")}
        allowed = {fact.body.action_id for fact in stream.of("action_decided") if fact.body.effect == "ALLOW"}
        agreed = {
            fact.body.action_id
            for fact in stream.of("consent_answered")
            if fact.body.reading == events_pb2.CONSENT_READING_YES
        }
        for run in tools.runs.values():
            action = run.action
            if action.side_effect is SideEffect.READ:
                continue
            name = f"{action.tool} {action.arguments_json}"
            if action.action_id not in allowed:
                self.weather.wrong(f"{name} ran, and no fact says that it was decided")
            if action.action_id not in finished:
                self.weather.wrong(f"{name} ran, and no fact says what became of it")
            if action.side_effect is SideEffect.IRREVERSIBLE:
                if action.action_id not in agreed:
                    self.weather.wrong(f"{name} ran, and no fact says that the caller agreed")
                value = f"48291{action.arguments_json.partition(':')[2].strip('}').strip(chr(34))}"
                if not self._said_yes(value):
                    self.weather.wrong(f"{name} ran, and the caller never said yes to it")

    def _said_yes(self, value: str) -> bool:
        return any(said.value == value for said in self.caller.yeses)

    # The outcome.

    def _outcome(self) -> Outcome:
        weather, stream = self.weather, self.around.stream
        counts = Counter(fact.kind for fact in stream.order)
        effects, handed_over = self.around.tools.effects, self.caller.asked_to_run
        counts["effects"] = len(effects)
        counts["once_more"] = len(effects) - len(set(effects)) + len(handed_over) - len(set(handed_over))
        digest = hashlib.sha256(
            "\n".join(f"{fact.epoch} {fact.seq} {fact.kind}" for fact in stream.order).encode()
        ).hexdigest()
        return Outcome(weather.violations, weather.log, weather.ms, digest, counts)

    def _failed(self, loop: Any, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        self.weather.wrong(f"{context.get('message')}: {type(error).__name__}: {error}")


def _spawn(loop: VirtualLoop, work: Any) -> None:
    loop.create_task(work)
