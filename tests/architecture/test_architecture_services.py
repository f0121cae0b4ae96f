"""Every service has the same outside: who owns it, what it is for, how it starts."""

REQUIRED_FILES = ("README.md", "OWNERS", "pyproject.toml")
REQUIRED_MODULES = ("__main__", "bootstrap", "settings")


def test_every_service_says_who_owns_it_and_what_it_is_for(repository):
    missing = [
        f"services/{service.name}/{name}"
        for service in repository.services
        for name in REQUIRED_FILES
        if not (service.folder / name).is_file() or not (service.folder / name).read_text().strip()
    ]
    assert not missing, f"missing or empty: {missing}"


def test_every_service_starts_the_same_way(repository):
    missing = [
        f"{service.import_name}.{name}"
        for service in repository.services
        for name in REQUIRED_MODULES
        if f"{service.import_name}.{name}" not in {module.name for module in service.modules}
    ]
    assert not missing, f"missing modules: {missing}"


def test_every_service_has_tests(repository):
    untested = [service.name for service in repository.services if not service.tests]
    assert not untested, f"services without a test: {untested}"


def test_every_package_is_typed_and_holds_one_import_name(repository):
    wrong = [
        package.name
        for package in repository.own_packages
        if not (package.folder / "src" / package.import_name / "py.typed").is_file()
        or [child.name for child in (package.folder / "src").iterdir() if child.name != "__pycache__"]
        != [package.import_name]
    ]
    assert not wrong, f"expected src/ringback_<name>/py.typed and nothing else in src/: {wrong}"
