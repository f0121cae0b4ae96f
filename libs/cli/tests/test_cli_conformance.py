"""The conformance suite: which checks there are, what becomes of their outcomes, and how the command ends."""

from __future__ import annotations

import pytest
from ringback_cli.conformance import Lab, Outcome, Target, choose, run_check
from ringback_cli.conformance.lab import expect, skip
from ringback_cli.conformance.probe import MissingError
from ringback_cli.conformance.registry import Check
from ringback_cli.main import app
from ringback_errors import InvalidInput, Unavailable
from typer.testing import CliRunner

TARGET = Target(url="ws://127.0.0.1:9/v1/realtime", key="k")


def _check(error: Exception | None) -> Check:
    async def run(lab: Lab) -> str:
        if error is not None:
            raise error
        return "all of it"

    return Check("C01", "A promise.", run)


def test_there_are_sixty_two_checks_each_with_a_promise() -> None:
    checks = choose()
    assert [check.id for check in checks] == [f"C{number:02}" for number in range(1, 63)]
    assert all(check.promise.endswith(".") for check in checks)


def test_checks_are_chosen_by_number_in_their_own_order() -> None:
    assert [check.id for check in choose([" c12", "C05"])] == ["C05", "C12"]
    with pytest.raises(InvalidInput, match="C63"):
        choose(["C01", "C63"])


@pytest.mark.parametrize(
    ("error", "outcome", "seen"),
    [
        (None, Outcome.PASSED, "all of it"),
        (MissingError("no session.created"), Outcome.FAILED, "no session.created"),
        (KeyError("item"), Outcome.FAILED, "lacks what it must have"),
        (TimeoutError(), Outcome.FAILED, "not over within"),
        (Unavailable("nobody there"), Outcome.FAILED, "nobody there"),
    ],
)
async def test_every_end_of_a_check_is_a_result(error: Exception | None, outcome: Outcome, seen: str) -> None:
    result = await run_check(_check(error), Lab(TARGET))
    assert result.outcome is outcome
    assert seen in result.seen


async def test_what_is_not_as_promised_fails_and_what_cannot_be_tried_is_skipped() -> None:
    async def failing(lab: Lab) -> str:
        expect(False, "it is otherwise")
        return ""

    async def skipping(lab: Lab) -> str:
        skip("not here")

    failed = await run_check(Check("C01", "A promise.", failing), Lab(TARGET))
    skipped = await run_check(Check("C01", "A promise.", skipping), Lab(TARGET))
    assert (failed.outcome, failed.seen) == (Outcome.FAILED, "it is otherwise")
    assert (skipped.outcome, skipped.seen) == (Outcome.SKIPPED, "not here")


def test_the_command_ends_with_1_when_a_check_fails_and_never_prints_the_key() -> None:
    arguments = ["conformance", "--url", "http://127.0.0.1:9/v1", "--key", "sk-very-secret", "--only", "C01"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert "C01  failed" in result.output
    assert "1 failed" in result.output
    assert "very-secret" not in result.output


def test_a_target_keeps_the_query_of_its_url() -> None:
    target = Target(url="ws://h/v1/realtime?x=1")
    assert target.with_model("m") == "ws://h/v1/realtime?x=1&model=m"
    assert target.with_model(None) == "ws://h/v1/realtime?x=1"
