"""One step of the core: the state, the moment, and the effects that gather."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ringback_session.domain.effects import Effects, Publish
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import CallState

__all__ = ["SAMPLES_PER_MS", "Step"]

# 24 kHz, the one rate of PCM16 in the protocol.
SAMPLES_PER_MS = 24


@dataclass(slots=True)
class Step:
    """What every rule of the core works on."""

    state: CallState
    at: At
    effects: Effects = field(default_factory=list)

    escalation: tuple[str, str, str] | None = None

    def escalate(self, reason: str, *, rule: str, say: str = "") -> None:
        """A person must take over; done at the end of the step, once."""
        if self.escalation is None and not self.state.person_reason:
            self.escalation = (reason, rule, say)

    def applied(self, rule: RuleName, outcome: str, /, **what: Any) -> None:
        """A turn rule took effect: counted, as a fact."""
        self.publish("turn_rule_applied", rule=rule.value, outcome=outcome, **what)

    def publish(self, kind: str, /, *, in_turn: str = "", **body: Any) -> None:
        """A fact of the call, numbered as it is made; of an earlier turn than this one, if one is named."""
        state = self.state
        state.seq += 1
        self.effects.append(
            Publish(
                kind=kind,
                seq=state.seq,
                epoch=state.epoch,
                turn_id=in_turn or state.turn_id,
                agent=state.agent,
                at_ms=self.at.now_ms,
                body=body,
            )
        )
