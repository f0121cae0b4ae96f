"""`ringback doctor`: what is missing here, and what to do about it."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer
from rich.markup import escape
from ringback_errors import NotFound, RingbackError
from ringback_packs import load_pack

from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.settings import CliSettings, load_settings
from ringback_cli.stack.nats_server import nats_program
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.plan import SERVICES
from ringback_cli.stack.ports import require_free
from ringback_cli.stack.probes import grpc_serving, http_ok, nats_listening
from ringback_cli.stack.process import Probe
from ringback_cli.stack.stack import Reachable, read_reachable

__all__ = ["Finding", "doctor", "examine"]

# What the streams and buckets of topology.yaml reserve, with room for recordings.
_DISK_BYTES_MIN = 5 * 1024**3
_DEFAULT_PORT = 8080


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `remedy` is empty when nothing needs to be done."""

    name: str
    ok: bool
    said: str
    remedy: str = ""


def doctor() -> None:
    """Look at everything that Ringback needs on this machine, and at the stack if one runs here.

    Exit code 1 when something is missing.
    """
    findings = [*examine(load_settings())]
    for finding in findings:
        mark = "[green]ok     [/]" if finding.ok else "[bold red]missing[/]"
        console.print(f"  {mark} {finding.name:<18} {escape(finding.said)}")
        if finding.remedy:
            console.print(f"          [yellow]→ {escape(finding.remedy)}[/]")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def examine(settings: CliSettings) -> Iterator[Finding]:
    """Every finding, in the order in which problems should be put right."""
    yield _python()
    for service in SERVICES:
        yield _try(service, partial(_service_installed, service), "make setup")
    yield _try("nats-server", _nats_version, "make setup")
    yield _try("speech models", _speech_models, "make setup")
    for folder in sorted(settings.packs.glob("*/pack.yaml")):
        yield _try(f"pack {folder.parent.name}", partial(_pack, folder.parent), f"correct {folder.parent}")
    yield _disk(settings.var)
    try:
        stack = read_reachable(StackPaths(settings.var))
    except NotFound:
        yield Finding("stack", True, "none runs here (make up starts one)")
        yield _try(f"port {_DEFAULT_PORT}", _port_free, f"make up PORT={_DEFAULT_PORT + 1}")
        return
    yield from _running(stack)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    ok = sys.version_info >= (3, 11)
    return Finding(
        "python", ok, f"{version} in {sys.prefix}", "" if ok else "Python 3.11 or newer; make clean setup"
    )


def _service_installed(name: str) -> str:
    module = importlib.import_module(f"ringback_{name}")
    return str(Path(str(module.__file__)).parent)


def _nats_version() -> str:
    done = subprocess.run(
        [str(nats_program()), "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip() or done.stderr.strip()


def _speech_models() -> str:
    from ringback_speech import missing

    problem = missing()
    if problem:
        raise NotFound(problem)
    return "found, checksums right"


def _pack(folder: Path) -> str:
    pack = load_pack(folder)
    return f"{pack.version} with {len(pack.tools)} tools, {pack.digest[:19]}…"


def _disk(var: Path) -> Finding:
    at = next(folder for folder in (var, *var.resolve().parents) if folder.exists())
    free = shutil.disk_usage(at).free
    said = f"{free / 1024**3:.1f} GiB free for {var}"
    return Finding(
        "disk",
        free >= _DISK_BYTES_MIN,
        said,
        "" if free >= _DISK_BYTES_MIN else "5 GiB are needed; RINGBACK_VAR names another folder",
    )


def _port_free() -> str:
    require_free(_DEFAULT_PORT)
    return "free"


def _running(stack: Reachable) -> Iterator[Finding]:
    host, _, port = stack.realtime_url.removeprefix("http://").removesuffix("/v1").partition(":")
    nats_host, _, nats_port = stack.nats_url.removeprefix("nats://").partition(":")
    probes: dict[str, tuple[str, Probe]] = {
        "nats": (stack.nats_url, nats_listening(nats_host, int(nats_port))),
        "policy": (stack.policy_address, grpc_serving(stack.policy_address)),
        "memory": (stack.memory_address, grpc_serving(stack.memory_address)),
        "tools": (stack.tools_address, grpc_serving(stack.tools_address)),
        "session": (stack.realtime_url, http_ok(host, int(port), "/healthz")),
    }
    answers = run(_ask(list(probes.values())))
    for (name, (address, _)), problem in zip(probes.items(), answers, strict=True):
        remedy = (
            f"see var/log/{name}.log; a stack that was killed leaves its description: make up starts another"
        )
        yield Finding(f"running {name}", not problem, problem or address, remedy if problem else "")


async def _ask(probes: list[tuple[str, Probe]]) -> list[str]:
    results = await asyncio.gather(*(probe() for _, probe in probes), return_exceptions=True)
    return ["" if result is None else str(result) or type(result).__name__ for result in results]


def _try(name: str, look: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(name, True, look())
    except (RingbackError, ImportError, OSError, subprocess.SubprocessError) as error:
        return Finding(name, False, str(error), remedy)
