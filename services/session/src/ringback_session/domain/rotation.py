"""Replacing the model's connection before its provider ends it: at a turn boundary, else at the last moment.

none ── due ──▶ preparing ── connected ──▶ ready ── boundary, or the last moment ──▶ none, the new one serves
          ▲          │
          └─ later ──┘ not to be had
"""

from __future__ import annotations

from ringback_session.domain import playback, recovery
from ringback_session.domain.effects import Persist, PrepareModel, RotateModel, StartTimer
from ringback_session.domain.floor_inputs import AsideBegan, AsideEnded
from ringback_session.domain.inputs import ModelConnected, ModelPrepared
from ringback_session.domain.step import Step

__all__ = ["aside", "at_boundary", "at_last", "connected", "due", "prepared", "pump"]

# After a connection could not be had: meanwhile the present one serves.
AGAIN_AFTER_MS = 15_000
ASIDES_KEPT = 16


def connected(step: Step, event: ModelConnected) -> None:
    """A connection serves from now on: its limit is watched."""
    recovery.forget_rotation(step)
    if event.rotate_in_ms:
        step.effects.append(StartTimer(name="rotate", delay_ms=event.rotate_in_ms))
    if event.last_in_ms:
        step.effects.append(StartTimer(name="rotate_at_last", delay_ms=event.last_in_ms))


def due(step: Step) -> None:
    """It is time to have another connection at hand."""
    if not step.state.ended:
        step.state.rotation = "preparing"
        step.effects.append(PrepareModel())


def prepared(step: Step, event: ModelPrepared) -> None:
    """The other connection is there, or is tried for again."""
    state = step.state
    if state.rotation != "preparing":
        return
    if event.ready:
        state.rotation = "ready"
    else:
        state.rotation = "none"
        step.effects.append(StartTimer(name="rotate", delay_ms=AGAIN_AFTER_MS))


def at_last(step: Step) -> None:
    """No boundary came: from now on it is done wherever the conversation stands."""
    step.state.rotation_overdue = True


def aside(step: Step, event: AsideBegan | AsideEnded) -> None:
    """What the client has the model think beside the conversation would be lost with the connection."""
    asides = step.state.floor.asides
    if isinstance(event, AsideBegan):
        asides.append(event.own_id)
        del asides[:-ASIDES_KEPT]
    elif event.own_id in asides:
        asides.remove(event.own_id)


def pump(step: Step) -> None:
    """Rotate, if it is prepared and this is a boundary or there is no time left. Before anything else is asked for."""
    state = step.state
    if state.rotation != "ready" or state.ended:
        return
    boundary = at_boundary(step)
    if not boundary and not state.rotation_overdue:
        return
    recovery.forget_rotation(step)
    step.effects.append(RotateModel(cut=not boundary))
    recovery.model_replaced(step, "planned" if boundary else "session_limit")
    step.effects.append(Persist())


def at_boundary(step: Step) -> bool:
    """Does nobody speak, is nothing heard, called or asked?"""
    state = step.state
    heard = state.caller_speaking or state.floor.overlap is not None or playback.audible(step)
    asked = state.open_consent() is not None or state.team.handoff is not None or bool(state.floor.asides)
    return recovery.idle(state) and not heard and not asked
