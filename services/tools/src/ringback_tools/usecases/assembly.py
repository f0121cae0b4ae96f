"""Owns how the use cases fit together, whatever stands behind the ports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringback_tools.ports import (
    Catalogue,
    Clock,
    Connectors,
    Facts,
    JobQueue,
    Journal,
    Pauses,
    Proofs,
    Siblings,
    Tracing,
)
from ringback_tools.usecases.alerts import AuthAlerts
from ringback_tools.usecases.attempts import Attempts
from ringback_tools.usecases.breakers import Breakers
from ringback_tools.usecases.bulkheads import Bulkheads
from ringback_tools.usecases.elsewhere import Elsewhere
from ringback_tools.usecases.erasing import Erasing
from ringback_tools.usecases.executor import Executor
from ringback_tools.usecases.finishing import Finisher
from ringback_tools.usecases.gate import Gate
from ringback_tools.usecases.jobs import Jobs
from ringback_tools.usecases.journaling import Scribe
from ringback_tools.usecases.listing import Listing
from ringback_tools.usecases.reading import Reading
from ringback_tools.usecases.reconciler import Reconciler
from ringback_tools.usecases.refusing import Refusing
from ringback_tools.usecases.switches import Switches
from ringback_tools.usecases.writing import Writing

__all__ = ["Parts", "Service", "assemble"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything from outside. `owner` is `replica#start`, new at every start; `roll` is uniform in [0, 1)."""

    journal: Journal
    jobs: JobQueue
    siblings: Siblings
    catalogue: Catalogue
    connectors: Connectors
    proofs: Proofs
    facts: Facts
    clock: Clock
    tracing: Tracing
    pauses: Pauses
    roll: Callable[[], float]
    owner: str


@dataclass(frozen=True, slots=True)
class Service:
    """The use cases of one replica."""

    executor: Executor
    listing: Listing
    reconciler: Reconciler
    breakers: Breakers
    switches: Switches
    jobs: Jobs
    erasing: Erasing


def assemble(parts: Parts) -> Service:
    """One replica."""
    clock = parts.clock
    breakers = Breakers(facts=parts.facts, clock=clock)
    switches = Switches()
    finisher = Finisher(clock=clock)
    attempts = Attempts(
        connectors=parts.connectors,
        breakers=breakers,
        bulkheads=Bulkheads(clock=clock),
        switches=switches,
        alerts=AuthAlerts(facts=parts.facts, clock=clock),
        clock=clock,
        tracing=parts.tracing,
        roll=parts.roll,
    )
    scribe = Scribe(journal=parts.journal, clock=clock, owner=parts.owner)
    writing = Writing(
        journal=parts.journal,
        scribe=scribe,
        attempts=attempts,
        finisher=finisher,
        clock=clock,
        pauses=parts.pauses,
    )
    jobs = Jobs(
        queue=parts.jobs,
        journal=parts.journal,
        scribe=scribe,
        finisher=finisher,
        catalogue=parts.catalogue,
        facts=parts.facts,
        clock=clock,
    )
    executor = Executor(
        gate=Gate(catalogue=parts.catalogue, proofs=parts.proofs, clock=clock),
        refusing=Refusing(attempts=attempts, finisher=finisher, journal=parts.journal, clock=clock),
        reading=Reading(attempts=attempts, finisher=finisher, clock=clock),
        writing=writing,
        jobs=jobs,
        elsewhere=Elsewhere(siblings=parts.siblings),
        breakers=breakers,
        journal=parts.journal,
        clock=clock,
        tracing=parts.tracing,
    )
    reconciler = Reconciler(
        journal=parts.journal,
        scribe=scribe,
        writing=writing,
        finisher=finisher,
        catalogue=parts.catalogue,
        facts=parts.facts,
        clock=clock,
        roll=parts.roll,
    )
    listing = Listing(
        catalogue=parts.catalogue, connectors=parts.connectors, breakers=breakers, switches=switches
    )
    erasing = Erasing(journal=parts.journal, clock=clock, facts=parts.facts, open_here=reconciler.looks_into)
    return Service(executor, listing, reconciler, breakers, switches, jobs, erasing)
