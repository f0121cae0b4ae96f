"""The pipeline of tools against its bare backend, and under a brown-out of one dependency."""

from __future__ import annotations

from bench_tools import run


async def test_overhead_of_the_pipeline() -> None:
    await run("overhead", calls=600)


async def test_brownout_of_one_dependency() -> None:
    await run("brownout", seconds=60)
