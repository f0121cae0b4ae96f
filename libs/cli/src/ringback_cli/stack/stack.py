"""Owns a running stack as a whole: start it, know how to reach it, stop it."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ringback_errors import ConfigError, NotFound

from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.plan import Addresses, make_plan
from ringback_cli.stack.provision import Provisioned, publish_and_activate
from ringback_cli.stack.supervisor import Backoff, Note, Supervisor
from ringback_cli.stack.tenancy import LOCAL_TENANT, PACKS, ensure_local_tenant

__all__ = ["Reachable", "Stack", "read_reachable", "run_stack"]


@dataclass(frozen=True)
class Reachable:
    """What a client or a tool of the operator needs to know of a running stack."""

    pid: int
    realtime_url: str
    nats_url: str
    admin_address: str
    policy_address: str
    memory_address: str
    tools_address: str
    backend_url: str
    api_key_file: str
    tenant: str = LOCAL_TENANT
    # Of every session process; one that ends or is started again leaves the others.
    admin_addresses: Sequence[str] = ()

    def api_key(self) -> str:
        return Path(self.api_key_file).read_text().strip()


@dataclass(frozen=True)
class Stack:
    """A stack that is up."""

    paths: StackPaths
    addresses: Addresses
    api_key: str
    packs: tuple[Provisioned, ...]
    reachable: Reachable
    supervisor: Supervisor


@asynccontextmanager
async def run_stack(
    paths: StackPaths,
    *,
    packs: Path,
    environment: Mapping[str, str],
    on_note: Callable[[Note], None],
    realtime_port: int = 0,
    otlp_endpoint: str = "",
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    backend_arguments: tuple[str, ...] = (),
    workers: int = 1,
    backoff: Callable[[], Backoff] = Backoff,
) -> AsyncIterator[Stack]:
    """Start everything, yield the stack, stop everything in reverse order; `backoff`: of restarts."""
    paths.make()
    with _alone(paths.lock):
        api_key = ensure_local_tenant(paths)
        plan = make_plan(
            paths,
            packs=packs,
            environment=environment,
            realtime_port=realtime_port,
            otlp_endpoint=otlp_endpoint,
            overrides=overrides,
            backend_arguments=backend_arguments,
            workers=workers,
        )
        async with Supervisor(on_note=on_note, backoff=backoff) as supervisor:
            await supervisor.start_together(list(plan.base))
            await supervisor.start_together(list(plan.services))
            on_note(Note("starting", "packs"))
            provisioned = await publish_and_activate(
                [packs / name for name in PACKS],
                nats_url=plan.addresses.nats_url,
                policy_address=plan.addresses.policy,
                reason="start of the stack",
            )
            on_note(Note("ready", "packs", ", ".join(f"{p.pack} {p.version}" for p in provisioned)))
            await supervisor.start_together(list(plan.sessions))
            reachable = _reachable(paths, plan.addresses)
            paths.description.write_text(json.dumps(vars(reachable), indent=1))
            try:
                yield Stack(paths, plan.addresses, api_key, tuple(provisioned), reachable, supervisor)
            finally:
                paths.description.unlink(missing_ok=True)


def read_reachable(paths: StackPaths) -> Reachable:
    """How to reach the stack that runs with these paths; NotFound when none does."""
    try:
        return Reachable(**json.loads(paths.description.read_text()))
    except (OSError, ValueError, TypeError):
        raise NotFound(f"no stack runs here ({paths.description}); start one with: make up") from None


def _reachable(paths: StackPaths, at: Addresses) -> Reachable:
    return Reachable(
        pid=os.getpid(),
        realtime_url=at.realtime_url,
        nats_url=at.nats_url,
        admin_address=at.admin,
        policy_address=at.policy,
        memory_address=at.memory,
        tools_address=at.tools,
        backend_url=at.backend_url,
        api_key_file=str(paths.api_key.resolve()),
        admin_addresses=at.admins,
    )


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Two stacks in one folder would write over each other's state; the kernel releases the lock when we die."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"a stack already runs in {lock.parent}; stop it first (Ctrl-C where it runs)"
            ) from None
        yield
