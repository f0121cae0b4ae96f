"""Handing the caller over to a person, with a packet of what is known."""

from __future__ import annotations

import msgspec

from ringback_session.domain import consent, person_wait, replies, speaking
from ringback_session.domain.effects import FetchPacket, Persist
from ringback_session.domain.inputs import PacketReady
from ringback_session.domain.state import SpeechKind
from ringback_session.domain.step import Step
from ringback_session.domain.view import own_packet

__all__ = ["caller_gone", "packet_ready", "resumed", "tell_at_last", "to_person"]


def to_person(step: Step, *, reason: str, rule: str, say: str = "") -> None:
    """Void open consents, say so, and get the packet. Actions under way finish on their own."""
    state = step.state
    if state.person_reason or state.desk.actor:
        # A person has the call, or is about to.
        return
    state.person_reason = reason or "asked_for_a_person"
    state.person_rule = rule
    state.person_asked_at_ms = step.at.now_ms
    replies.stop(step, "client_cancelled")
    consent.void_all(step, "handoff")
    state.handed_over = True
    speaking.speak(step, SpeechKind.NOTICE, say or state.rules.say_person)
    person_wait.begin(step)
    _fetch_packet(step)
    # Whoever owns the call next keeps the promise.
    step.effects.append(Persist())


def resumed(step: Step) -> None:
    """A new owner: the caller may still wait for a person, who is to know what the call is about."""
    person_wait.begin(step)
    if step.state.desk.packet_due:
        _fetch_packet(step)


def packet_ready(step: Step, event: PacketReady) -> None:
    """Told once: from when the record holds the fact its outbox sees to it that it arrives."""
    if step.state.desk.packet_due:
        _tell(step, event.packet_json)


def tell_at_last(step: Step) -> None:
    """Nobody waits for the packet any longer: it is told with what the core knows itself, if it was not yet."""
    state = step.state
    if state.desk.packet_due:
        _tell(step, msgspec.json.encode(own_packet(state, state.person_reason)).decode())


def caller_gone(step: Step) -> None:
    """The call ends: who was promised a person, and got none, is to be called back."""
    tell_at_last(step)
    if person_wait.awaited(step.state):
        person_wait.owe_callback(step, reason="hang_up")
        person_wait.over(step)


def _tell(step: Step, packet_json: str) -> None:
    step.state.desk.packet_due = False
    step.publish(
        "escalated_to_person",
        reason=step.state.person_reason,
        rule=step.state.person_rule,
        packet_json=packet_json,
        duration_ms=float(max(0, step.at.now_ms - step.state.person_asked_at_ms)),
    )
    step.effects.append(Persist())


def _fetch_packet(step: Step) -> None:
    state = step.state
    state.desk.packet_due = True
    step.effects.append(
        FetchPacket(
            reason=state.person_reason,
            min_epoch=state.epoch,
            min_seq=state.seq,
            fallback=own_packet(state, state.person_reason),
        )
    )
