"""What README and docs/clients.md say of clients: the same lines, and the versions that are run."""

import json
import re

LOCKS = "tests/e2e/clients/locks"
NODE_LOCK = "tests/e2e/clients/node/package-lock.json"
PROGRAM = re.compile(r"^## (?P<title>[^\n]+)\n+```(?:python|js)\n(?P<code>.*?)^```$", re.M | re.S)
PACKAGES = {
    "openai": "openai",
    "openai-agents": "openai-agents",
    "pipecat": "pipecat-ai",
    "livekit": "livekit-agents",
}


def test_the_lines_in_the_readme_are_those_of_the_programs(repository):
    readme = (repository.root / "README.md").read_text()
    section = readme.split("## Point your client at it\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.split("`")[1] for line in section.splitlines() if line.startswith("| ") and "`" in line]
    assert len(lines) == len(PACKAGES) + 1
    programs = " ".join("\n".join(_programs(repository).values()).split())
    missing = [line for line in lines if line not in programs]
    assert not missing, missing


def test_every_client_has_a_program(repository):
    asked_for = {"openai (async)", "openai (sync)", "agents-js"} | (PACKAGES.keys() - {"openai"})
    assert asked_for == _programs(repository).keys()


def test_the_documented_versions_are_those_of_the_locks(repository):
    page = (repository.root / "docs" / "clients.md").read_text()
    locked = {}
    for lock, package in PACKAGES.items():
        text = (repository.root / LOCKS / f"{lock}.lock").read_text()
        locked[lock] = re.search(rf"^{package}==(\S+)", text, re.M)[1]
    packages = json.loads((repository.root / NODE_LOCK).read_text())["packages"]
    locked["agents-js"] = packages["node_modules/@openai/agents-realtime"]["version"]
    missing = {name: version for name, version in locked.items() if f"| {version} |" not in page}
    assert not missing, f"docs/clients.md does not name these versions: {missing}"


def _programs(repository):
    page = (repository.root / "docs" / "clients.md").read_text()
    return {found["title"]: found["code"] for found in PROGRAM.finditer(page)}
