"""The project speaks of itself alone: no address of a package registry, no path of somebody's machine."""

import json
import re

# Written in pieces so that this file does not find itself.
REGISTRY_HOSTS = [
    "pypi" + ".org",
    "files.python" + "hosted.org",
    "registry.npm" + "js.org",
    "registry.yarn" + "pkg.com",
    "proxy.go" + "lang.org",
    "static.crates" + ".io",
]
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work/|home/\w|Users/\w|root/|tmp/\w)")
# Paths inside a container image, and temporary folders that a document tells a reader to use.
PATH_EXCEPTIONS = {"docker-compose.yml", "Dockerfile"}
TEXT_SUFFIXES = {
    "",
    ".py",
    ".pyi",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".lock",
    ".txt",
    ".sh",
    ".proto",
    ".json",
}


def test_no_file_names_a_package_registry(repository):
    found = [
        f"{path}: {host}" for path, text in _texts(repository) for host in REGISTRY_HOSTS if host in text
    ]
    assert not found, found


def test_no_file_names_a_path_of_one_machine(repository):
    found = [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in _texts(repository)
        if path.name not in PATH_EXCEPTIONS
        for number, line in enumerate(text.splitlines(), start=1)
        if MACHINE_PATHS.search(line)
    ]
    assert not found, "\n".join(found)


def test_files_that_record_registry_addresses_are_absent(repository):
    kept = [str(path) for path in repository.files if path.name in {"uv.lock", "pylock.toml", "yarn.lock"}]
    assert not kept, kept


def test_an_npm_lock_records_no_addresses(repository):
    kept = [
        f"{path}: {name}"
        for path in repository.files
        if path.name == "package-lock.json"
        for name, package in json.loads((repository.root / path).read_text())["packages"].items()
        if "resolved" in package
    ]
    assert not kept, kept


def _texts(repository):
    for path in repository.files:
        if path.suffix in TEXT_SUFFIXES:
            yield path, (repository.root / path).read_text(errors="replace")
