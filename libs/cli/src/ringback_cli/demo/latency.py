"""Owns the per-turn figures of a call: first audio, policy, tools."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ringback.events.v1 import events_pb2 as pb

__all__ = ["TurnFigures", "turn_figures"]


@dataclass
class TurnFigures:
    """One turn of one call. Times in ms; lists hold one entry per decision or action.

    A tool's time runs from its start to its result; the wait for a yes before it is the caller's. Of a quick one no
    start is told: its time runs from the decision that let it start.
    """

    turn_id: str
    caller: str = ""
    first_audio_ms: int = 0
    policy_ms: list[float] = field(default_factory=list)
    tool_ms: list[float] = field(default_factory=list)


def turn_figures(events: Iterable[pb.SessionEvent]) -> list[TurnFigures]:
    """The figures of every turn, in order."""
    turns: dict[str, TurnFigures] = {}
    started: dict[str, int] = {}
    allowed: dict[str, int] = {}
    for event in events:
        turn = turns.setdefault(event.turn_id, TurnFigures(event.turn_id))
        match event.WhichOneof("body"):
            case "user_turn_ended":
                turn.caller = event.user_turn_ended.text.strip()
            case "agent_turn_ended":
                turn.first_audio_ms = turn.first_audio_ms or event.agent_turn_ended.first_audio_ms
            case "action_decided":
                decided = event.action_decided
                turn.policy_ms.append(decided.wait_ms)
                if decided.gate == "ACTION" and decided.effect == "ALLOW":
                    allowed[decided.action_id] = event.occurred_at.ToNanoseconds()
            case "action_progressed":
                started.setdefault(event.action_progressed.action_id, event.occurred_at.ToNanoseconds())
            case "action_finished":
                done = event.action_finished
                begun = started.get(done.action_id, allowed.get(done.action_id))
                if begun is not None:
                    turn.tool_ms.append((event.occurred_at.ToNanoseconds() - begun) / 1e6)
            case _:
                pass
    return [turn for turn in turns.values() if turn.caller or turn.policy_ms or turn.tool_ms]
