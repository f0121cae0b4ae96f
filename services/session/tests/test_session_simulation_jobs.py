"""Simulated calls in several processes: the same results in the same order, and nothing that goes wrong is lost."""

import multiprocessing
import signal
import time

import pytest
import simulation_jobs_kit as kit
from ringback_session.simulation import command, jobs, runner
from ringback_session.simulation.runner import Summary, report, run_calls
from ringback_session.simulation.world import simulate


def told(summary):
    """Everything but how long it took."""
    return (
        summary.calls,
        summary.virtual_s,
        summary.failures,
        summary.lost,
        summary.counts,
        summary.fingerprint,
    )


def nobody_is_left():
    return not multiprocessing.active_children()


def test_the_same_seeds_give_the_same_results_in_any_number_of_jobs():
    alone, shared = run_calls(seed=300, calls=20), run_calls(seed=300, calls=20, jobs=2)
    assert told(alone) == told(shared)
    assert (alone.jobs, shared.jobs) == (1, 2)
    assert not alone.failures
    assert alone.counts["user_turn_ended"]
    assert shared.seconds > 0, "the processor time of all jobs"
    assert nobody_is_left()


def test_a_failing_seed_is_reported_whichever_job_finds_it():
    alone = run_calls(seed=1, calls=40, play=kit.fails_at_7_and_19)
    shared = run_calls(seed=1, calls=40, jobs=2, play=kit.fails_at_7_and_19)
    assert shared.failures == {7: "it broke", 19: "it broke"}
    assert told(shared) == told(alone)


def test_the_first_failure_of_any_job_is_explained(monkeypatch):
    monkeypatch.setattr(runner, "explain", lambda seed: f"the trace of {seed}")
    lines = list(report(run_calls(seed=1, calls=40, jobs=2, play=kit.fails_at_7_and_19)))
    assert lines[-3:] == ["seed 7: it broke", "seed 19: it broke", "the trace of 7"]


def test_a_job_that_dies_is_a_failure_and_others_take_its_calls():
    summary = run_calls(seed=1, calls=40, jobs=2, play=kit.dies_at_7)
    assert summary.calls == 40
    assert summary.failures == {7: "the process that simulated it ended with SIGKILL", 19: "it broke"}
    assert summary.lost == [7]
    assert nobody_is_left()


def test_what_a_dead_job_was_at_is_not_run_again_to_explain_it(monkeypatch):
    monkeypatch.setattr(runner, "explain", lambda seed: f"the trace of {seed}")
    lost = Summary(failures={7: "gone", 19: "it broke"}, lost=[7])
    assert list(report(lost))[-1] == "the trace of 19"
    assert list(report(Summary(failures={7: "gone"}, lost=[7])))[-1] == "seed 7: gone"


def test_a_job_that_does_not_end_a_call_is_stopped_and_that_is_a_failure(monkeypatch):
    monkeypatch.setattr(jobs, "CALL_S_MAX", 2.0)
    summary = run_calls(seed=1, calls=20, jobs=2, play=kit.hangs_at_7)
    assert summary.calls == 20
    assert 7 in summary.lost
    assert summary.failures[7] == "it did not end within 2 s, and was stopped"
    assert nobody_is_left()


def test_jobs_that_all_die_end_the_run(monkeypatch):
    monkeypatch.setattr(runner, "FAILURES_MAX", 5)
    summary = run_calls(seed=1, calls=1_000, jobs=2, play=kit.always_exits)
    assert len(summary.failures) == 5
    assert set(summary.failures.values()) == {"the process that simulated it ended with exit code 3"}
    assert nobody_is_left()


def test_ctrl_c_stops_all_jobs_and_says_what_was_done_so_far():
    summary = run_calls(seed=1, calls=1_000, jobs=2, play=kit.interrupts_at_8)
    assert summary.interrupted
    assert summary.calls == 7
    assert summary.failures == {7: "it broke"}
    lines = list(report(summary))
    assert lines[0] == "interrupted; so far:"
    assert lines[1].startswith(f"{summary.calls} calls, ")
    assert lines[-1] == "--explain --seed 7 shows how it came to the first of them"
    assert nobody_is_left()


def test_ctrl_c_in_the_only_process_lets_the_call_end_and_says_what_was_done():
    before = signal.getsignal(signal.SIGINT)
    summary = run_calls(seed=1, calls=1_000, play=kit.interrupts_itself_at_8)
    assert summary.interrupted
    assert (summary.calls, summary.failures) == (8, {7: "it broke"})
    assert signal.getsignal(signal.SIGINT) is before


def test_no_call_begins_after_the_minutes():
    assert run_calls(seed=1, calls=1_000_000, minutes=1e-9, play=kit.fails_at_7_and_19).calls == 0
    began = time.monotonic()
    assert run_calls(seed=1, calls=1_000_000, minutes=1e-9, jobs=2, play=kit.fails_at_7_and_19).calls == 0
    assert time.monotonic() - began < 25


def test_it_tells_how_it_goes(monkeypatch):
    monkeypatch.setattr(runner, "PROGRESS_S", -1.0)
    said = []
    run_calls(seed=1, calls=3, play=kit.fails_at_7_and_19, progress=said.append)
    assert [line[:14] for line in said] == ["of 3: 1 calls,", "of 3: 2 calls,", "of 3: 3 calls,"]


def test_the_exit_code_says_what_came_of_it(monkeypatch, capsys):
    summary = Summary(calls=3)
    monkeypatch.setattr(command, "run_calls", lambda **asked: summary)
    monkeypatch.setattr(runner, "explain", lambda seed: "the trace")
    assert command.main(["--calls", "3"]) == 0
    summary.failures[2] = "it broke"
    assert command.main(["--calls", "3"]) == 1
    assert capsys.readouterr().out.endswith("seed 2: it broke\nthe trace\n")
    summary.interrupted = True
    assert command.main(["--calls", "3"]) == 130


def test_as_many_jobs_as_processors_unless_asked_for_others(monkeypatch):
    asked = []
    monkeypatch.setattr(command, "run_calls", lambda **wanted: asked.append(wanted["jobs"]) or Summary())
    command.main([])
    command.main(["--jobs", "5"])
    assert asked == [jobs.processors(), 5]
    with pytest.raises(SystemExit):
        command.main(["--jobs", "-1"])


def test_a_call_that_breaks_off_is_a_failure_with_a_trace_and_does_not_end_the_run(monkeypatch):
    from ringback_session.simulation import Plan
    from ringback_session.simulation.world import World

    async def breaks(world):
        raise RuntimeError("nothing left")

    monkeypatch.setattr(World, "_settles", breaks)
    outcome = simulate(Plan(seed=1), keeps_log=True)
    assert outcome.violations == ["the call breaks off: RuntimeError: nothing left"]
    assert outcome.log
