"""Loads a pack from a folder or from its files: reads within bounds, validates, computes the digest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ringback_packs import forms
from ringback_packs.descriptors import (
    DESCRIPTOR_BYTES_MAX,
    FILE_NAME,
    FILE_NAME_FORM,
    FOLDER,
    SUFFIX,
    Descriptors,
)
from ringback_packs.findings import PackError, Report, near
from ringback_packs.model import Pack
from ringback_packs.pack_file import Manifest, read_manifest
from ringback_packs.tools_file import read_tools
from ringback_packs.yaml_tree import FILE_BYTES_MAX, parse_yaml

__all__ = ["load_files", "load_pack", "pack_digest"]

MANIFEST = "pack.yaml"
TOOLS = "tools.yaml"
FILE_NAMES = (MANIFEST, TOOLS, *(f"bundle/{layer}" for layer in forms.LAYERS))


def load_pack(folder: Path) -> Pack:
    """Return the pack in a folder; PackError lists everything that is wrong with it.

    `pack.yaml`, `tools.yaml`, the layers in `bundle/` and the descriptor files in `descriptors/` are the pack;
    `calls/` and `backend/` beside them are not read.
    """
    report = Report()
    files = _read_folder(folder, report)
    return _load(files, label=folder.name, report=report)


def load_files(files: Mapping[str, bytes], *, label: str = "") -> Pack:
    """Return the pack that these files make, by path; PackError lists everything that is wrong with it."""
    return _load(dict(files), label=label, report=Report())


def pack_digest(files: Mapping[str, bytes]) -> str:
    """Return the digest over names and contents: the same files give the same digest, wherever they lie."""
    whole = hashlib.sha256(b"ringback-pack-1\0")
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            whole.update(len(part).to_bytes(8, "big"))
            whole.update(part)
    return f"sha256:{whole.hexdigest()}"


def _load(files: dict[str, bytes], *, label: str, report: Report) -> Pack:
    _check_names(files, report)
    types = {name: data for name, data in files.items() if FILE_NAME.match(name)}
    trees = {
        name: parse_yaml(data, file=name, report=report)
        for name, data in sorted(files.items())
        if not name.startswith(f"{FOLDER}/")
    }
    tools_root, manifest_root = trees.get(TOOLS), trees.get(MANIFEST)
    descriptors = Descriptors(types, report=report)
    tools = read_tools(tools_root, file=TOOLS, descriptors=descriptors, report=report) if tools_root else ()
    descriptors.done()
    manifest = (
        read_manifest(manifest_root, file=MANIFEST, tools=tools, report=report)
        if manifest_root
        else Manifest()
    )
    if report.failed:
        raise PackError(manifest.name or label or "?", report.findings)
    return Pack(
        name=manifest.name,
        version=manifest.version,
        description=manifest.description,
        digest=pack_digest(files),
        agents=manifest.agents,
        default_agent=manifest.default_agent,
        generalist=manifest.generalist,
        handoff_depth_max=manifest.handoff_depth_max,
        tools=tools,
        client=manifest.client,
        files=files,
        warnings=report.findings,
    )


def _check_names(files: Mapping[str, bytes], report: Report) -> None:
    for name in (MANIFEST, TOOLS):
        if name not in files:
            report.error(name, 0, "", "a file of this name expected in the pack's folder")
    for name in sorted(files):
        if name.startswith(f"{FOLDER}/") and not FILE_NAME.match(name):
            report.error(name[:200], 0, "", f"{FILE_NAME_FORM} expected (letters, digits, '_', '.', '-')")
        elif name not in FILE_NAMES and not FILE_NAME.match(name):
            report.error(name[:200], 0, "", f"not a file of a pack{near(name, FILE_NAMES)}")
    for layer in forms.LAYERS:
        if f"bundle/{layer}" not in files:
            report.warning(f"bundle/{layer}", 0, "", "missing: this layer of the policy has no rules")


def _read_folder(folder: Path, report: Report) -> dict[str, bytes]:
    if not folder.is_dir():
        report.error(str(folder), 0, "", "the folder of a pack expected")
        raise PackError(folder.name, report.findings)
    paths = [folder / MANIFEST, folder / TOOLS]
    bundle = folder / "bundle"
    if bundle.is_dir():
        paths += sorted(path for path in bundle.iterdir() if path.suffix in (".yaml", ".yml"))
    types = folder / FOLDER
    if types.is_dir():
        paths += sorted(path for path in types.iterdir() if path.suffix == SUFFIX)
    files: dict[str, bytes] = {}
    for path in paths:
        name = path.relative_to(folder).as_posix()
        if not path.is_file():
            continue
        try:
            with path.open("rb") as file:
                # One byte more than allowed is enough to be told that it is too much.
                files[name] = file.read(max(FILE_BYTES_MAX, DESCRIPTOR_BYTES_MAX) + 1)
        except OSError as error:
            report.error(name, 0, "", f"a readable file expected ({error.strerror})")
    return files
