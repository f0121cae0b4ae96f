"""Any interleaving: inputs from everybody, delayed, doubled, lost. What must hold, holds after each step."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ringback_session.domain import effects as fx
from ringback_session.domain import guarded
from ringback_session.domain import inputs as ev
from ringback_session.domain.rules import Effect, SideEffect, TurnRules
from ringback_session.domain.state import (
    ACTIONS_KEPT,
    FACTS_KEPT,
    HISTORY_KEPT,
    SPEECHES_QUEUED_MAX,
    TASKS_KEPT,
    ConsentPhase,
    restore,
    snapshot,
)
from ringback_session.domain.upkeep import BudgetReached, UsageReported
from ringback_session.domain.usage import Tokens
from session_core_kit import new_state
from session_machine_kit import Watched

TOOL_NAMES = ("get_reservation", "add_note", "cancel_reservation", "refund", "dim", "no_such_tool")
TEXTS = ("Yes.", "No.", "Cancel 482915.", "", "Which card?")
ARGUMENTS = ('{"reservation":"482915"}', '{"reservation":"290754"}', "{}", "broken")
EFFECTS = st.sampled_from([Effect.ALLOW, Effect.CONFIRM, Effect.DENY, Effect.ESCALATE, None])


class AnyCall(Watched, RuleBasedStateMachine):
    """The world around the core: it answers when it likes, twice if it likes, or never."""

    @initialize(
        gate=st.sampled_from(["off", "blocking", "parallel"]),
        results=st.sampled_from(["off", "blocking"]),
        output=st.sampled_from(["off", "parallel", "blocking"]),
        tools=st.sampled_from(["allow", "confirm"]),
        steps=st.integers(0, 9),
        second=st.booleans(),
    )
    def begins(self, gate, results, output, tools, steps, second):
        """A call that has come some way towards an irreversible action."""
        gates = {"input_gate": gate, "result_gate": results, "output_gate": output}
        self.watch(new_state(rules=TurnRules(client_tools=tools, **gates)))
        self.give(ev.CallStarted())
        way = [
            lambda: self.caller_says("Cancel it."),
            lambda: self.all_are_answered_well(Effect.ALLOW, "ok"),
            lambda: self.model_replies_with_a_call("cancel_reservation", 1),
            lambda: self.model_calls("refund", '{"reservation":"2"}', twice=False) if second else None,
            lambda: self.all_are_answered_well(Effect.CONFIRM, "ok"),
            lambda: self.model_finishes(self.requested[-1], heard=True),
            lambda: self.caller_says("Yes."),
            lambda: self.all_are_answered_well(Effect.ALLOW, "ok"),
            lambda: self.all_are_answered_well(Effect.ALLOW, "ok"),
        ]
        for go in way[:steps]:
            go()

    # What it costs.

    @rule(number=st.integers(0, 5), tokens=st.integers(0, 40), level=st.sampled_from(["", "soft", "hard"]))
    def usage_is_told(self, number, tokens, level):
        report = UsageReported(key=f"r:{number}", model="m", tokens=Tokens(text_out=tokens), cost_pico=tokens)
        self.give(report)
        self.give(report)
        if level:
            self.give(BudgetReached(level=level))

    # The caller and the client.

    @rule(ms=st.integers(1, 40_000))
    def time_passes(self, ms):
        self.now_ms += ms
        for name in [name for name, due in self.timers.items() if due <= self.now_ms]:
            if self.timers.pop(name, None) is not None:
                self.give(ev.TimerFired(name=name))

    @rule()
    def caller_starts(self):
        self.give(ev.CallerStartedSpeaking(audio_start_ms=0))

    @rule(discarded=st.booleans())
    def caller_stops(self, discarded):
        self.give(ev.CallerStoppedSpeaking(audio_end_ms=0, discarded=discarded))

    @rule(wants=st.booleans())
    def committed(self, wants):
        self.give(ev.UtteranceCommitted(item_id=self.fresh("item"), wants_reply=wants))

    @rule(
        text=st.sampled_from(TEXTS),
        known=st.booleans(),
        failed=st.booleans(),
        confidence=st.sampled_from([None, 0.1, 0.9]),
    )
    def heard(self, text, known, failed, confidence):
        item_id = self.state.utterance.item_id if known and self.state.utterance else self.fresh("item")
        self.give(ev.UtteranceHeard(item_id=item_id, text=text, confidence=confidence, failed=failed))

    @rule(text=st.sampled_from(TEXTS))
    def caller_says(self, text):
        item_id = self.fresh("item")
        self.give(ev.CallerStartedSpeaking(audio_start_ms=0))
        self.now_ms += 500
        self.give(ev.CallerStoppedSpeaking(audio_end_ms=500))
        self.give(ev.UtteranceCommitted(item_id=item_id, wants_reply=True))
        self.give(ev.UtteranceHeard(item_id=item_id, text=text, confidence=0.9))

    @rule(text=st.sampled_from(TEXTS))
    def typed(self, text):
        self.give(ev.UtteranceHeard(item_id=self.fresh("item"), text=text, typed=True))

    @rule()
    def reply_wanted(self):
        self.give(ev.ReplyWanted(request_key=self.fresh("req")))

    @rule(on=st.booleans())
    def client_configures(self, on):
        self.give(ev.ClientConfigured(interrupt=on))

    @rule()
    def client_cancels(self):
        self.give(ev.ClientCancelled())

    @precondition(lambda self: self.state.playback.items)
    @rule(data=st.data(), ms=st.integers(0, 3_000))
    def client_truncates(self, data, ms):
        played = data.draw(st.sampled_from(self.state.playback.items))
        self.give(ev.ClientTruncated(item_id=played.item_id, audio_end_ms=ms))

    @precondition(lambda self: self.called)
    @rule(data=st.data())
    def client_answers_a_call(self, data):
        self.give(ev.ClientCallOutput(call_id=data.draw(st.sampled_from(self.called)), output="{}"))

    @property
    def called(self):
        """The first call of each action. What a consulted agent wanted was no call that the client could see."""
        return [action.call_ids[0] for action in self.state.actions.values() if action.call_ids]

    # The model: it answers any request of ours, however old.

    @precondition(lambda self: self.requested)
    @rule(data=st.data(), status=st.sampled_from(["completed", "completed", "cancelled", "failed"]))
    def model_ends_something(self, data, status):
        wanted = data.draw(st.sampled_from(self.requested[-3:]))
        if isinstance(wanted, fx.RequestReply):
            self.give(ev.ReplyEnded(reply_id=wanted.reply_id, status=status))
        else:
            self.give(ev.SpeechEnded(speech_id=wanted.speech_id, status=status))

    @precondition(lambda self: self.requested)
    @rule(data=st.data(), whole=st.booleans(), samples=st.integers(0, 90_000))
    def model_speaks(self, data, whole, samples):
        wanted = data.draw(st.sampled_from(self.requested[-3:]))
        item_id = f"item_of_{wanted.reply_id if isinstance(wanted, fx.RequestReply) else wanted.speech_id}"
        if isinstance(wanted, fx.RequestReply):
            self.give(ev.ReplyStarted(reply_id=wanted.reply_id, response_id=self.fresh("resp")))
            self.give(ev.AudioSent(item_id=item_id, samples=samples, text="Well."))
            made = {"reply_id": wanted.reply_id, "item_id": item_id, "text": "Well.", "ends_at": 5}
            self.give(guarded.SentenceMade(**made, final=whole))
            if whole:
                self.give(ev.ReplyText(reply_id=wanted.reply_id, item_id=item_id, text="Well then."))
            return
        words = wanted.text if whole else wanted.text[:9]
        self.give(ev.SpeechText(speech_id=wanted.speech_id, transcript=words, item_id=item_id))
        self.give(
            ev.AudioSent(item_id=item_id, samples=samples, text=words, kind=wanted.kind, in_model=False)
        )

    @precondition(lambda self: self.requested)
    @rule(heard=st.booleans())
    def model_says_all_of_it(self, heard):
        self.model_finishes(self.requested[-1], heard=heard)

    @precondition(lambda self: self.requested)
    @rule(tool=st.sampled_from(TOOL_NAMES[:4]), number=st.integers(1, 3))
    def model_replies_with_a_call(self, tool, number):
        self.model_finishes(self.requested[-1], heard=True)
        self.model_calls(tool=tool, arguments=f'{{"reservation":"{number}"}}', twice=False)

    @rule(
        tool=st.sampled_from(TOOL_NAMES),
        arguments=st.sampled_from(ARGUMENTS),
        twice=st.booleans(),
    )
    def model_calls(self, tool, arguments, twice):
        call_id = self.fresh("call")
        event = ev.CallRequested(
            reply_id="reply",
            call_id=call_id,
            tool=tool,
            arguments_json=arguments,
            item_id=f"item_{call_id}",
            client_tool=tool == "dim",
        )
        for _ in range(1 + twice):
            self.give(event)

    @precondition(lambda self: self.done())
    @rule(spoken=st.booleans(), agreed=st.booleans())
    def what_was_done_is_wanted_once_more(self, spoken, agreed):
        """By a caller who insists, or by the model alone."""
        tool, arguments = self.done()
        for wanted in (True, spoken, agreed):
            if wanted:
                self.model_calls(tool, arguments, twice=False)
                self.caller_says("Once more.")
                self.all_are_answered_well(Effect.ALLOW, "ok")

    def done(self):
        for action in reversed(self.state.actions.values()):
            if action.status == "ok" and action.side_effect is not SideEffect.READ:
                return action.tool, action.arguments_json
        return None

    @rule(luck=st.integers(0, 3))
    def model_is_lost(self, luck):
        if luck:
            return
        self.give(ev.ModelLost(reason="closed_1006"))
        self.give(ev.ModelConnected(rotate_in_ms=10_000, last_in_ms=30_000))

    @rule(ready=st.booleans())
    def model_is_prepared(self, ready):
        self.give(ev.ModelPrepared(ready=ready))

    @rule(name=st.sampled_from(["rotate", "rotate", "rotate_at_last"]))
    def model_is_to_be_replaced(self, name):
        self.give(ev.TimerFired(name=name))

    # Policy, tools, the record, memory: what was asked is answered late, twice, or never.

    @precondition(lambda self: self.asked)
    @rule(effect=st.sampled_from([Effect.ALLOW, Effect.CONFIRM]), keep=st.booleans())
    def newest_is_answered_well(self, effect, keep):
        self.answer(self.asked[-1], effect=effect, reading="yes", status="ok", good=True, keep=keep)

    @precondition(lambda self: self.asked)
    @rule(effect=st.sampled_from([Effect.ALLOW, Effect.CONFIRM]), status=st.sampled_from(["ok", "unknown"]))
    def all_are_answered_well(self, effect, status):
        for asked in list(self.asked):
            self.answer(asked, effect=effect, reading="yes", status=status, good=True, keep=False)

    @precondition(lambda self: self.asked)
    @rule(
        data=st.data(),
        effect=EFFECTS,
        reading=st.sampled_from(["yes", "no", "correction", "unclear", "unavailable"]),
        status=st.sampled_from(["ok", "failed", "unknown", "not_started"]),
        good=st.booleans(),
        keep=st.booleans(),
    )
    def somebody_answers(self, data, effect, reading, status, good, keep):
        asked = data.draw(st.sampled_from(self.asked))
        self.answer(asked, effect=effect, reading=reading, status=status, good=good, keep=keep)

    @precondition(lambda self: self.state.actions)
    @rule(data=st.data(), status=st.sampled_from(["ok", "failed", "not_started"]))
    def the_truth_comes_late(self, data, status):
        action_id = data.draw(st.sampled_from(list(self.state.actions)))
        self.give(ev.ActionReconciled(action_id=action_id, status=status, data_json="{}", message="Well."))

    @rule(luck=st.integers(0, 3))
    def owner_dies(self, luck):
        """The record may be as old as the last write; here it is as new as the state."""
        if luck:
            return
        self.state = restore(snapshot(self.state))
        self.timers.clear()
        self.requested.clear()
        self.resumed_since |= set(self.state.actions)
        self.asked = [asked for asked in self.asked if isinstance(asked, fx.AskPolicy)][-4:]
        self.give(ev.Resumed(epoch=self.state.epoch + 1, owner="session-1"))

    @precondition(lambda self: self.count > 25)
    @rule(luck=st.integers(0, 9))
    def client_goes(self, luck):
        if luck:
            return
        self.give(ev.ClientGone(reason="client_closed"))

    # What holds at all times.

    @invariant()
    def one_of_us_speaks_at_a_time(self):
        if not hasattr(self, "state"):
            return
        speaking = [speech for speech in self.state.speeches if speech.requested]
        assert len(speaking) + (self.state.reply is not None) <= 1

    @invariant()
    def one_consent_is_asked_at_a_time(self):
        if not hasattr(self, "state"):
            return
        closed = (ConsentPhase.QUEUED, ConsentPhase.GIVEN, ConsentPhase.ENDED)
        assert sum(consent.phase not in closed for consent in self.state.consents.values()) <= 1
        for consent in self.state.consents.values():
            if consent.phase is not ConsentPhase.ENDED:
                assert self.state.actions[consent.action_id].open

    @invariant()
    def the_state_is_bounded(self):
        if not hasattr(self, "state"):
            return
        state = self.state
        assert len(state.history) <= HISTORY_KEPT
        assert len(state.facts) <= FACTS_KEPT + 1
        assert len(state.tasks) <= TASKS_KEPT + 8
        assert len(state.speeches) <= SPEECHES_QUEUED_MAX + 4
        assert len(state.actions) <= ACTIONS_KEPT + 40

    def teardown(self):
        """Everything that is still open is answered: no call of the model stays without a result."""
        if not hasattr(self, "state") or self.state.ended:
            return
        state = self.state
        called = {call_id for action in state.actions.values() for call_id in action.call_ids}
        unanswered = called - set(self.results)
        for action in state.actions.values():
            if not action.open and not action.client_tool:
                assert not unanswered & set(action.call_ids), f"{action.tool} ended without an answer"


TestAnyCall = AnyCall.TestCase
TestAnyCall.settings = settings(
    max_examples=120,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
