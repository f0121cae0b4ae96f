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
    """Raises InvalidInput, NotFound (no such call here), Conflict, Overloaded."""

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
        """Raises Conflict when another person has the call, unless `force`."""
        holder = self._other_holder(act)

        def took_over() -> Input:
            if holder is not None and not force:
                raise Conflict(f"{holder} has this call: force takes it from them", field="force")
            return OperatorTookOver(actor=act.actor, reason=act.reason)

        self._do("take_over", act, took_over, detail=f"from {holder}" if holder else "")

    def hand_back(self, act: Act, *, note: str = "") -> None:
        def handed_back() -> Input:
            state = self.find(act.session_id).state
            if not state.desk.actor and not state.handed_over:
                raise InvalidInput("nobody has taken this call over", field="session_id")
            return OperatorHandedBack(
                actor=act.actor, reason=act.reason, note=_text(note, "note", empty=True)
            )

        self._do("hand_back", act, handed_back, detail=note)

    def say(self, act: Act, text: str) -> None:
        def said() -> Input:
            if len(self.find(act.session_id).state.speeches) >= SPEECHES_QUEUED_MAX:
                raise Overloaded(
                    f"{SPEECHES_QUEUED_MAX} lines wait to be spoken already", retry_after_ms=2_000
                )
            return OperatorSaid(actor=act.actor, reason=act.reason, text=_text(text, "text"))

        self._do("say", act, said, detail=text)

    def note(self, act: Act, text: str, *, role: str, reply: bool) -> None:
        def noted() -> Input:
            if role not in ROLES:
                raise InvalidInput(f"expected {' or '.join(ROLES)}", field="role")
            return OperatorNoted(
                actor=act.actor, reason=act.reason, text=_text(text, "text"), role=role, reply=reply
            )

        self._do("note", act, noted, detail=text)

    async def transfer(self, act: Act, *, agent: str) -> None:
        """To an agent of the call's pack; to a person when `agent` is empty."""
        known = await self._agents_of(self.find(act.session_id)) if agent else frozenset()

        def transferred() -> Input:
            if agent and agent not in known:
                raise InvalidInput(
                    f"expected one of {', '.join(sorted(known)) or 'no agents'}", field="agent"
                )
            return OperatorTransferred(actor=act.actor, reason=act.reason, agent=agent)

        self._do("transfer", act, transferred, detail=agent or "person")

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


def _text(text: str, field: str, *, empty: bool = False) -> str:
    said = text.strip()
    if (not said and not empty) or len(said) > TEXT_CHARS_MAX:
        raise InvalidInput(f"expected 1 to {TEXT_CHARS_MAX} characters", field=field)
    return said
