"""Owns the reading of annotated dialogues from a folder, in the schema-guided dialogue format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from ringback_errors import InvalidInput

DIALOGUE_FIELDS = ("dialogue_id", "services", "turns")
SERVICE_FIELDS = ("service_name", "slots", "intents")


def read_dialogues(folder: Path) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The dialogues of `dialogues_*.json` and the services of `schema*.json`; InvalidInput names the file and field."""
    dialogues = _read(folder, "dialogues_*.json", DIALOGUE_FIELDS)
    services = _read(folder, "schema*.json", SERVICE_FIELDS)
    known = {service["service_name"] for service in services}
    for dialogue in dialogues:
        missing = set(dialogue["services"]) - known
        if missing:
            raise InvalidInput(f"{dialogue['dialogue_id']}: no schema of {sorted(missing)}", field="services")
    return dialogues, services


def _read(folder: Path, pattern: str, fields: Sequence[str]) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise InvalidInput(f"{folder}: a file {pattern} expected", field="data")
    for path in paths:
        try:
            entries = msgspec.json.decode(path.read_bytes(), type=list[dict[str, Any]])
        except (msgspec.DecodeError, OSError) as error:
            raise InvalidInput(f"{path}: a JSON list of objects expected: {error}", field="data") from error
        for number, entry in enumerate(entries):
            for field in fields:
                if field not in entry:
                    raise InvalidInput(f"{path}, entry {number}: {field} expected", field=field)
        found.extend(entries)
    return found
