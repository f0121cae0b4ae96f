"""What modules are called, what they say of themselves, and what only some of them may do."""

import ast
from collections.abc import Iterator

BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "misc", "manager", "managers"}


def test_no_module_has_a_name_that_says_nothing(repository):
    banned = [
        str(module.path)
        for module in repository.all_modules()
        if BANNED_NAMES & set(module.name.removesuffix(".__init__").split("."))
    ]
    assert not banned, banned


def test_every_module_says_what_it_owns(repository):
    silent = [
        str(module.path)
        for module in repository.source_modules()
        if module.text.strip() and not ast.get_docstring(module.tree)
    ]
    assert not silent, f"without a module docstring: {silent}"


def test_only_settings_modules_read_the_environment(repository):
    reads = [
        f"{module.path}:{line}"
        for package in repository.own_packages
        if package.name != "testkit"
        for module in package.modules
        if module.path.name != "settings.py"
        for line in _environment_reads(module.tree)
    ]
    assert not reads, f"read settings in settings.py and pass them on: {reads}"


def test_tests_never_sleep(repository):
    sleeps = [
        f"{module.path}:{line}"
        for modules in ([*package.tests] for package in repository.own_packages)
        for module in modules
        for line in _sleeps(module.tree)
    ]
    sleeps += [
        f"{module.path}:{line}"
        for module in repository.shared_tests
        if "bench" not in module.path.parts  # a load has a pace
        for line in _sleeps(module.tree)
    ]
    assert not sleeps, f"wait for a state, or use a fake clock: {sleeps}"


def test_test_files_have_names_of_their_own(repository):
    seen: dict[str, str] = {}
    twice = []
    for module in repository.all_modules():
        if not module.path.name.startswith("test_"):
            continue
        if module.path.name in seen:
            twice.append(f"{module.path} and {seen[module.path.name]}")
        seen[module.path.name] = str(module.path)
    assert not twice, twice


def test_test_folders_are_not_packages(repository):
    packages = [
        str(path) for path in repository.files if path.name == "__init__.py" and "tests" in path.parts
    ]
    assert not packages, f"tests are imported by path; remove {packages}"


def _environment_reads(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv"):
                yield node.lineno
            case ast.ImportFrom(module="os") if {alias.name for alias in node.names} & {"environ", "getenv"}:
                yield node.lineno


def _sleeps(tree: ast.Module) -> Iterator[int]:
    """Sleeps that only let time pass; in a `while` one is the pace of looking at a state, `sleep(0)` only yields."""
    paced = {
        id(inner)
        for loop in ast.walk(tree)
        if isinstance(loop, ast.While) and not (isinstance(loop.test, ast.Constant) and loop.test.value)
        for inner in ast.walk(loop)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="time" | "asyncio"), attr="sleep"), args=[argument]
            ):
                yields = isinstance(argument, ast.Constant) and argument.value == 0
                if not yields and id(node) not in paced:
                    yield node.lineno
