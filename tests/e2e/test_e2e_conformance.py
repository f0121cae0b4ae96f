"""The conformance checks of the protocol: the plain relay keeps all of them, the guarded agent those that are its own.

The local model, asked directly, keeps them too; only what it does not serve is left out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from ringback_cli.caller import realtime_url
from ringback_cli.conformance import Lab, Outcome, Target, choose, run_check
from ringback_testkit.running_stack import FAILING_WORDS, RunningStack
from ringback_testkit.service_process import ServiceProcess

pytestmark = [pytest.mark.voice, pytest.mark.timeout(180)]

LIMIT_MS = 2_000
CHECKS = [check.id for check in choose()]
# What a pack decides (words, tools, a greeting at the first sound) is its own; the form of all is the protocol's.
GUARDED = [
    "C01", "C02", "C03", "C04", "C05", "C06", "C08", "C09", "C10", "C12", "C13", "C14", "C15",
    "C17", "C18", "C19", "C21", "C23", "C24", "C25", "C26", "C27", "C28", "C29", "C30", "C31",
    "C34", "C36", "C43", "C44", "C46", "C48", "C49", "C51", "C55", "C60", "C62",
]  # fmt: skip
# The local model makes no secrets, and takes any key in this stack.
NOT_SERVED = {"C03", "C05", "C12"}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def relay(running: RunningStack) -> Lab:
    return Lab(_target(running, "passthrough"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def agent(running: RunningStack, relay: Lab) -> Lab:
    return Lab(_target(running, "airline"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def model(running: RunningStack) -> Lab:
    url = running.stack.addresses.upstream_url
    return Lab(Target(url=url, key="any", any_key=True, failing_words=FAILING_WORDS))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def short_lived(running: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A second replica of session, whose sessions may last two seconds; its base URL."""
    folder = tmp_path_factory.mktemp("short-lived")
    at, paths = running.stack.addresses, running.stack.paths
    settings = {
        "RINGBACK_INSTANCE": "session-short",
        "RINGBACK_NATS_URL": at.nats_url,
        "RINGBACK_STATE_DIR": str(folder / "state"),
        "RINGBACK_POLICY_ADDR": at.policy,
        "RINGBACK_TOOLS_ADDR": at.tools,
        "RINGBACK_MEMORY_ADDR": at.memory,
        "RINGBACK_UPSTREAM_URL": at.upstream_url,
        "RINGBACK_TENANTS_FILE": str(paths.tenants),
        "RINGBACK_SESSION_MS_MAX": str(LIMIT_MS),
    }
    process = ServiceProcess.start("ringback_session", settings, folder=folder)
    yield f"http://127.0.0.1:{process.port}/v1"
    process.terminate()


def _target(running: RunningStack, pack: str) -> Target:
    return Target(
        url=realtime_url(running.stack.addresses.realtime_url, pack=pack),
        key=running.stack.api_key,
        failing_words=FAILING_WORDS,
    )


async def _holds(number: str, lab: Lab) -> None:
    [check] = choose([number])
    result = await run_check(check, lab)
    assert result.outcome is Outcome.PASSED, f"{result.id} {result.promise} {result.outcome}: {result.seen}"


@pytest.mark.parametrize("number", [number for number in CHECKS if number != "C11"])
async def test_the_relay_keeps_the_promise(relay: Lab, number: str) -> None:
    await _holds(number, relay)


@pytest.mark.parametrize("number", GUARDED)
async def test_the_agent_keeps_the_promise(agent: Lab, number: str) -> None:
    await _holds(number, agent)


@pytest.mark.parametrize("number", [number for number in CHECKS if number not in NOT_SERVED | {"C11"}])
async def test_the_local_model_keeps_the_promise(model: Lab, number: str) -> None:
    await _holds(number, model)


async def test_a_session_ends_at_its_limit(running: RunningStack, short_lived: str) -> None:
    target = Target(
        url=realtime_url(short_lived, pack="passthrough"), key=running.stack.api_key, session_ms_max=LIMIT_MS
    )
    await _holds("C11", Lab(target))
