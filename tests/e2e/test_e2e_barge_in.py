"""A caller who speaks into the agent's words: the agent yields, what was not heard is forgotten, nothing is lost."""

from __future__ import annotations

import pytest
from ringback_cli.caller.script import Script, Step, WaitFor
from ringback_testkit.running_stack import RunningStack

pytestmark = pytest.mark.voice


def _say(line: str, *, interrupt_after_ms: int = 0) -> Step:
    return Step(say=line, interrupt_after_ms=interrupt_after_ms)


def _hear(pattern: str, within_s: float = 60.0) -> Step:
    return Step(wait_for=WaitFor(heard=pattern, within_s=within_s))


async def _play(running: RunningStack, name: str, *steps: Step) -> str:
    demo = running.demo
    demo.runs.clear()
    # Where the caller cuts in depends on how far playback is: faster than the machine hears, it would be over.
    fast, demo.speed = demo.speed, 1.5
    try:
        await demo.round([Script(name=name, title=name, pack="airline", voice=3, steps=list(steps))])
    finally:
        demo.speed = fast
    failure = demo.runs[0].failure
    assert not failure, failure
    return demo.runs[0].session_id


async def test_the_agent_yields_and_only_what_was_heard_is_kept(running: RunningStack) -> None:
    session_id = await _play(
        running,
        "cut",
        _say("I would like to look up my reservation.", interrupt_after_ms=1500),
        _hear("reservation id"),
    )
    cut = await running.fact(session_id, "interrupted")
    assert 0 < cut.interrupted.heard_ms < 6_000
    turns = [fact.agent_turn_ended for fact in running.facts(session_id, "agent_turn_ended")]
    greeting = next(turn for turn in turns if turn.item_id == cut.interrupted.item_id)
    assert greeting.said.startswith(greeting.heard)
    assert len(greeting.heard) < len(greeting.said), "what was not played was not heard"
    assert greeting.heard_ms < greeting.audio_ms


async def test_a_yes_into_the_read_back_before_its_last_value_does_not_count(running: RunningStack) -> None:
    before = len(await running.backend.ledger())
    session_id = await _play(
        running,
        "early-yes",
        _hear("how can i help"),
        _say("I would like to cancel my reservation."),
        _hear("reservation id"),
        _say("It's six four eight, one nine three."),
        _hear("reservation"),
        _say("Yes, go ahead.", interrupt_after_ms=2500),
        _hear("shall i go ahead"),
        _say("No, thank you."),
        _hear("nothing|not|no"),
    )
    assert len(await running.backend.ledger()) == before, "an early yes and a later no change nothing"
    asked = running.facts(session_id, "consent_asked")
    assert len(asked) >= 2, "the read-back is said again, whole"
    answers = [fact.consent_answered.reading for fact in running.facts(session_id, "consent_answered")]
    assert answers[-1] == 2, f"the last word was no: {answers}"
    finished = await running.fact(session_id, "action_finished")
    assert finished.action_finished.error_code == "refused_by_caller"
