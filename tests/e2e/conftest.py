"""One stack for all tests of this folder, and one event loop to share it on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from ringback_testkit.running_stack import RunningStack, running_stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.stack)
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningStack]:
    recording = {"policy": {"RINGBACK_RECORD_DECISIONS": "true"}}
    async with running_stack(tmp_path_factory.mktemp("stack"), overrides=recording) as started:
        yield started
        assert not started.crashes, f"services crashed during the tests: {started.crashes}"
