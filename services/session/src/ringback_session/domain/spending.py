"""Budgets of a call: usage is counted once, the soft limit is told, the hard one ends the call politely."""

from __future__ import annotations

from ringback_session.domain import consent, playback, replies, speaking, supervising
from ringback_session.domain.effects import EndCall, Note, Persist, StartTimer
from ringback_session.domain.state import HistoryItem, SpeechKind
from ringback_session.domain.step import Step
from ringback_session.domain.upkeep import BudgetReached, UsageReported
from ringback_session.domain.usage import count, crossed

__all__ = ["BUDGET_CODE", "BUDGET_TIMER", "ending", "reached", "reported", "resumed", "unreported"]

BUDGET_TIMER = "budget"
BUDGET_CODE = "insufficient_quota"
BUDGET_MESSAGE = "The budget for this conversation is used up."
# The goodbye is waited for so often, at most: a caller who never lets it be said does not keep the call.
GOODBYE_WAITS_MAX = 8
GOODBYE_WAIT_MS = 2_000
_NANO_IN_PICO = 1_000


def reported(step: Step, event: UsageReported) -> None:
    """A model told what a response, a transcription or a step of a consultation used."""
    state = step.state
    new = count(
        state.account.usage,
        event.key,
        event.model,
        event.tokens,
        cost_pico=event.cost_pico,
        unpriced=event.unpriced,
    )
    if not new:
        return
    used = {name: getattr(event.tokens, name) for name in event.tokens.__struct_fields__}
    step.publish(
        "usage_reported",
        response_id=event.response_id,
        item_id=event.item_id,
        consult_id=event.consult_id,
        model=event.model,
        cost_nano_usd=event.cost_pico // _NANO_IN_PICO,
        unpriced=event.unpriced,
        session_cost_nano_usd=state.account.usage.cost_pico // _NANO_IN_PICO,
        session_tokens=state.account.usage.tokens,
        **used,
    )
    level = crossed(
        state.account.budgets.session,
        cost_pico=state.account.usage.cost_pico,
        tokens=state.account.usage.tokens,
    )
    if level:
        _cross(step, "session", level)


def reached(step: Step, event: BudgetReached) -> None:
    """The tenant's budget, as the replicas count it together."""
    _cross(step, event.scope, event.level)


def unreported(step: Step) -> None:
    """What the model was saying is lost with its connection: nobody will tell what it used."""
    state = step.state
    asked = sum(speech.requested and not speech.by_port for speech in state.speeches)
    state.account.usage.unreported += asked + (state.reply is not None)


def resumed(step: Step) -> None:
    """The goodbye of the owner before was not heard to its end: say it again."""
    state = step.state
    if state.account.spent and state.account.goodbye_waits:
        _say_goodbye(step)


def ending(step: Step) -> None:
    """Has the goodbye been heard? Then it is over."""
    state = step.state
    waits = state.account.goodbye_waits
    if not state.account.spent or not waits:
        return
    said = not state.speeches and not playback.audible(step)
    if said or waits > GOODBYE_WAITS_MAX:
        state.account.goodbye_waits = 0
        step.effects.append(EndCall(reason="budget_exhausted", code=BUDGET_CODE, message=BUDGET_MESSAGE))
        return
    state.account.goodbye_waits = waits + 1
    delay_ms = (
        min(GOODBYE_WAIT_MS, playback.remaining_ms(step) + 1) if not state.speeches else GOODBYE_WAIT_MS
    )
    step.effects.append(StartTimer(name=BUDGET_TIMER, delay_ms=delay_ms))


def _cross(step: Step, scope: str, level: str) -> None:
    """Each limit is crossed once, and none after the hard one."""
    state = step.state
    mark = f"{scope}:{level}"
    if state.account.spent or mark in state.account.marks or state.ended:
        return
    state.account.marks.append(mark)
    budget = state.account.budgets.session if scope == "session" else state.account.budgets.day
    step.publish(
        "budget_crossed",
        scope=scope,
        level=level,
        cost_nano_usd=state.account.usage.cost_pico // _NANO_IN_PICO,
        tokens=state.account.usage.tokens,
        limit_nano_usd=getattr(budget, f"{level}_pico") // _NANO_IN_PICO,
        limit_tokens=getattr(budget, f"{level}_tokens"),
    )
    if level == "hard":
        _spent(step)
    elif state.account.budgets.instruction:
        item_id = state.new_id("item_")
        text = state.account.budgets.instruction
        state.remember(HistoryItem(item_id=item_id, kind="message", role="system", text=text))
        step.effects.append(Note(item_id=item_id, role="system", text=text))
    step.effects.append(Persist())


def _spent(step: Step) -> None:
    """No further reply of the model; what runs finishes. With a goodbye the call ends once that was heard."""
    state = step.state
    state.account.spent = True
    replies.stop(step, "client_cancelled")
    consent.void_all(step, "budget")
    supervising.stop(step, "budget")
    if state.account.budgets.on_hard != "end":
        return
    _say_goodbye(step)


def _say_goodbye(step: Step) -> None:
    state = step.state
    speaking.speak(step, SpeechKind.NOTICE, state.account.budgets.say)
    state.account.goodbye_waits = 1
    step.effects.append(StartTimer(name=BUDGET_TIMER, delay_ms=GOODBYE_WAIT_MS))
