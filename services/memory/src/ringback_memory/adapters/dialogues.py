"""Owns the reading of annotated dialogues from a folder, in the schema-guided dialogue format.

Source of the format: https://github.com/google-research-datasets/dstc8-schema-guided-dialogue (README). What is not
annotated may be absent: frames, states, actions and calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from ringback_errors import InvalidInput

FILE_BYTES_MAX = 256 * 1024 * 1024
"""A file is held in memory as a whole; a larger one is to be split."""
NAMED_MAX = 5

Scalar = str | int | float | bool | None


class _Act(msgspec.Struct):
    act: str = ""
    slot: str = ""
    values: list[Scalar] = []
    canonical_values: list[Scalar] = []


class _State(msgspec.Struct):
    active_intent: str = "NONE"
    slot_values: dict[str, list[str]] = {}


class _Call(msgspec.Struct):
    method: str
    parameters: dict[str, Scalar] = {}


class _Frame(msgspec.Struct, omit_defaults=True):
    service: str
    actions: list[_Act] = []
    state: _State | None = None
    service_call: _Call | None = None
    service_results: list[Any] = []


class _Turn(msgspec.Struct):
    speaker: Literal["USER", "SYSTEM"]
    utterance: str
    frames: list[_Frame] = []


class _Dialogue(msgspec.Struct):
    dialogue_id: str
    services: list[str]
    turns: list[_Turn]


class _Intent(msgspec.Struct):
    name: str
    description: str = ""
    is_transactional: bool = False
    required_slots: list[str] = []
    optional_slots: dict[str, Scalar] | list[str] = {}


class _Slot(msgspec.Struct):
    name: str
    description: str = ""
    is_categorical: bool = False
    possible_values: list[str] = []


class _Service(msgspec.Struct):
    service_name: str
    slots: list[_Slot]
    intents: list[_Intent]
    description: str = ""


def read_dialogues(folder: Path) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """The dialogues of `dialogues_*.json` and the services of `schema*.json`; InvalidInput names the file and field."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder}: a folder expected", field="data")
    dialogues = _read(folder, "dialogues_*.json", _Dialogue)
    services = _read(folder, "schema*.json", _Service)
    if not dialogues:
        raise InvalidInput(f"{folder}: no dialogue in any dialogues_*.json", field="data")
    known = {service["service_name"] for service in services}
    for dialogue in dialogues:
        named = {*dialogue["services"], *(f["service"] for turn in dialogue["turns"] for f in turn["frames"])}
        if missing := sorted(named - known):
            raise InvalidInput(
                f"dialogue {dialogue['dialogue_id']}: no schema*.json in {folder} describes "
                f"{', '.join(missing[:NAMED_MAX])}",
                field="services",
            )
    return dialogues, services


def _read(folder: Path, pattern: str, entry: type) -> list[Mapping[str, Any]]:
    paths = sorted(folder.glob(pattern))
    if not paths:
        raise InvalidInput(f"{folder}: a file {pattern} expected", field="data")
    found: list[Mapping[str, Any]] = []
    for path in paths:
        try:
            if path.stat().st_size > FILE_BYTES_MAX:
                raise InvalidInput(
                    f"{path}: at most {FILE_BYTES_MAX >> 20} MiB expected, split it", field="data"
                )
            entries = msgspec.json.decode(path.read_bytes(), type=list[entry])  # type: ignore[valid-type]
        except OSError as error:
            raise InvalidInput(f"{path}: a readable file expected: {error.strerror}", field="data") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"{path}: {error}", field="data") from error
        found.extend(msgspec.to_builtins(entries))
    return found
