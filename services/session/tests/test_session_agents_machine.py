"""Any interleaving with agents: hand-overs, consultations, notes and stale values among everything else."""

import json

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.agents import CHAIN_MAX
from ringback_session.domain.consultation import TextCall
from ringback_session.domain.known import SlotValue, StaleValue
from ringback_session.domain.rules import Effect, TurnRules
from session_agents_kit import GRAPH, WORDS, card, team_state
from test_session_machine import AnyCall

FUNCTIONS = (
    ("hand_over_to_baggage", WORDS | {"bag_tag": "417229"}),
    ("hand_over_to_baggage", WORDS),
    ("hand_over_to_seats", WORDS),
    ("hand_over_to_front", WORDS),
    ("hand_over_to_nobody", WORDS),
    ("consult_supervisor", {"question": "Why?"}),
    ("consult_supervisor", {"question": "When?"}),
    ("note", {"name": "seat", "value": "aisle"}),
    ("note", {}),
)
TEXT_CALLS = (
    TextCall("a", "get_reservation", '{"reservation":"482915"}'),
    TextCall("b", "cancel_reservation", '{"reservation":"482915"}'),
    TextCall("c", "add_note", '{"reservation":"290754"}'),
    TextCall("d", "no_such_tool", "broken"),
)
READ = {"tool": "get_reservation", "arguments_json": "{}"}
MINE = (fx.FetchAgent, fx.AskText, fx.RefreshValue, fx.Recall, fx.PullContext)


class AgentsCall(AnyCall):
    """A call of a pack with several agents and a supervisor."""

    @initialize(
        gate=st.sampled_from(["off", "blocking"]),
        known=st.booleans(),
        functions=st.lists(st.sampled_from(FUNCTIONS), max_size=3),
        steps=st.integers(0, 3),
    )
    def begins(self, gate, known, functions, steps):
        """A call that has come some way; without what the call of one agent begins with."""
        self.wanted = []
        self.watch(team_state(rules=TurnRules(input_gate=gate), caller_id="caller-7" if known else ""))
        self.give(ev.CallStarted())
        for which in functions:
            self.caller_says("And my bag?")
            self.model_calls_a_function(which, twice=False)
            for _ in range(steps):
                self.policy_answers_a_hand_over(Effect.ALLOW)
                self.all_answer_the_agents_well(list(TEXT_CALLS[:steps]))

    def look_at(self, effect, event):
        super().look_at(effect, event)
        if isinstance(effect, MINE):
            self.wanted.append(effect)
            del self.wanted[:-12]

    @rule(which=st.sampled_from(FUNCTIONS), twice=st.booleans())
    def model_calls_a_function(self, which, twice):
        name, arguments = which
        call_id = self.fresh("fn")
        for _ in range(1 + twice):
            self.give(
                ev.CallRequested(
                    reply_id=self.state.reply.reply_id if self.state.reply else "none",
                    call_id=call_id,
                    tool=name,
                    arguments_json=json.dumps(arguments),
                    item_id=f"item_{call_id}",
                )
            )

    @precondition(lambda self: self.wanted)
    @rule(
        data=st.data(),
        good=st.booleans(),
        keep=st.booleans(),
        calls=st.lists(st.sampled_from(TEXT_CALLS), max_size=3),
    )
    def somebody_answers_an_agent(self, data, good, keep, calls):
        asked = data.draw(st.sampled_from(self.wanted))
        self.answer_an_agent(asked, good=good, keep=keep, calls=calls)

    @precondition(lambda self: self.wanted)
    @rule(calls=st.lists(st.sampled_from(TEXT_CALLS), max_size=3))
    def all_answer_the_agents_well(self, calls):
        for asked in list(self.wanted):
            self.answer_an_agent(asked, good=True, keep=False, calls=calls)

    def answer_an_agent(self, asked, *, good, keep, calls):
        if not keep:
            self.wanted = [other for other in self.wanted if other is not asked]
        match asked:
            case fx.FetchAgent():
                known = good and asked.agent in GRAPH.outlines
                self.give(ev.AgentReady(ask_id=asked.ask_id, card=card(asked.agent) if known else None))
            case fx.AskText():
                self.give(
                    ev.TextAnswered(
                        consult_id=asked.consult_id,
                        number=asked.number,
                        text="Well." if good else "",
                        calls=tuple(calls),
                        error="" if good or calls else "unavailable",
                    )
                )
            case fx.RefreshValue():
                self.give(ev.ValueRefreshed(refresh_id=asked.refresh_id, ok=good, data_json='{"x":1}'))
            case fx.Recall():
                self.give(ev.Recalled(text="- seat" if good else ""))
            case _:
                self.memory_answers(good)

    def memory_answers(self, good):
        if not good:
            self.give(ev.ContextMissed())
            return
        slots = (
            SlotValue(name="x", value_json="0", as_of_seq=1, at_ms=self.now_ms - 10, ttl_ms=5_000),
            SlotValue(name="y", value_json="0", as_of_seq=1, at_ms=self.now_ms),
        )
        stale = (StaleValue(name="y", **READ),)
        self.give(ev.ContextArrived(slots=slots, as_of=(self.state.epoch, self.state.seq), stale=stale))

    @precondition(lambda self: any(e.gate == "handoff" for e in self.asked if isinstance(e, fx.AskPolicy)))
    @rule(effect=st.sampled_from([Effect.ALLOW, Effect.ALLOW, Effect.DENY, Effect.ESCALATE, None]))
    def policy_answers_a_hand_over(self, effect):
        for asked in [e for e in self.asked if isinstance(e, fx.AskPolicy) and e.gate == "handoff"]:
            self.asked.remove(asked)
            source = "policy" if effect else "fallback"
            self.give(ev.Decided(decision_id=asked.decision_id, effect=effect, source=source))

    def teardown(self):
        if hasattr(self, "state"):
            for action in self.state.actions.values():
                # A supervisor's calls are answered to it, not to the model on the line.
                action.call_ids = [call_id for call_id in action.call_ids if not call_id.startswith("sup_")]
        super().teardown()

    @invariant()
    def the_call_is_held_by_an_agent_of_the_pack(self):
        if not hasattr(self, "state"):
            return
        state = self.state
        assert state.agent in GRAPH.outlines
        assert GRAPH.outlines[state.agent].speaks
        assert state.instructions == f"You are {state.agent}."
        assert state.team.chain[-1] == state.agent
        assert len(state.team.chain) <= min(CHAIN_MAX, GRAPH.depth_max + 1)
        assert len(state.known.waiting) <= len(state.actions)

    @invariant()
    def nothing_waits_for_what_nobody_will_answer(self):
        """An action that waits for a value waits for something that was asked for."""
        if not hasattr(self, "state"):
            return
        known = self.state.known
        for tokens in known.waiting.values():
            assert all(token == "context" or token in known.refreshing for token in tokens)


TestAgentsCall = AgentsCall.TestCase
TestAgentsCall.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
del AnyCall
