"""Owns what a replica does beside answering: following switches and the journal, working off the queue."""

from __future__ import annotations

import asyncio

from ringback_events import NatsBus

from ringback_tools.adapters.control import follow_switches
from ringback_tools.adapters.jobs_bus import BusJobQueue
from ringback_tools.adapters.opening import open_bus, until_there
from ringback_tools.adapters.packs import PackCatalogue
from ringback_tools.adapters.siblings import BusSiblings
from ringback_tools.usecases.assembly import Service

__all__ = ["work"]


async def work(
    bus: NatsBus,
    service: Service,
    catalogue: PackCatalogue,
    queue: BusJobQueue,
    siblings: BusSiblings,
    opened: asyncio.Event,
) -> None:
    """Open the bus, say so by `opened`, and go on until cancelled. No action starts before switches are known."""
    await open_bus(bus, owner="tools")
    await until_there(lambda: follow_switches(bus, service.switches))
    await until_there(catalogue.warm)
    opened.set()
    await until_there(lambda: siblings.follow(service.executor.heard))
    await until_there(lambda: queue.consume(service.executor.run_job))
    async with asyncio.TaskGroup() as group:
        group.create_task(service.reconciler.run())
        group.create_task(service.jobs.watch())
        group.create_task(catalogue.keep_warm())
