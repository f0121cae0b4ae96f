"""What a program holds is what it has not given back, whatever its allocator keeps."""

import asyncio
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from ringback_testkit.heap import witnessed

BOUND_S = 25
# Holds so many small objects as it is told, and as many that only the collector can find.
KEEPER = """
import sys
print("ready", flush=True)
for line in sys.stdin:
    kept = [bytes(1_000) for _ in range(int(line))]
    for _ in range(int(line)):
        lost = [bytes(1_000)]
        lost.append(lost)
    lost = None
    print("done", flush=True)
"""
OBJECTS = 8_000


@contextmanager
def started(*command, heaps):
    child = subprocess.Popen(
        [sys.executable, *command],
        env=os.environ | heaps.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate(timeout=BOUND_S)


def keeps(child, objects):
    child.stdin.write(f"{objects}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "done\n"


def is_python(pid):
    return Path(f"/proc/{pid}/exe").readlink().name.startswith("python")


@pytest.fixture
def heaps(tmp_path):
    return witnessed(tmp_path / "heaps")


async def test_what_a_program_holds_is_what_it_has_not_given_back(heaps):
    with started("-c", KEEPER, heaps=heaps) as child:
        assert child.stdout.readline() == "ready\n"
        held = {}
        for objects in (0, OBJECTS, 1):
            keeps(child, objects)
            held |= {objects: (await heaps.held_kb([child.pid]))[child.pid]}
    assert OBJECTS < held[OBJECTS] - held[0] < OBJECTS * 1.2
    assert held[1] - held[0] < 200


async def test_a_program_that_is_no_python_is_left_out_and_left_alone(heaps):
    become = "import os; print('ready', flush=True); input(); os.execvp('cat', ['cat'])"
    with started("-c", become, heaps=heaps) as child:
        assert child.stdout.readline() == "ready\n"
        child.stdin.write("\n")
        child.stdin.flush()
        async with asyncio.timeout(BOUND_S):
            while is_python(child.pid):
                await asyncio.sleep(0.01)
        assert await heaps.held_kb([child.pid, os.getpid()]) == {}
        child.stdin.write("still here\n")
        child.stdin.flush()
        assert child.stdout.readline() == "still here\n"
