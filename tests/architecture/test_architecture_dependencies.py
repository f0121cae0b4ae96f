"""What a package imports, its pyproject.toml declares; what it declares, the lock holds."""

import re
import sys
from importlib.metadata import packages_distributions

# import name → distribution, where the environment cannot tell (namespace packages shared by several).
NAMESPACES = {"google.protobuf": "protobuf", "google.rpc": "googleapis-common-protos"}


def test_every_import_is_declared(repository):
    distributions = packages_distributions()
    undeclared = {
        f"{package.folder.relative_to(repository.root)}: {module.path.name}:{line} imports {name}"
        for package in repository.own_packages
        for module in package.modules
        for line, name in module.imported()
        if not _is_declared(name, package.import_name, _names(package.dependencies), distributions)
    }
    assert not undeclared, "\n".join(sorted(undeclared))


def test_every_declared_dependency_is_locked(repository):
    locked = set(
        re.findall(r"^([A-Za-z0-9._-]+)==", (repository.root / "requirements.lock").read_text(), re.MULTILINE)
    )
    locked = {_normal(name) for name in locked}
    unlocked = {
        f"{package.name}: {name}"
        for package in repository.packages
        for name in _names(package.dependencies)
        if not name.startswith("ringback-") and name not in locked
    }
    assert not unlocked, f"run make lock: {sorted(unlocked)}"


def _is_declared(
    imported: str, own_name: str, declared: set[str], distributions: dict[str, list[str]]
) -> bool:
    top = imported.split(".")[0]
    if top in sys.stdlib_module_names or top == own_name:
        return True
    if top == "ringback":
        return "ringback-contracts" in declared
    if top.startswith("ringback_"):
        return f"ringback-{top.removeprefix('ringback_')}" in declared
    for prefix, distribution in NAMESPACES.items():
        if imported.startswith(prefix):
            return distribution in declared
    candidates = {_normal(name) for name in distributions.get(top, [top])}
    return bool(candidates & declared)


def _names(dependencies: frozenset[str]) -> set[str]:
    return {_normal(re.split(r"[\[<>=!~; ]", dependency, maxsplit=1)[0]) for dependency in dependencies}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
