"""Calls and what they used ↔ `session.v1`."""

from __future__ import annotations

from ringback.session.v1 import session_pb2

from ringback_session.domain.state import CallState, ConsentPhase
from ringback_session.domain.usage import ModelUsage, Tokens
from ringback_session.ports import Record
from ringback_session.ports_upkeep import DaySpend, Present
from ringback_session.wire import timestamp

__all__ = ["day_row", "info", "model_row", "phase_of", "recorded", "unheld"]

LINES_TOLD = 12
_NANO_IN_PICO = 1_000


def phase_of(state: CallState) -> str:
    """One word for what the call is doing."""
    asked = state.open_consent()
    if state.desk.actor:
        return "operator"
    if state.handed_over:
        return "handed_over"
    if state.caller_speaking:
        return "listening"
    if asked is not None and asked.phase is not ConsentPhase.CLARIFYING:
        return "confirming"
    if state.open_actions():
        return "acting"
    if state.reply is not None or state.speeches:
        return "speaking"
    waiting = state.utterance is not None and not state.utterance.cleared
    return "thinking" if waiting or state.next_reply else "idle"


def info(
    state: CallState, *, owner: str, address: str, connected: bool, transcript: bool = False
) -> session_pb2.SessionInfo:
    asked, usage = state.open_consent(), state.account.usage
    spoken = [entry for entry in state.history if entry.kind == "message" and entry.text]
    return session_pb2.SessionInfo(
        session_id=state.session_id,
        tenant=state.tenant,
        pack=state.pack,
        agent=state.agent,
        epoch=state.epoch,
        seq=state.seq,
        turn=state.turn,
        phase=phase_of(state),
        started_at=timestamp(state.started_at_ms),
        open_actions=[action.action_id for action in state.open_actions()],
        open_consent=asked.consent_id if asked is not None else "",
        owner=owner,
        owner_address=address,
        operator=state.desk.actor,
        connected=connected,
        tokens=usage.tokens,
        cost_nano_usd=usage.cost_pico // _NANO_IN_PICO,
        unpriced=usage.unpriced,
        transcript=[
            session_pb2.TranscriptLine(role=entry.role, text=entry.text)
            for entry in (spoken[-LINES_TOLD:] if transcript else ())
        ],
    )


def unheld(present: Present, *, reached: bool) -> session_pb2.SessionInfo:
    """All that is known at once of a session that nobody tells of; `reached`: its owner, who has let go of it."""
    return session_pb2.SessionInfo(
        session_id=present.session_id,
        tenant=present.tenant,
        epoch=present.epoch,
        phase=_unheld_phase(reached),
        owner=present.owner,
        owner_address=present.owner_address,
    )


def recorded(record: Record, state: CallState, *, reached: bool) -> session_pb2.SessionInfo:
    """The same of one session, with what its record holds of it."""
    told = info(state, owner=record.owner, address=record.owner_address, connected=False, transcript=True)
    told.epoch, told.phase = record.epoch, _unheld_phase(reached)
    return told


def _unheld_phase(reached: bool) -> str:
    return "waiting" if reached else "unreachable"


def model_row(model: str, usage: ModelUsage) -> session_pb2.UsageRow:
    return _row(model, usage.tokens, usage.reports, usage.cost_pico, usage.unpriced)


def day_row(spent: DaySpend) -> session_pb2.UsageRow:
    return _row(spent.day, spent.tokens, spent.reports, spent.cost_pico, spent.unpriced)


def _row(of: str, tokens: Tokens, reports: int, cost_pico: int, unpriced: int) -> session_pb2.UsageRow:
    row = session_pb2.UsageRow(
        of=of, reports=reports, cost_nano_usd=cost_pico // _NANO_IN_PICO, unpriced=unpriced
    )
    for name in tokens.__struct_fields__:
        setattr(row, name, getattr(tokens, name))
    return row
