"""Owns the stack that is measured: the pack `passthrough` with other turn rules, and so many calls at once."""

from __future__ import annotations

import asyncio
import dataclasses
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ringback_cli.caller.client import realtime_url
from ringback_cli.overlap.cases import Case
from ringback_cli.overlap.playing import Heard, play
from ringback_cli.settings import inherited_environment
from ringback_cli.stack.paths import StackPaths
from ringback_cli.stack.provision import publish_and_activate
from ringback_cli.stack.stack import run_stack
from ringback_cli.watch.watcher import Watcher

__all__ = ["RULES", "measure"]

PACK = "turns"
# What is measured unless told otherwise: what the airline's pack has.
RULES: Mapping[str, Any] = {"backchannel_window_ms": 300, "resume_within_ms": 3_000}
_FACTS_WITHIN_S = 5.0


async def measure(
    cases: Sequence[Case],
    *,
    packs: Path,
    root: Path,
    rules: Mapping[str, Any],
    calls_max: int,
    on_heard: Callable[[Heard], None] = lambda _: None,
) -> list[Heard]:
    """Start a stack, play every case in a call of its own, at most `calls_max` at once, and stop the stack."""
    paths = StackPaths(root / "stack")
    folder = _pack(packs / "passthrough", root / PACK, {**RULES, **rules})
    environment = inherited_environment() | {"RINGBACK_LOG_LEVEL": "error"}
    async with run_stack(paths, packs=packs, environment=environment, on_note=lambda _: None) as stack:
        tenants = yaml.safe_load(paths.tenants.read_text())
        tenants["tenants"][0]["packs"].append(PACK)
        paths.tenants.write_text(yaml.safe_dump(tenants))
        addresses = stack.addresses
        await publish_and_activate(
            [folder],
            nats_url=addresses.nats_url,
            policy_address=addresses.policy,
            reason="measuring turn rules",
        )
        url = realtime_url(addresses.realtime_url, pack=PACK)
        places = asyncio.Semaphore(calls_max)

        async def one(case: Case) -> Heard:
            async with places:
                heard = await play(case, url=url, api_key=stack.api_key)
            on_heard(heard)
            return heard

        async with Watcher(addresses.nats_url) as watcher:
            heard = await asyncio.gather(*(one(case) for case in cases))
            await watcher.wait_for(
                lambda: all(_ended(watcher, each.session_id) for each in heard if each.session_id),
                timeout_s=_FACTS_WITHIN_S,
            )
            return [_with_facts(each, watcher) for each in heard]


def _pack(passthrough: Path, folder: Path, rules: Mapping[str, Any]) -> Path:
    """The relay's pack under another name, with these turn rules over its own."""
    shutil.copytree(passthrough, folder)
    for name, changes in (("pack.yaml", {"name": PACK}), ("bundle/interaction.yaml", None)):
        path = folder / name
        content = yaml.safe_load(path.read_text())
        if changes is None:
            content["turn_rules"] |= dict(rules)
        else:
            content |= changes
        path.write_text(yaml.safe_dump(content))
    return folder


def _ended(watcher: Watcher, session_id: str) -> bool:
    return any(event.WhichOneof("body") == "session_ended" for event in watcher.of(session_id))


def _with_facts(heard: Heard, watcher: Watcher) -> Heard:
    for event in watcher.of(heard.session_id):
        if event.WhichOneof("body") != "turn_rule_applied":
            continue
        fact = event.turn_rule_applied
        if fact.rule == "backchannel" and not heard.outcome:
            heard = dataclasses.replace(heard, outcome=fact.outcome, reason=fact.reason, held_ms=fact.wait_ms)
        elif fact.rule == "resume":
            heard = dataclasses.replace(heard, resumed=True)
    return heard
