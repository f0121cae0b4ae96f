"""Simulated calls shared out among processes: whoever has time takes the next seeds; results come back in order.

A process that dies, or does not come to the end of a call, costs that one call, which is told as a failure; another
process takes the rest of its seeds. The results do not depend on how many processes there are.
"""

from __future__ import annotations

import gc
import logging
import math
import multiprocessing
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Final

from ringback_session.simulation.plan import draw
from ringback_session.simulation.world import simulate

__all__ = [
    "Play",
    "Played",
    "Stop",
    "in_turn",
    "never",
    "play",
    "processors",
    "rarely_collecting",
    "share_out",
]

# What session logs of simulated faults is no news to whoever runs the simulation.
logging.getLogger("ringback_session").addHandler(logging.NullHandler())

# Seeds that a process takes at a time: few enough to end together, enough not to wait for each one.
TAKES: Final = 8
# How far the results may be ahead of the one that is waited for; then nothing more is handed out.
AHEAD_MAX: Final = 2_000
# Far beyond any call on any machine: what takes longer goes round in circles. So for a process to begin.
CALL_S_MAX: Final = 120.0
START_S_MAX: Final = 300.0
COLLECTS_EVERY: Final = 20
_STOPS_WITHIN_S: Final = 5.0


@dataclass(frozen=True)
class Played:
    """What came of one seed. `violation` is what went wrong first, or "". `lost`: nobody knows how the call went."""

    seed: int
    violation: str = ""
    virtual_ms: int = 0
    digest: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    used_s: float = 0.0
    lost: bool = False


Play = Callable[[int], Played]
Stop = Callable[[], bool]


def never() -> bool:
    """A `stop` that nobody asks for."""
    return False


def play(seed: int) -> Played:
    """Simulate the call of a seed."""
    used_s = time.process_time()
    outcome = simulate(draw(seed))
    return Played(
        seed,
        outcome.violations[0] if outcome.violations else "",
        outcome.virtual_ms,
        outcome.digest,
        outcome.counts,
        time.process_time() - used_s,
    )


def processors() -> int:
    """How many of them this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def in_turn(
    seeds: range, *, ends_at: float = math.inf, stop: Stop = never, play: Play = play
) -> Generator[Played]:
    """In this process, one after the other; after `ends_at` (monotonic), or once `stop` says so, none begins."""
    with rarely_collecting() as collect:
        for seed in seeds:
            if time.monotonic() >= ends_at or stop():
                return
            yield play(seed)
            collect()


def share_out(
    seeds: range, *, jobs: int, ends_at: float = math.inf, stop: Stop = never, play: Play = play
) -> Generator[Played]:
    """In so many processes; the results in the order of the seeds.

    After `ends_at` (monotonic) none begins; once `stop` says so, all end at once, and what they came to is told.
    """
    ahead: dict[int, Played] = {}
    left = deque(seeds)
    waited_for = seeds.start
    crew = _Crew(jobs, play)
    try:
        while not stop():
            room = AHEAD_MAX - len(ahead)
            crew.hand_out(left if time.monotonic() < ends_at and room > 0 else deque())
            if not crew.busy:
                return
            ahead |= {played.seed: played for played in crew.results()}
            while waited_for in ahead:
                yield ahead.pop(waited_for)
                waited_for += 1
        ahead |= {played.seed: played for played in crew.last_results()}
        yield from (ahead[seed] for seed in sorted(ahead))
    finally:
        crew.stop()


@contextmanager
def rarely_collecting() -> Iterator[Callable[[], None]]:
    """Let garbage be until some calls are over: looking for it costs a sixth of a call, again and again.

    Yields what is to be called after each call.
    """
    was_on, calls = gc.isenabled(), 0
    gc.collect()
    gc.freeze()
    gc.disable()

    def collect() -> None:
        nonlocal calls
        calls += 1
        if calls % COLLECTS_EVERY == 0:
            gc.collect()

    try:
        yield collect
    finally:
        gc.unfreeze()
        if was_on:
            gc.enable()


class _Job:
    """One process, and the seeds that it has: the first of them is under way."""

    def __init__(self, play: Play) -> None:
        # Forked from a process that has read all the code once, and has no threads.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([__name__])
        self.ours, theirs = context.Pipe()
        self.seeds: deque[int] = deque()
        self._works = False
        self._heard_at = time.monotonic()
        self._process = context.Process(target=_works, args=(theirs, play), daemon=True)
        with _undisturbed():
            self._process.start()
        theirs.close()

    @property
    def stuck(self) -> bool:
        silent_s = time.monotonic() - self._heard_at
        return bool(self.seeds) and silent_s > (CALL_S_MAX if self._works else START_S_MAX)

    def takes(self, seeds: deque[int]) -> None:
        """Some of these."""
        self.seeds.extend(seeds.popleft() for _ in range(min(TAKES, len(seeds))))
        self._heard_at = time.monotonic()
        with suppress(BrokenPipeError):
            self.ours.send(list(self.seeds))

    def says(self) -> list[Played] | None:
        """The next result; nothing, when it has begun to work. None: the process is gone."""
        try:
            played: Played | None = self.ours.recv()
        except (EOFError, OSError):
            return None
        self._works = True
        self._heard_at = time.monotonic()
        if played is None:
            return []
        self.seeds.remove(played.seed)
        return [played]

    def stop(self) -> int | None:
        """End it; returns its exit code, negative for a signal."""
        self._process.terminate()
        self._process.join(_STOPS_WITHIN_S)
        self._process.kill()
        self._process.join()
        self.ours.close()
        return self._process.exitcode

    def gone(self) -> int | None:
        """It closed its end: wait until it is over."""
        self._process.join(_STOPS_WITHIN_S)
        return self.stop()


class _Crew:
    def __init__(self, jobs: int, play: Play) -> None:
        self._play = play
        self._size = jobs
        self._jobs: list[_Job] = []
        # Left behind by a process that is gone.
        self._orphans: deque[int] = deque()

    @property
    def busy(self) -> bool:
        return bool(self._orphans) or any(job.seeds for job in self._jobs)

    def hand_out(self, seeds: deque[int]) -> None:
        """To whoever has none; what a process left behind goes first."""
        for job in self._jobs:
            if not job.seeds and (self._orphans or seeds):
                job.takes(self._orphans or seeds)
        while (self._orphans or seeds) and len(self._jobs) < self._size:
            self._jobs.append(_Job(self._play))
            self._jobs[-1].takes(self._orphans or seeds)

    def results(self, *, within_s: float = 0.5) -> list[Played]:
        """What has come by then, as soon as anything has."""
        ready = wait([job.ours for job in self._jobs], timeout=within_s)
        found = []
        for job in list(self._jobs):
            if job.ours in ready:
                said = job.says()
                found += [self._lost(job, stuck=False)] if said is None else said
            elif job.stuck:
                found.append(self._lost(job, stuck=True))
        return found

    def last_results(self) -> list[Played]:
        """What is there already, before all of it ends."""
        found: list[Played] = []
        while more := [played for played in self.results(within_s=0) if not played.lost]:
            found += more
        return found

    def stop(self) -> None:
        for job in self._jobs:
            job.stop()
        self._jobs = []

    def _lost(self, job: _Job, *, stuck: bool) -> Played:
        """Somebody else takes the seeds after the one that it was at."""
        self._jobs.remove(job)
        code = job.stop() if stuck else job.gone()
        seed = job.seeds.popleft()
        self._orphans.extend(job.seeds)
        what = f"the process that simulated it ended with {_named(code)}"
        if stuck:
            what = f"it did not end within {CALL_S_MAX:.0f} s, and was stopped"
        return Played(seed, what, lost=True)


def _named(code: int | None) -> str:
    return signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"


def _works(pipe: Connection, play: Play) -> None:
    """A process: plays what it is given, until nobody is there any more to give it anything."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, BrokenPipeError, ConnectionResetError), rarely_collecting() as collect:
        pipe.send(None)
        while True:
            for seed in pipe.recv():
                pipe.send(play(seed))
                collect()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A process that begins here never sees Ctrl-C, which whoever begins it answers for all."""
    # It would lift the mask, were it begun below.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
