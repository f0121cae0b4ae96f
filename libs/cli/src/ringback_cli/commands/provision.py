"""`ringback provision`: what containers need before they can serve: keys in volumes, packs and bundles published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ringback_errors import ConfigError

from ringback_cli.commands.running import run
from ringback_cli.console import console
from ringback_cli.settings import load_settings
from ringback_cli.stack.provision import publish_and_activate
from ringback_cli.stack.tenancy import PACKS, ensure_proof_keys, ensure_tenant

__all__ = ["provision"]


def provision(
    secrets: Annotated[
        Path | None, typer.Option(help="Folder for keys; each kind in a folder of its own.")
    ] = None,
    nats: Annotated[str, typer.Option(help="NATS server for the packs, nats://host:port.")] = "",
    policy: Annotated[str, typer.Option(help="policy's host:port for the bundles.")] = "",
) -> None:
    """Make the keys that are missing (--secrets), publish the packs and their bundles (--nats with --policy).

    Run again it changes nothing that is there: keys stay, what is active stays active.
    """
    if bool(nats) != bool(policy):
        raise ConfigError("--nats and --policy: expected both (to publish packs) or neither")
    if secrets is None and not nats:
        raise ConfigError("nothing to do: expected --secrets FOLDER, or --nats and --policy, or all three")
    if secrets is not None:
        _make_keys(secrets)
    if nats:
        folders = [load_settings().packs / name for name in PACKS]
        for done in run(
            publish_and_activate(folders, nats_url=nats, policy_address=policy, reason="start of the stack")
        ):
            console.print(f"published {done.pack} {done.version}  {done.pack_digest}", markup=False)
            for warning in done.warnings:
                console.print(f"  warning {warning}", markup=False)


def _make_keys(folder: Path) -> None:
    """One folder for each group of readers: policy and tools, session, callers. No secret is printed."""
    proof, tenants, caller = folder / "proof", folder / "tenants", folder / "caller"
    for each in (proof, tenants, caller):
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    ensure_proof_keys(proof / "mac-keys.json")
    ensure_tenant(api_key=caller / "local.key", tenants=tenants / "tenants.yaml")
    console.print(f"keys are in {folder}", markup=False)
