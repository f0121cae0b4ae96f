"""Players of seeds that jobs find by name: they fail, die, hang or dawdle as their seeds say."""

import multiprocessing
import os
import signal
import time

from ringback_session.simulation.jobs import Played


def fails_at_7_and_19(seed):
    return Played(seed, violation="it broke" if seed in (7, 19) else "", virtual_ms=seed, digest=f"d{seed}")


def dies_at_7(seed):
    if seed == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return fails_at_7_and_19(seed)


def always_exits(seed):
    os._exit(3)


def hangs_at_7(seed):
    while seed == 7:
        time.sleep(0.05)
    return fails_at_7_and_19(seed)


def interrupts_at_8(seed):
    """The first are played; then whoever runs the jobs gets a Ctrl-C, as all of them do at a terminal."""
    runner = multiprocessing.parent_process()
    if seed == 8 and runner is not None:
        os.kill(runner.pid, signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
    while seed >= 8:
        time.sleep(0.05)
    return fails_at_7_and_19(seed)


def interrupts_itself_at_8(seed):
    if seed == 8:
        signal.raise_signal(signal.SIGINT)
    return fails_at_7_and_19(seed)
