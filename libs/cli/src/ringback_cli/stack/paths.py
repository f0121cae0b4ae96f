"""Owns where a running stack keeps its files."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["StackPaths"]


@dataclass(frozen=True)
class StackPaths:
    """The folders and files of one stack under `root` (./var for `up`, ./var/demo for `demo`)."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def ready(self) -> Path:
        return self.root / "ready"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def mac_keys(self) -> Path:
        return self.secrets / "mac-keys.json"

    @property
    def api_key(self) -> Path:
        return self.secrets / "local.key"

    @property
    def tenants(self) -> Path:
        return self.secrets / "tenants.yaml"

    @property
    def nats_store(self) -> Path:
        return self.state / "nats"

    @property
    def ledger(self) -> Path:
        return self.state / "reservations.sqlite"

    @property
    def description(self) -> Path:
        """How to reach the running stack, as JSON; absent when none runs."""
        return self.root / "stack.json"

    @property
    def lock(self) -> Path:
        return self.root / "stack.lock"

    def log_of(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def ready_file_of(self, name: str) -> Path:
        return self.ready / f"{name}.port"

    def state_of(self, name: str) -> Path:
        return self.state / name

    def make(self) -> None:
        """Create the folders; the one with secrets is for the owner's eyes only."""
        for folder in (self.root, self.logs, self.state, self.ready, self.nats_store):
            folder.mkdir(parents=True, exist_ok=True)
        self.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.secrets.chmod(0o700)
