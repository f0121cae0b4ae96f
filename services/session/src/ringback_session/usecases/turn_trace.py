"""One trace per turn: begun with the turn, ended when nothing of it is left to do."""

from __future__ import annotations

from ringback_session.domain.recovery import idle
from ringback_session.domain.state import CallState
from ringback_session.ports import Tracing

__all__ = ["TurnTrace"]


class TurnTrace:
    """Follows the state of one call."""

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing
        self._turn_id = ""

    def follow(self, state: CallState) -> None:
        """Begin a trace when a turn began."""
        if state.turn_id and state.turn_id != self._turn_id:
            self._turn_id = state.turn_id
            self._tracing.begin_turn(
                {
                    "session_id": state.session_id,
                    "turn_id": state.turn_id,
                    "tenant": state.tenant,
                    "agent": state.agent,
                    "epoch": state.epoch,
                }
            )

    def end_if_idle(self, state: CallState) -> None:
        """End the turn's span once nobody waits for anything; what comes late still belongs to its trace."""
        if self._turn_id and idle(state):
            self._tracing.end_turn()
