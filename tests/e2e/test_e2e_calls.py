"""The spoken calls of the airline, through every service, against the backend's own ledger."""

from __future__ import annotations

from ringback_cli.caller import load_script
from ringback_testkit.running_stack import ROOT, RunningStack

CALLS = ROOT / "packs" / "airline" / "calls"


async def _call(running: RunningStack, name: str) -> str:
    """Run one call and hold every check of its script; returns the session's id."""
    demo = running.demo
    demo.runs.clear()
    script = load_script(CALLS / f"{name}.yaml")
    # The caller's clock runs that much faster than the machine that the services work on.
    script.silence_ms_max = int(script.silence_ms_max * demo.speed)
    for step in script.steps:
        if step.wait_for is not None:
            step.wait_for.within_s *= demo.speed
    await demo.round([script])
    verdicts = await demo.judge()
    session_id = demo.runs[0].session_id
    kinds = [event.WhichOneof("body") for event in running.watcher.of(session_id)]
    broken = [f"{verdict.that}: {verdict.found}" for verdict in verdicts if not verdict.ok]
    assert not broken, f"{broken}\nfacts: {kinds}"
    return session_id


async def test_a_refundable_reservation_is_cancelled_once_after_a_yes_and_a_person_takes_over(
    running: RunningStack,
) -> None:
    session_id = await _call(running, "refund")
    escalated = await running.fact(session_id, "escalated_to_person")
    packet = escalated.escalated_to_person.packet_json
    assert "482915" in packet, "the packet holds the reservation"
    assert "cancel_reservation" in packet, "the packet holds the action and its outcome"
    await _trace_of_the_yes_spans_all_services(running, session_id)


async def test_a_ticket_that_nobody_may_cancel_is_refused_with_the_reason(running: RunningStack) -> None:
    await _call(running, "refused")


async def test_an_outage_is_told_honestly_after_retries_and_leaves_a_task(running: RunningStack) -> None:
    await _call(running, "outage")


async def test_a_lost_bag_is_handed_to_the_baggage_desk_and_the_caller_back_again(
    running: RunningStack,
) -> None:
    await _call(running, "baggage")


async def _trace_of_the_yes_spans_all_services(running: RunningStack, session_id: str) -> None:
    """The turn that cancelled: one trace, through gRPC and NATS, with right parents."""
    import asyncio

    def cancelled(spans: list[dict[str, object]]) -> list[dict[str, object]]:
        return [
            span
            for span in spans
            if span["name"] == "tools.execute"
            and span["attributes"].get("ringback.tool") == "cancel_reservation"  # type: ignore[attr-defined]
            and span["attributes"].get("ringback.session_id") == session_id  # type: ignore[attr-defined]
        ]

    spans = await asyncio.to_thread(running.sink.wait_for, lambda seen: bool(cancelled(seen)), 15.0)
    trace_id = str(cancelled(spans)[0]["trace_id"])

    def complete(seen: list[dict[str, object]]) -> bool:
        services = {span["service"] for span in seen if span["trace_id"] == trace_id}
        return {"session", "policy", "tools", "memory"} <= services

    await asyncio.to_thread(running.sink.wait_for, complete, 15.0)
    tree = {span["span_id"]: span for span in running.sink.trace(trace_id)}

    def chain(span: dict[str, object]) -> list[str]:
        names = []
        while span is not None:
            names.append(f"{span['service']}:{span['name']}")
            parent = tree.get(str(span["parent_id"]))
            if parent is None:
                assert not span["parent_id"], f"{names[-1]} has a parent that was never exported"
                break
            span = parent
        return names[::-1]

    chains = [chain(span) for span in tree.values()]
    assert all(names[0] == "session:turn" for names in chains), "every span hangs below the turn"
    joined = [" > ".join(names) for names in chains]

    def has(*parts: str) -> bool:
        return any(all(part in line for part in parts) for line in joined)

    policy = "policy:grpc ringback.policy.v1.PolicyService/"
    assert has(
        f"session:grpc ringback.policy.v1.PolicyService/Decide > {policy}Decide > policy:policy.decide"
    ), joined
    assert has("PolicyService/ReadConsent", "policy:policy.read_consent"), joined
    assert has(
        "session:grpc ringback.tools.v1.ToolsService/Run > tools:grpc ringback.tools.v1.ToolsService/Run",
        "tools:tools.execute > tools:tools.attempt",
    ), joined
    assert has("session:turn > session:journal.write"), joined
    assert has("session:turn > localmodel:model.reply"), joined
    assert has("session:nats.publish", "memory:nats.process", "memory:memory.fold"), joined
    assert not running.sink.unregistered(), "names outside the registry"
