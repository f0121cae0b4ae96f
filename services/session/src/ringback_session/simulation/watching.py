"""What must hold of every step of the core, watched from beside it."""

from __future__ import annotations

from collections import Counter

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.inputs import At, Input
from ringback_session.domain.once_more import done_like
from ringback_session.domain.rules import RuleName, SideEffect
from ringback_session.domain.state import (
    ACTIONS_KEPT,
    FACTS_KEPT,
    HISTORY_KEPT,
    SPEECHES_QUEUED_MAX,
    TASKS_KEPT,
    Action,
    CallState,
    Consent,
    ConsentPhase,
)
from ringback_session.simulation.model_words import is_told_off
from ringback_session.simulation.services import ONCE_MORE
from ringback_session.simulation.weather import Weather
from ringback_session.usecases.recording import Unrecorded

__all__ = ["StraightWatch", "Watch"]

_CLOSED = (ConsentPhase.QUEUED, ConsentPhase.GIVEN, ConsentPhase.ENDED)
_QUIET = (fx.StartTimer, fx.StopTimer, fx.Persist, fx.PersistNow, fx.PullContext)


class Watch:
    """Implements `usecases.recording.Recorder`: sees every step of one owner's core."""

    def __init__(self, state: CallState, weather: Weather, owner: str) -> None:
        self._state = state
        self._weather = weather
        self._owner = owner
        self._seq = 0
        self._started: Counter[str] = Counter()
        self._journalled: set[str] = set()
        self._not_started: set[str] = set()
        self._returned: set[str] = set()
        self._consulted: set[str] = set()
        self._over_asked = False

    def step(self, event: Input, at: At, effects: fx.Effects) -> None:
        match event:
            case ev.Journalled():
                self._journalled.add(event.action_id)
            case ev.ActionResult() if event.error_code == "not_started":
                self._not_started.add(event.action_id)
            case ev.Resumed():
                self._seq = 0
        if self._weather.keeps_log and not isinstance(event, ev.AudioSent):
            told = [type(effect).__name__ for effect in effects if not isinstance(effect, _QUIET)]
            self._weather.note(self._owner, f"{_short(event)} → {' '.join(told)}")
        for effect in effects:
            self._effect(effect, at)
        self._bounds()

    def close(self) -> None:
        pass

    def _effect(self, effect: fx.Effect, at: At) -> None:
        match effect:
            case fx.Publish():
                self._seq += 1
                if effect.seq != self._seq or effect.epoch != self._state.epoch:
                    self._wrong(f"the fact {effect.kind} is numbered ({effect.epoch}, {effect.seq})")
                self._fact(effect)
            case fx.Execute() if effect.side_effect is not SideEffect.READ and not effect.attach_only:
                self._execute(effect, at)
            case fx.AskText():
                self._consults(effect)
            case fx.RequestReply():
                self._asks_for_a_reply(effect)
            case fx.ReturnResult():
                if effect.call_id in self._returned:
                    self._wrong(f"the call {effect.call_id} is answered twice")
                self._returned.add(effect.call_id)

    def _fact(self, fact: fx.Publish) -> None:
        if fact.kind == "consulted":
            consult_id = str(fact.body["consult_id"])
            if consult_id in self._consulted:
                self._wrong(f"the consultation {consult_id} ends twice")
            self._consulted.add(consult_id)
        elif fact.kind == "turn_rule_applied" and fact.body["rule"] == RuleName.ONE_QUESTION:
            self._over_asked = fact.body["outcome"] == "told"

    def _asks_for_a_reply(self, effect: fx.RequestReply) -> None:
        if self._state.account.spent:
            self._wrong("a reply is asked for after the budget is spent")
        if self._over_asked and not is_told_off({"instructions": effect.instructions}):
            self._wrong("the model asked several questions at once, and is not told with its next reply")
        self._over_asked = False

    def _consults(self, effect: fx.AskText) -> None:
        consultation = self._state.team.consultation
        if consultation is None or consultation.consult_id != effect.consult_id:
            self._wrong("a supervisor is asked for nobody")
            return
        rules = consultation.rules
        if effect.number > rules.steps_max or effect.timeout_ms > rules.deadline_ms:
            self._wrong(f"a supervisor takes step {effect.number}, for {effect.timeout_ms} ms")

    def _execute(self, effect: fx.Execute, at: At) -> None:
        action = self._state.actions[effect.action_id]
        if effect.action_id not in self._journalled:
            self._wrong(f"{effect.tool} is begun before it is journalled")
        self._started[effect.action_id] += 1
        if self._started[effect.action_id] > 1 and effect.action_id not in self._not_started:
            self._wrong(f"{effect.tool} is begun twice")
        self._not_started.discard(effect.action_id)
        consent = self._state.consents.get(action.consent_id)
        if done_like(self._state, action) is not None:
            self._repeats(action, consent)
        if consent is None:
            if effect.side_effect is SideEffect.IRREVERSIBLE:
                self._wrong(f"{effect.tool} is begun without consent")
        elif consent.phase is not ConsentPhase.GIVEN or consent.arguments_digest != action.arguments_digest:
            self._wrong(f"{effect.tool} is begun on a consent that is {consent.phase}")

    def _repeats(self, action: Action, consent: Consent | None) -> None:
        if consent is None or consent.action_id != action.action_id:
            self._wrong(f"{action.tool} is begun once more without a yes of its own")
        elif not consent.read_back.startswith(ONCE_MORE):
            self._wrong(f"{action.tool} is begun once more on a yes to words that did not say so")

    def _bounds(self) -> None:
        state = self._state
        # A filler for a model that is slow is said while nothing of its reply is shown.
        ours = sum(speech.requested and not speech.beside for speech in state.speeches)
        speaking = ours + (state.reply is not None)
        if speaking > 1:
            self._wrong(f"{speaking} of us speak at a time")
        if sum(consent.phase not in _CLOSED for consent in state.consents.values()) > 1:
            self._wrong("two consents are asked for at a time")
        sizes = (
            ("history", len(state.history), HISTORY_KEPT),
            ("facts", len(state.facts), FACTS_KEPT + 1),
            ("tasks", len(state.tasks), TASKS_KEPT + 8),
            ("speeches", len(state.speeches), SPEECHES_QUEUED_MAX + 4),
            ("actions", len(state.actions), ACTIONS_KEPT + 40),
        )
        for name, size, most in sizes:
            if size > most:
                self._wrong(f"{name} holds {size}, at most {most} expected")

    def _wrong(self, what: str) -> None:
        self._weather.wrong(f"{self._owner}: {what}")


class StraightWatch(Watch, Unrecorded):
    """As `Watch`, for a call that is not recorded: the agent's audio goes past the core, as in most calls."""


def _short(event: Input) -> str:
    """An input for the trace: its kind and what tells it from others."""
    named = ("name", "action_id", "consent_id", "reading", "status", "error_code", "text", "tool", "reason")
    told = [f"{name}={getattr(event, name)!r:.40}" for name in named if getattr(event, name, "")]
    return f"{type(event).__name__}({', '.join(told)})"
