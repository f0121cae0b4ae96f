"""Whole calls in virtual time: seeds that must stay well, and defects put in on purpose that must be found."""

from collections import Counter

import msgspec
import pytest
from ringback_session.domain import (
    actions,
    consent,
    decisions,
    freshness,
    manners,
    once_more,
    outcomes,
    prompting,
    results,
    spending,
    supervising,
    turns,
)
from ringback_session.domain.state import CallState
from ringback_session.simulation import Move, Plan, draw, runner, services, simulate
from ringback_session.simulation.jobs import Played
from ringback_session.simulation.runner import explain, run_calls
from ringback_session.simulation.shrinking import shortest
from ringback_session.usecases.call import Call
from ringback_session.usecases.feeding import Inbox
from ringback_session.usecases.keeping import Keeper
from ringback_session.usecases.pulling import ContextPulls
from ringback_session.views.holding import Holding
from ringback_session.views.model import ModelView
from ringback_session.views.route import Route, Wanted

CALLS = 50


@pytest.mark.parametrize("seed", range(1_000, 1_000 + 4 * CALLS, CALLS))
def test_simulated_calls_with_faults_end_well(seed):
    summary = run_calls(seed=seed, calls=CALLS)
    assert not summary.failures, explain(next(iter(summary.failures)))
    assert summary.calls == CALLS
    common = ("session_resumed", "model_rotated", "consent_asked", "effects", "interrupted", "consulted")
    for kind in (*common, "once_more", "turn_rule_applied"):
        assert summary.counts[kind], f"no call came to any {kind}: the plans are too tame"


def test_the_same_seed_gives_the_same_call():
    for seed in range(20):
        once, again = simulate(draw(seed)), simulate(draw(seed), keeps_log=True)
        assert (once.digest, once.violations, once.virtual_ms) == (
            again.digest,
            again.violations,
            again.virtual_ms,
        )


def test_a_call_without_faults_does_what_the_caller_wants():
    moves = (Move(1_000, "caller", "says", "Cancel 1."), Move(12_000, "caller", "says", "Note 2."))
    outcome = simulate(Plan(seed=1, moves=moves), keeps_log=True)
    assert not outcome.violations, "\n".join(outcome.log)
    assert outcome.counts["effects"] == 2
    assert outcome.counts["consent_asked"] == 1


def test_a_caller_who_insists_has_it_once_for_each_yes_to_words_that_say_so():
    again = [says(at_ms, "Cancel 1.") for at_ms in (1_000, 12_000, 18_000, 30_000, 36_000)]
    outcome = simulate(Plan(seed=1, moves=tuple(again), answers=("yes", "yes", "no")), keeps_log=True)
    assert not outcome.violations, "\n".join(outcome.log)
    assert (outcome.counts["consent_asked"], outcome.counts["effects"]) == (3, 2)


def test_it_finds_a_second_effect_on_a_yes_to_words_that_did_not_say_so(monkeypatch):
    real = services._read_back

    def plain(subject, *, once_more):
        claimed = services.ONCE_MORE if once_more else ""
        return msgspec.structs.replace(real(subject, once_more=False), once_more=claimed)

    monkeypatch.setattr(services, "_read_back", plain)
    again = [says(at_ms, "Cancel 1.") for at_ms in (1_000, 12_000, 18_000)]
    found = violations_of(*again)
    assert "did not say so" in found
    assert "happened 2 times, 0 of them once more" in found


def says(at_ms, text):
    return Move(at_ms, "caller", "says", text)


def violations_of(*moves, answers=(), typed=False):
    outcome = simulate(Plan(seed=1, moves=moves, answers=answers, typed=typed))
    return "; ".join(outcome.violations)


def runs_again(monkeypatch):
    """A core that takes each call for a new effect, and a policy that does not see that it repeats one."""
    monkeypatch.setattr(once_more, "met", lambda state, tool, digest: None)
    monkeypatch.setattr(services, "_repeats", lambda question: False)


def test_it_finds_an_action_that_runs_again_when_the_model_repeats_itself(monkeypatch):
    runs_again(monkeypatch)
    assert "happened 2 times" in violations_of(says(1_000, "Note 1."), says(9_000, "Note 1."))


def test_it_finds_a_yes_that_counts_before_the_value_was_heard(monkeypatch):
    plan = {"answers": ("early_yes",), "typed": True}
    assert not violations_of(says(1_000, "Cancel 1."), **plan)
    monkeypatch.setattr(consent, "_values_heard", lambda step, asked: True)
    assert "never said yes" in violations_of(says(1_000, "Cancel 1."), **plan)


def test_each_of_several_calls_of_the_client_waits_for_a_yes_of_its_own():
    several = Move(1_000, "caller", "says", "Dim 1, 2 and cancel 1.")
    outcome = simulate(Plan(seed=1, moves=(several,), client_tools="confirm"), keeps_log=True)
    assert not outcome.violations, "\n".join(outcome.log)
    assert (outcome.counts["consent_asked"], outcome.counts["effects"]) == (3, 1)
    typed = simulate(Plan(seed=1, moves=(several,), client_tools="confirm", typed=True))
    assert (typed.violations, typed.counts["consent_asked"], typed.counts["effects"]) == ([], 3, 1)


def test_it_finds_a_call_that_the_client_gets_without_a_yes(monkeypatch):
    plan = Plan(seed=1, moves=(says(1_000, "Dim 1."),), client_tools="confirm", answers=("silence",))
    assert not simulate(plan).violations
    monkeypatch.setattr(services.PolicyOf, "_asks_first", lambda policy, subject: False)
    assert "is handed to the client, and the caller never said yes" in "; ".join(simulate(plan).violations)


def test_it_finds_a_model_that_is_not_told_that_it_asked_too_much_at_once(monkeypatch):
    moves = (says(1_000, "Quiz me, please."), says(12_000, "What is the weather?"))
    plan = Plan(seed=1, moves=moves, questions="ask_again")
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["turn_rule_applied"] == 1
    monkeypatch.setattr(manners, "take_instructions", lambda step, instructions: instructions)
    assert "is not told with its next reply" in "; ".join(simulate(plan).violations)


def test_it_finds_facts_that_a_new_owner_does_not_publish_again(monkeypatch):
    away = Move(2_900, "bus", "away", for_ms=12_000)
    moves = (says(2_000, "Note 2."), away, Move(8_000, "owner", "dies", for_ms=3_000))
    assert not violations_of(*moves)
    monkeypatch.setattr(Keeper, "republish", lambda keeper: None)
    assert "no fact says what became of it" in violations_of(*moves)


def test_it_finds_a_side_effect_before_the_journal(monkeypatch):
    real = actions._start

    def start(step, action, decision):
        real(step, action, decision)
        if action.phase == "journalling":
            step.effects.pop()
            actions.execute(step, action)

    monkeypatch.setattr(actions, "_start", start)
    assert "before it is journalled" in violations_of(says(1_000, "Note 1."))


def test_it_finds_a_call_of_the_model_that_is_never_answered(monkeypatch):
    real = outcomes.answer
    monkeypatch.setattr(
        outcomes, "answer", lambda step, call_ids, output, **more: real(step, call_ids[:0], output, **more)
    )
    assert "got no output" in violations_of(says(1_000, "Note 1."))


def test_it_finds_an_old_owner_that_is_not_fenced(monkeypatch):
    stalls = Move(6_000, "owner", "stalls", for_ms=5_000)
    assert not violations_of(says(1_000, "Note 1."), stalls)
    monkeypatch.setattr(Call, "fence", lambda call: None)
    assert "2 owners hold the call" in violations_of(says(1_000, "Note 1."), stalls)


def test_it_finds_a_defect_that_raises(monkeypatch):
    async def broken(self, wanted, pinned):
        raise KeyError("slot")

    monkeypatch.setattr(ContextPulls, "_ask", broken)
    assert "KeyError" in violations_of(says(1_000, "Note 1."))


def test_a_failure_is_made_small_and_still_fails_in_the_same_way(monkeypatch):
    runs_again(monkeypatch)
    noise = [Move(at_ms, "caller", "noise") for at_ms in (500, 4_000, 22_000)]
    slow = Move(2_000, "memory", "slow", for_ms=4_000)
    moves = (*noise, slow, says(1_000, "Look up 1."), says(8_000, "Note 1."), says(16_000, "Note 1."))
    plan = Plan(seed=1, jitter=True, moves=moves, answers=("no", "yes"))
    small = shortest(plan)
    assert [move.arg for move in small.moves] == ["Note 1.", "Note 1."]
    assert (small.jitter, small.answers) == (False, ())
    assert "happened 2 times" in "; ".join(simulate(small).violations)
    assert shortest(plan) == small, "the same plan gives the same trace"


def test_what_is_told_of_a_failure_holds_its_seed_its_moves_and_what_happened(monkeypatch):
    moves = (says(1_000, "Note 1."), says(9_000, "Note 1."))
    monkeypatch.setattr(runner, "draw", lambda seed: Plan(seed=seed, moves=moves))
    assert explain(7) == "seed 7: all is well"
    runs_again(monkeypatch)
    told = explain(7)
    assert told.startswith("seed 7: ")
    assert "add_note" in told.splitlines()[0]
    for part in (*map(str, moves), "start add_note", "Journalled", "violations:"):
        assert part in told


def test_a_plan_that_does_not_fail_stays_as_it_is():
    assert shortest(draw(1)) == draw(1)


def test_a_run_stops_when_it_has_seen_enough_failures():
    summary = run_calls(seed=1, calls=1_000, play=lambda seed: Played(seed, violation="always"))
    assert summary.calls == len(summary.failures) == runner.FAILURES_MAX


def test_it_finds_words_that_are_heard_before_the_output_gate_has_let_them_pass(monkeypatch):
    plan = Plan(seed=1, moves=(says(1_000, "Swear, please."),), output="blocking")
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["action_decided"], "policy was asked about what the model said"
    monkeypatch.setattr(Holding, "keeps", lambda holding, head, frame: False)
    assert "what the output gate holds back" in "; ".join(simulate(plan).violations)


def test_it_finds_a_call_that_goes_on_after_its_budget(monkeypatch):
    moves = tuple(says(at_ms, "What is the weather?") for at_ms in (1_000, 9_000, 17_000))
    plan = Plan(seed=1, moves=moves, budget_tokens=10)
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["budget_crossed"] == 1
    monkeypatch.setattr(spending, "_say_goodbye", lambda step: None)
    monkeypatch.setattr(CallState, "agent_silent", False)
    assert "after the budget is spent" in "; ".join(simulate(plan).violations)


def test_it_finds_a_filler_for_a_slow_model_over_the_reply_that_it_stands_in_for(monkeypatch):
    slow = Move(500, "model", "quirk", "slow")
    plan = Plan(seed=1, moves=(slow, says(1_000, "What is the weather?")), slow_after_ms=400)
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["turn_rule_applied"], "a filler was said"
    monkeypatch.setattr(Route, "put_behind", lambda route: True)
    monkeypatch.setattr(Wanted, "put_behind", lambda wanted: True)
    early = Plan(seed=1, moves=(says(1_000, "What is the weather?"),), slow_after_ms=150)
    assert "while another one is active" in "; ".join(simulate(early).violations)


def test_a_call_that_ends_with_a_void_consent_while_its_record_cannot_be_written_is_told_of():
    late, dies = (
        Move(17_143, "records", "unknown_late", for_ms=12_000),
        Move(23_931, "owner", "dies", "20", 100),
    )
    moves = (says(1_000, "Billing, please."), says(7_000, "Refund 1."), says(15_500, "Cancel 1."), late, dies)
    outcome = simulate(Plan(seed=21_057, budget_tokens=60, moves=moves, answers=("early_yes",)))
    assert not outcome.violations
    assert outcome.counts["budget_crossed"]


def test_it_finds_audio_for_a_client_that_wants_text(monkeypatch):
    plan = Plan(seed=1, moves=(says(1_000, "Cancel 1."),), text=True)
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["effects"] == 1, "a read-back in text is heard when it has been sent"
    real = ModelView.speech
    monkeypatch.setattr(
        ModelView,
        "speech",
        lambda view, wanted, config: real(view, wanted, config).replace(b'"text"]', b'"audio"]'),
    )
    assert "gets audio" in "; ".join(simulate(plan).violations)


def test_it_finds_an_answer_that_a_client_without_turn_detection_has_not_asked_for(monkeypatch):
    plan = Plan(seed=1, moves=(says(1_000, "Cancel 1."), says(15_000, "Note 2.")), manual=True)
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["effects"] == 2
    real = turns.committed
    monkeypatch.setattr(
        turns, "committed", lambda step, event: real(step, msgspec.structs.replace(event, wants_reply=True))
    )
    assert "has not asked for it" in "; ".join(simulate(plan).violations)


def test_it_finds_a_supervisor_whose_answer_nobody_gets(monkeypatch):
    moves = (says(1_000, "Ask about 1."), says(9_000, "Ask to cancel 2."))
    outcome = simulate(Plan(seed=1, moves=moves))
    assert not outcome.violations
    assert (outcome.counts["consulted"], outcome.counts["effects"]) == (2, 1)
    monkeypatch.setattr(supervising, "_end", lambda step, consultation, outcome, text="": None)
    found = "; ".join(simulate(Plan(seed=1, moves=moves)).violations)
    assert "still thinking" in found
    assert "got no output" in found


def test_a_supervisor_that_goes_round_in_circles_ends_within_its_steps():
    loops = Move(500, "supervisor", "loops", for_ms=20_000)
    plan = Plan(seed=1, moves=(loops, says(1_000, "Ask about 1.")))
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["consulted"] == 1


@pytest.mark.parametrize(
    ("settings", "reached"),
    [
        ({"slots": "found"}, (decisions, "needs_slots")),
        ({"slots": "none"}, (freshness, "ask_unwaited")),
        ({"stale": True}, (freshness, "refreshed")),
        ({"idle_ms": 6_000}, (prompting, "_applied")),
        ({"results": "blocking"}, (results, "decided")),
    ],
)
def test_calls_under_other_rules_come_to_what_these_rules_bring(monkeypatch, settings, reached):
    module, name = reached
    real, times = getattr(module, name), Counter()

    def counted(*given, **named):
        times[name] += 1
        return real(*given, **named)

    monkeypatch.setattr(module, name, counted)
    moves = (says(1_000, "Look up 1."), says(9_000, "Note 1."), says(20_000, "Cancel 2."))
    outcome = simulate(Plan(seed=1, moves=moves, **settings))
    assert not outcome.violations
    assert outcome.counts["effects"] == 2
    assert times[name]


@pytest.mark.parametrize("what", ["says", "notes", "asks", "switches", "takes_over"])
def test_a_person_at_the_desk_acts_on_a_call(what):
    moves = (
        says(1_000, "Look up 1."),
        Move(8_000, "operator", what, for_ms=3_000),
        says(20_000, "Note 2."),
    )
    outcome = simulate(Plan(seed=1, moves=moves))
    assert not outcome.violations
    assert outcome.counts["effects"] == 1
    assert outcome.counts["operator_acted"] == {"switches": 0, "takes_over": 2}.get(what, 1)


def test_what_a_person_does_to_a_call_that_is_about_to_begin_again_waits_until_it_has(monkeypatch):
    stalls, back = (
        Move(24_382, "owner", "stalls", "17", 625),
        Move(17_909, "operator", "takes_over", for_ms=10_000),
    )
    dead, breaks = (
        Move(24_677, "line", "goes_dead", for_ms=1_000),
        Move(27_134, "line", "breaks", for_ms=1_000),
    )
    plan = Plan(seed=100_179, moves=(Move(17_699, "owner", "stalls", "7", 500), back, stalls, dead, breaks))
    outcome = simulate(plan)
    assert not outcome.violations
    assert outcome.counts["operator_acted"] == 2
    monkeypatch.setattr(Inbox, "is_open", True)
    assert "the fact operator_acted is numbered" in "; ".join(simulate(plan).violations)


def test_a_client_that_deletes_the_output_of_its_own_call_is_owed_none():
    moves = (says(1_000, "Dim 1."), says(4_900, "Refund 1."), Move(9_899, "caller", "deletes"))
    assert not simulate(Plan(seed=100_437, moves=moves, model_lasts_ms=30_000)).violations


def test_a_frame_without_audio_makes_no_early_yes_count():
    garbage = Move(15_259, "caller", "garbage")
    moves = (says(1_000, "Quiz me, please."), garbage, says(16_000, "Refund 1."))
    outcome = simulate(Plan(seed=1_703_574, typed=True, moves=moves, answers=("early_yes",)))
    assert not outcome.violations
