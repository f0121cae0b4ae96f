"""One action from the model's call to its result: decided, perhaps confirmed, journalled, executed once."""

from __future__ import annotations

import msgspec
from ringback_errors import InvalidInput
from ringback_identity import action_id as make_action_id
from ringback_identity import canonical_arguments

from ringback_session.domain import (
    client_calls,
    consent,
    consults,
    decisions,
    doubts,
    facts,
    once_more,
    outcomes,
    results,
)
from ringback_session.domain.effects import (
    Execute,
    Journal,
    StartTimer,
)
from ringback_session.domain.inputs import (
    ActionProgressed,
    ActionResult,
    CallRequested,
    Decided,
    FactFetched,
    JournalFailed,
    Journalled,
)
from ringback_session.domain.rules import Effect, SideEffect, Tool
from ringback_session.domain.state import (
    Action,
    ActionPhase,
    ConsentPhase,
    HistoryItem,
)
from ringback_session.domain.step import Step

__all__ = [
    "decided",
    "execute",
    "fact_fetched",
    "journal_failed",
    "journalled",
    "progressed",
    "remember",
    "reported_already",
    "requested",
    "result",
]

FACT_ROUNDS_MAX = 2
SAY_UNKNOWN = "I can't tell yet whether that went through. I've made a note, and someone will find out."


def requested(step: Step, call: CallRequested) -> None:
    """The model called a function."""
    state = step.state
    if state.ended or reported_already(step, call):
        return
    if not consults.is_ours(state, call.call_id):
        remember(step, call)
    if call.interrupted:
        # The model holds a call that nobody runs: it is told so, and not asked to speak of it.
        not_begun = outcomes.error("interrupted", "The caller spoke before this was begun. Nothing was done.")
        outcomes.answer(step, [call.call_id], not_begun, reply=False)
        return
    tool = consults.tool_of(state, call.call_id, call.tool)
    if tool is None and not call.client_tool:
        outcomes.answer(
            step, [call.call_id], outcomes.error("unknown_tool", f"There is no tool named {call.tool}.")
        )
        return
    schema = msgspec.json.decode(tool.parameters_json) if tool else {}
    try:
        canonical = canonical_arguments(call.arguments_json, schema)
    except InvalidInput as error:
        outcomes.answer(step, [call.call_id], outcomes.error("invalid_arguments", str(error)))
        return
    action = once_more.met(state, call.tool, canonical.digest)
    again = action is not None and once_more.wanted(state, action)
    if action is not None and not again:
        _join(step, action, call)
        return
    if action is not None:
        # The next one is told again first, whatever becomes of this.
        action.told_in_turn = None
    _admit(step, call, tool, canonical.json, canonical.digest, again=again)


def decided(step: Step, decision: Decided) -> bool:
    """Policy's answer to an action. Returns False when no action waits for it (late, or for another gate)."""
    state = step.state
    action = next(
        (
            entry
            for entry in state.actions.values()
            if entry.decision_id == decision.decision_id and entry.phase is ActionPhase.DECIDING
        ),
        None,
    )
    if action is None:
        return False
    if decision.needs_facts and decision.source == "policy":
        _fetch_facts(step, action, decision)
        return True
    if decision.needs_slots and action.action_id in state.known.unwaited:
        decisions.needs_slots(step, action)
        return True
    effect = decision.effect or _fallback(step, action)
    decisions.publish(step, decision, "ACTION", effect, action)
    if once_more.unaskable(state, action, decision):
        _not_again(step, action)
        return True
    match effect:
        case Effect.ALLOW:
            _start(step, action, decision)
        case Effect.CONFIRM if decision.read_back is not None:
            consent.ask(step, action, decision.read_back, decision.say)
        case Effect.ESCALATE:
            outcomes.not_started(step, action.action_id, "escalated", decision.say, reply=False)
            step.escalate(decision.escalate or decision.reason, rule=decision.rule, say=decision.say)
        case _ if decision.source == "fallback":
            outcomes.stop_for_want_of_policy(step, action)
        case _:
            outcomes.not_started(step, action.action_id, "denied_by_policy", decision.say or decision.reason)
    return True


def _fallback(step: Step, action: Action) -> Effect:
    effect = step.state.rules.fallback(action.side_effect).effect
    undecided = action.side_effect is not SideEffect.READ and effect is Effect.ALLOW
    return Effect.DENY if undecided else effect


def fact_fetched(step: Step, fact: FactFetched) -> None:
    """A rule's fact arrived, or could not be had."""
    state = step.state
    state.open_breakers = list(fact.open_breakers) or state.open_breakers
    action = state.actions.get(fact.action_id)
    if action is None or action.phase is not ActionPhase.FETCHING or fact.name not in action.facts_awaited:
        return
    action.facts_awaited.remove(fact.name)
    facts.keep(step, fact)
    if fact.unavailable and fact.fallback in ("callback", "person"):
        outcomes.open_task(
            step, f"Call back about {action.tool}", action.action_id, reason="fact_unavailable"
        )
        del state.facts[fact.name]
        outcomes.not_started(
            step, action.action_id, "tool_unavailable", fact.message or state.rules.say_unavailable
        )
        return
    if not action.facts_awaited:
        decisions.decide(step, action)


def execute(step: Step, action: Action, *, attach_only: bool = False) -> None:
    """Have it run; the record is written. `attach_only`: only learn what became of it."""
    tool = step.state.tools.get(action.tool)
    action.phase = ActionPhase.RUNNING
    # Of a record of an older release the tool itself must tell.
    deadline_ms = action.deadline_ms or (tool.deadline_ms if tool else client_calls.DEADLINE_MS)
    step.effects.append(
        Execute(
            action_id=action.action_id,
            tool=action.tool,
            version=action.version,
            side_effect=action.side_effect,
            arguments_json=action.arguments_json,
            proof=action.proof,
            deadline_ms=min(deadline_ms, doubts.ASK_MS) if doubts.asked_again(action) else deadline_ms,
            attach_only=attach_only,
        )
    )


def journalled(step: Step, event: Journalled) -> None:
    action = step.state.actions.get(event.action_id)
    if action is None or action.phase is not ActionPhase.JOURNALLING:
        return
    if action.client_tool:
        client_calls.deliver(step, action)
    else:
        execute(step, action)


def journal_failed(step: Step, event: JournalFailed) -> None:
    """The record could not be written in time: the action is not started, and the yes is spent."""
    action = step.state.actions.get(event.action_id)
    if action is None or action.phase is not ActionPhase.JOURNALLING:
        return
    given = step.state.consents.get(action.consent_id)
    if given is not None:
        given.phase = ConsentPhase.ENDED
    outcomes.open_task(step, f"Call back about {action.tool}", action.action_id, reason=event.reason)
    outcomes.not_started(step, action.action_id, "journal_unavailable", step.state.rules.say_unavailable)


def progressed(step: Step, event: ActionProgressed) -> None:
    action = step.state.actions.get(event.action_id)
    if action is None:
        return
    message = event.message
    if event.stage == "progress":
        # Where results are judged first, what a tool says on the way is neither said nor put on record.
        message = message if step.state.rules.result_gate == "off" else ""
        action.progress = message or action.progress
    step.publish(
        "action_progressed",
        action_id=event.action_id,
        stage=event.stage,
        attempt=event.attempt,
        message=message,
    )


def result(step: Step, event: ActionResult) -> None:
    """Tools' word on an action."""
    state = step.state
    state.open_breakers = list(event.open_breakers)
    action = state.actions.get(event.action_id)
    if action is None or action.phase is not ActionPhase.RUNNING:
        return
    if doubts.asked_again(action):
        doubts.answered(step, action, event)
        return
    if event.error_code == "not_started":
        _start_again(step, action)
        return
    action.data_json = event.data_json
    action.attempts = event.attempts
    message = event.message
    if event.fallback in ("callback", "person"):
        message = event.fallback_message or message or state.rules.say_unavailable
        outcomes.open_task(step, f"Call back about {action.tool}", action.action_id, reason=event.error_code)
    elif event.status == "unknown":
        # Without words it would be told as something that did not happen.
        message = message or SAY_UNKNOWN
        outcomes.open_task(
            step, f"Find out what became of {action.tool}", action.action_id, reason="unknown_outcome"
        )
    results.arrived(step, action, event.status, event.error_code, message, retryable=event.retryable)


def remember(step: Step, call: CallRequested) -> None:
    """The model's call becomes part of the conversation, whatever becomes of it."""
    step.state.remember(
        HistoryItem(
            item_id=call.item_id,
            kind="function_call",
            call_id=call.call_id,
            name=call.tool,
            data=call.arguments_json,
        )
    )


def reported_already(step: Step, call: CallRequested) -> bool:
    """Did the model tell of this very call before?"""
    like_it = [entry for entry in step.state.history if entry.call_id == call.call_id]
    return any(entry.kind == "function_call" and entry.item_id == call.item_id for entry in like_it)


def _join(step: Step, action: Action, call: CallRequested) -> None:
    _publish_request(step, action, call.call_id, attached=True)
    if action.open:
        action.call_ids.append(call.call_id)
        return
    if action.status == "unknown" and not action.client_tool:
        # Tools may know by now.
        action.call_ids = [call.call_id]
        step.effects.append(StartTimer(name="filler", delay_ms=step.state.rules.filler_after_ms))
        execute(step, action, attach_only=True)
        return
    done = action.status == "ok"
    if done:
        once_more.told(step.state, action)
    hint = once_more.TOLD if done else ""
    outcomes.answer(step, [call.call_id], outcomes.output(action, already_done=hint))


def _admit(
    step: Step, call: CallRequested, tool: Tool | None, arguments: str, digest: str, *, again: bool
) -> None:
    state = step.state
    listed = [
        a.ordinal for a in state.actions.values() if (a.tool, a.arguments_digest) == (call.tool, digest)
    ]
    ordinal = state.past.next_ordinal(call.tool, digest, listed, once_more=again)
    action = Action(
        action_id=make_action_id(
            session_id=state.session_id,
            tool=call.tool,
            major_version=tool.major if tool else 0,
            arguments_digest=digest,
            ordinal=ordinal,
        ),
        tool=call.tool,
        version=tool.version if tool else "0.0",
        side_effect=tool.side_effect if tool else SideEffect.WRITE,
        arguments_json=arguments,
        arguments_digest=digest,
        ordinal=ordinal,
        requested_at_ms=step.at.now_ms,
        call_ids=[call.call_id],
        client_tool=call.client_tool,
        deadline_ms=tool.deadline_ms if tool else client_calls.DEADLINE_MS,
        agent=consults.agent_of(state, call.call_id),
        once_more=again,
    )
    state.actions[action.action_id] = action
    _publish_request(step, action, call.call_id, attached=False)
    step.effects.append(StartTimer(name="filler", delay_ms=state.rules.filler_after_ms))
    decisions.decide(step, action)


def _publish_request(step: Step, action: Action, call_id: str, *, attached: bool) -> None:
    step.publish(
        "action_requested",
        action_id=action.action_id,
        call_id=call_id,
        tool=action.tool,
        tool_version=action.version,
        arguments_json=action.arguments_json,
        arguments_digest=action.arguments_digest,
        side_effect=action.side_effect,
        attached=attached,
    )


def _fetch_facts(step: Step, action: Action, decision: Decided) -> None:
    action.fact_rounds += 1
    if action.fact_rounds > FACT_ROUNDS_MAX:
        effect = step.state.rules.fallback(action.side_effect).effect
        decisions.publish(step, decision, "ACTION", effect, action)
        outcomes.stop_for_want_of_policy(step, action)
        return
    action.phase = ActionPhase.FETCHING
    action.facts_awaited = facts.fetch(step, decision.needs_facts, for_id=action.action_id)


def _not_again(step: Step, action: Action) -> None:
    """Nobody can ask the caller for it: what came of it before is the answer."""
    done = once_more.done_like(step.state, action)
    calls, status = action.call_ids, "not_started"
    outcomes.finish(step, action, status, "already_done", once_more.CANNOT, tell_model=done is None)
    if done is not None:
        once_more.told(step.state, done)
        outcomes.answer(step, calls, outcomes.output(done, already_done=once_more.CANNOT))


def _start(step: Step, action: Action, decision: Decided) -> None:
    action.proof = decision.proof
    if action.side_effect is SideEffect.READ:
        execute(step, action)
    else:
        action.phase = ActionPhase.JOURNALLING
        step.effects.append(Journal(action_id=action.action_id))


def _start_again(step: Step, action: Action) -> None:
    """Tools knew nothing of it after a resume: it starts only if the yes stands and policy agrees anew."""
    if step.state.ended:
        # The caller is gone: what never began is not begun behind their back.
        outcomes.open_task(
            step, f"Ask the caller again about {action.tool}", action.action_id, reason="hang_up"
        )
        outcomes.not_started(step, action.action_id, "hang_up", "The caller hung up.", reply=False)
        return
    given = step.state.consents.get(action.consent_id)
    if given is not None and (given.phase is not ConsentPhase.GIVEN or step.at.now_ms > given.expires_at_ms):
        given.phase = ConsentPhase.ENDED
        outcomes.open_task(step, f"Ask again about {action.tool}", action.action_id, reason="consent_expired")
        outcomes.not_started(step, action.action_id, "consent_expired", step.state.rules.say_consent_expired)
        return
    action.fact_rounds = 0
    decisions.decide(step, action)
