"""What must hold of a promised person, by the facts of a whole simulated call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ringback_session.domain.person_wait import CALL_BACK
from ringback_session.simulation.stores import Fact

__all__ = ["broken_promises"]

_GIVEN = ("take_over", "hand_back")


def broken_promises(facts: Sequence[Fact]) -> Iterator[str]:
    """Who waits for a person to the end of the call is to be called back, once for each time one was promised.

    An owner that could not write down the end tells of it all the same, and so does the next one: of the same task.
    """
    waits, promised = False, 0
    owed = set[str]()
    for fact in sorted(facts, key=lambda fact: (fact.epoch, fact.seq)):
        body = fact.body
        match fact.kind:
            case "escalated_to_person":
                if not body.packet_json:
                    yield "a person is sought, and gets to know nothing of the call"
                waits, promised = True, promised + 1
            case "operator_acted" if body.action in _GIVEN:
                waits = False
            case "task_opened" if body.title.startswith(CALL_BACK):
                owed.add(body.task_id)
                waits = False
            case "session_ended" if waits:
                yield "the call ends while the caller waits for a person, and nobody is to call them back"
            case _:
                pass
    if len(owed) > promised:
        yield f"{len(owed)} calls back are owed, and {promised} times a person was promised"
