"""What a person may do with the calls of this replica; every act, also a refused one, is a fact of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from ringback_errors import Conflict, InvalidInput, NotFound, Overloaded, RingbackError

from ringback_session.domain.desk_state import Desk
from ringback_session.domain.inputs import Input
from ringback_session.domain.state import SPEECHES_QUEUED_MAX
from ringback_session.domain.upkeep import (
    OperatorEnded,
    OperatorHandedBack,
    OperatorNoted,
    OperatorSaid,
    OperatorTookOver,
    OperatorTransferred,
)
from ringback_session.ports import Packs
from ringback_session.ports_upkeep import Control
from ringback_session.usecases.call import Call
from ringback_session.usecases.calls import Calls

__all__ = ["Act", "Operators"]

TEXT_CHARS_MAX = 2_000
NAME_CHARS_MAX = 200
ROLES = ("system", "assistant")


class Act(msgspec.Struct, frozen=True):
    """Who does something to which call, and why."""

    session_id: str
    actor: str
    reason: str = ""


class Operators:
    """Raises InvalidInput, NotFound (no such call here), Overloaded, and Conflict when another person has the call.

    `force` acts on it all the same, as far as an act can be forced; to end a call is always possible.
    """

    def __init__(self, calls: Calls, control: Control, packs: Packs) -> None:
        self._calls = calls
        self._control = control
        self._packs = packs

    def find(self, session_id: str) -> Call:
        call = self._calls.running.get(session_id)
        if call is None or call.over:
            raise NotFound("no replica holds such a session", field="session_id")
        return call

    def take_over(self, act: Act, *, force: bool = False) -> None:
        """From now on `act.actor` has the call."""
        holder = self._other_holder(act)

        def took_over() -> Input:
            _refuse(holder, force=force, hint="force takes it from them")
            return OperatorTookOver(actor=act.actor, reason=act.reason)

        self._do("take_over", act, took_over, detail=_from(holder))

    def hand_back(self, act: Act, *, note: str = "", force: bool = False) -> None:
        holder = self._other_holder(act)

        def handed_back() -> Input:
            _refuse(holder, force=force)
            state = self.find(act.session_id).state
            if not state.desk.actor and not state.handed_over:
                raise InvalidInput("nobody has taken this call over", field="session_id")
            return OperatorHandedBack(
                actor=act.actor, reason=act.reason, note=_text(note, "note", empty=True)
            )

        self._do("hand_back", act, handed_back, detail=_from(holder, note))

    def say(self, act: Act, text: str, *, force: bool = False) -> None:
        holder = self._other_holder(act)

        def said() -> Input:
            _refuse(holder, force=force)
            if len(self.find(act.session_id).state.speeches) >= SPEECHES_QUEUED_MAX:
                raise Overloaded(
                    f"{SPEECHES_QUEUED_MAX} lines wait to be spoken already", retry_after_ms=2_000
                )
            return OperatorSaid(actor=act.actor, reason=act.reason, text=_text(text, "text"))

        self._do("say", act, said, detail=_from(holder, text, how="beside"))

    def note(self, act: Act, text: str, *, role: str, reply: bool, force: bool = False) -> None:
        holder = self._other_holder(act)

        def noted() -> Input:
            _refuse(holder, force=force)
            if role not in ROLES:
                raise InvalidInput(f"expected {' or '.join(ROLES)}", field="role")
            return OperatorNoted(
                actor=act.actor, reason=act.reason, text=_text(text, "text"), role=role, reply=reply
            )

        self._do("note", act, noted, detail=_from(holder, text, how="beside"))

    async def transfer(self, act: Act, *, agent: str, force: bool = False) -> None:
        """To an agent of the call's pack; to a person when `agent` is empty."""
        running = self._calls.running.get(act.session_id)
        known = await self._agents_of(running) if agent and running is not None else frozenset()
        holder = self._other_holder(act)

        def transferred() -> Input:
            _refuse(holder, force=force)
            state = self.find(act.session_id).state
            if not agent and state.handed_over and not state.desk.actor:
                raise Conflict("this call waits for a person already", field="agent")
            if agent and agent not in known:
                raise InvalidInput(
                    f"expected one of {', '.join(sorted(known)) or 'no agents'}", field="agent"
                )
            return OperatorTransferred(actor=act.actor, reason=act.reason, agent=agent)

        self._do("transfer", act, transferred, detail=_from(holder, agent or "person"))

    def end(self, act: Act) -> None:
        self._do("end", act, lambda: OperatorEnded(actor=act.actor, reason=act.reason))
        self.find(act.session_id).end(act.reason or "ended_by_operator")

    def drained(self, act: Act) -> None:
        self._control.operator_acted("drain", act.actor, act.reason)

    def _other_holder(self, act: Act) -> str | None:
        """Who else has the call, and since when."""
        call = self._calls.running.get(act.session_id)
        desk = call.state.desk if call is not None else Desk()
        if desk.actor in ("", act.actor):
            return None
        since = datetime.fromtimestamp(desk.since_ms // 1000, UTC)
        return f"{desk.actor} (since {since:%Y-%m-%dT%H:%M:%SZ})"

    async def _agents_of(self, call: Call) -> frozenset[str]:
        outlines = (await self._packs.pinned(call.state.pack_digest)).graph.outlines
        return frozenset(name for name, outline in outlines.items() if outline.speaks)

    def _do(self, action: str, act: Act, make: Callable[[], Input], *, detail: str = "") -> None:
        outcome = "ok"
        try:
            if not act.actor or len(act.actor) > NAME_CHARS_MAX:
                raise InvalidInput("expected who does this", field="actor")
            if len(act.reason) > TEXT_CHARS_MAX:
                raise InvalidInput(f"expected at most {TEXT_CHARS_MAX} characters", field="reason")
            call = self.find(act.session_id)
            if call.state.ended:
                raise NotFound("this call has ended", field="session_id")
            call.feed(make())
        except RingbackError as error:
            outcome = error.code
            raise
        finally:
            found = self._calls.running.get(act.session_id)
            self._control.operator_acted(
                action,
                act.actor[:NAME_CHARS_MAX],
                act.reason[:TEXT_CHARS_MAX],
                detail=detail[:TEXT_CHARS_MAX],
                session_id=act.session_id,
                tenant=found.state.tenant if found is not None else "",
                outcome=outcome,
            )


def _refuse(holder: str | None, *, force: bool, hint: str = "take it over first, or use force") -> None:
    if holder is not None and not force:
        raise Conflict(f"{holder} has this call: {hint}", field="force")


def _from(holder: str | None, detail: str = "", *, how: str = "from") -> str:
    """What the audit tells of an act on a call that another person has."""
    return ": ".join(part for part in (f"{how} {holder}" if holder else "", detail) if part)


def _text(text: str, field: str, *, empty: bool = False) -> str:
    said = text.strip()
    if (not said and not empty) or len(said) > TEXT_CHARS_MAX:
        raise InvalidInput(f"expected 1 to {TEXT_CHARS_MAX} characters", field=field)
    return said
