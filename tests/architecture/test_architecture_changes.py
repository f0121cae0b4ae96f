"""Fragments under changes/: one per change that a user can see, written for users."""

import re

KINDS = ("added", "changed", "fixed", "removed", "security")
NAME = re.compile(rf"^[a-z0-9][a-z0-9-]*\.({'|'.join(KINDS)})\.md$")


def test_fragments_are_named_and_written_for_users(repository):
    wrong = []
    for path in (repository.root / "changes").iterdir():
        if path.name == "README.md":
            continue
        text = path.read_text().strip()
        if not NAME.match(path.name):
            wrong.append(f"{path.name}: expected <slug>.<{'|'.join(KINDS)}>.md")
        elif not text.endswith("."):
            wrong.append(f"{path.name}: expected whole sentences")
        elif re.search(r"#\d+", text):
            wrong.append(f"{path.name}: names an issue; say what a user sees")
    assert not wrong, "\n".join(wrong)
