"""The person who looks into a call from a desk: what they do reaches whichever replica has it then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ringback_session.domain import upkeep
from ringback_session.domain.inputs import Input
from ringback_session.simulation.owners import Owner
from ringback_session.simulation.weather import Weather

__all__ = ["operate"]

ACTOR: Final = "desk"
_FIRST: Final[dict[str, Input]] = {
    "says": upkeep.OperatorSaid(actor=ACTOR, text="We are a little slow today."),
    "notes": upkeep.OperatorNoted(actor=ACTOR, text="They are a good customer."),
    "asks": upkeep.OperatorNoted(actor=ACTOR, text="Offer them a seat.", reply=True),
    "switches": upkeep.ToolsSwitched(off=("add_note",)),
    "takes_over": upkeep.OperatorTookOver(actor=ACTOR, reason="asked"),
    "transfers": upkeep.OperatorTransferred(actor=ACTOR, reason="billing"),
}
_THEN: Final[dict[str, Input]] = {
    "switches": upkeep.ToolsSwitched(off=()),
    "takes_over": upkeep.OperatorHandedBack(actor=ACTOR, note="It is settled."),
}


def operate(owners: Sequence[Owner], weather: Weather, what: str, *, for_ms: int) -> None:
    """Do something, and after a while what takes it back, if anything does."""
    _feed(owners, _FIRST[what])
    then = _THEN.get(what)
    if then is not None:
        weather.later(for_ms, lambda: _feed(owners, then))


def _feed(owners: Sequence[Owner], event: Input) -> None:
    for owner in owners:
        call = owner.call()
        if call is not None:
            owner.process.take(lambda call=call: call.feed(event))  # type: ignore[misc]
            return
