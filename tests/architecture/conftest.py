"""The repository as data: its packages, their parsed modules, and its files; read once per run."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One Python file. `name` is dotted; `path` is relative to the repository."""

    name: str
    path: Path
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, filename=str(self.path))

    @cached_property
    def lines(self) -> int:
        return len(self.text.splitlines())

    def imported(self) -> Iterator[tuple[int, str]]:
        """(line, dotted name) of every absolute import; `from a import b` gives `a.b`."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@dataclass(frozen=True)
class Package:
    """One lib or service with its own pyproject.toml."""

    name: str
    folder: Path
    is_service: bool
    modules: tuple[Module, ...]
    tests: tuple[Module, ...]
    dependencies: frozenset[str]

    @property
    def import_name(self) -> str:
        return "ringback" if self.name == "contracts" else f"ringback_{self.name}"


@dataclass(frozen=True, repr=False)
class Repository:
    root: Path
    packages: tuple[Package, ...]
    files: tuple[Path, ...]
    shared_tests: tuple[Module, ...]
    pack_modules: tuple[Module, ...]

    @property
    def services(self) -> tuple[Package, ...]:
        return tuple(package for package in self.packages if package.is_service)

    @property
    def own_packages(self) -> tuple[Package, ...]:
        """Packages that people write; `contracts` is generated."""
        return tuple(package for package in self.packages if package.name != "contracts")

    def source_modules(self) -> Iterator[Module]:
        for package in self.own_packages:
            yield from package.modules
        yield from self.pack_modules

    def all_modules(self) -> Iterator[Module]:
        yield from self.source_modules()
        for package in self.own_packages:
            yield from package.tests
        yield from self.shared_tests


@pytest.fixture(scope="session")
def repository() -> Repository:
    files = _files()
    packages = tuple(
        _package(folder, is_service=kind == "services")
        for kind in ("libs", "services")
        for folder in sorted((ROOT / kind).iterdir())
        if (folder / "pyproject.toml").is_file()
    )
    return Repository(
        root=ROOT,
        packages=packages,
        files=files,
        shared_tests=_modules(ROOT / "tests", base=ROOT),
        pack_modules=_modules(ROOT / "packs", base=ROOT),
    )


def _files() -> tuple[Path, ...]:
    """Every file that is, or would be, part of the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    return tuple(Path(name) for name in sorted(listed.stdout.split("\0")) if name and (ROOT / name).is_file())


def _package(folder: Path, *, is_service: bool) -> Package:
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return Package(
        name=folder.name,
        folder=folder,
        is_service=is_service,
        modules=_modules(folder / "src", base=folder / "src"),
        tests=_modules(folder / "tests", base=folder),
        # An extra declares what only some use; the code then says what is missing where it is not installed.
        dependencies=frozenset(project["dependencies"]).union(
            *project.get("optional-dependencies", {}).values()
        ),
    )


def _modules(folder: Path, *, base: Path) -> tuple[Module, ...]:
    return tuple(
        Module(
            name=".".join(path.relative_to(base).with_suffix("").parts),
            path=path.relative_to(ROOT),
            text=path.read_text(),
        )
        for path in sorted(folder.rglob("*.py"))
    )
