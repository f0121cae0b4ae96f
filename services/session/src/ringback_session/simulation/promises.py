"""What must hold of a promised person, by the facts of a whole simulated call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ringback_session.domain.person_wait import CALL_BACK
from ringback_session.simulation.stores import Fact

__all__ = ["broken_promises"]

_GIVEN = ("take_over", "hand_back")


def broken_promises(facts: Sequence[Fact]) -> Iterator[str]:
    """Who waits for a person to the end of the call is to be called back; nobody is asked twice for the same."""
    waits = False
    tasks = set[str]()
    for fact in sorted(facts, key=lambda fact: (fact.epoch, fact.seq)):
        body = fact.body
        match fact.kind:
            case "escalated_to_person":
                if not body.packet_json:
                    yield "a person is sought, and gets to know nothing of the call"
                waits = True
            case "operator_acted" if body.action in _GIVEN:
                waits = False
            case "task_opened":
                if body.task_id in tasks:
                    yield f"task {body.task_id} is opened twice"
                tasks.add(body.task_id)
                waits = waits and not body.title.startswith(CALL_BACK)
            case "session_ended" if waits:
                yield "the call ends while the caller waits for a person, and nobody is to call them back"
