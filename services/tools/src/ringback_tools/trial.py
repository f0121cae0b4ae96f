"""Runs one tool of a pack's folder through the whole pipeline and prints each step: `python -m ringback_tools.trial`.

The connector is the real one, and so is what it does; the journal, the queue and the keys of the proof are of
this process alone. Exit code 0: the tool answered; 1: it did not; 2: the call was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from msgspec.structs import replace
from ringback_errors import InvalidInput, NotFound
from ringback_identity import MacKeys, action_id, canonical_arguments, new_id
from ringback_packs import Pack, PackError, load_pack
from ringback_packs.findings import near
from ringback_serving import run

from ringback_tools.adapters.clock import LoopClock
from ringback_tools.adapters.connectors import ConnectorsByKind
from ringback_tools.adapters.facts import NoFacts
from ringback_tools.adapters.memory_jobs import MemoryJobQueue
from ringback_tools.adapters.memory_journal import MemoryJournal
from ringback_tools.adapters.packs import tools_from_pack
from ringback_tools.adapters.pauses import NoPauses
from ringback_tools.adapters.siblings import LocalSiblings
from ringback_tools.adapters.tracing import NoTracing
from ringback_tools.bootstrap import connectors_of
from ringback_tools.domain.catalogue import ConnectorSpec, SideEffect, Tool, find
from ringback_tools.domain.requests import ActionRequest
from ringback_tools.domain.results import Answer, Answered, Result, Status
from ringback_tools.domain.upgrading import upgraded
from ringback_tools.ports import Call, Stored
from ringback_tools.settings import read_settings
from ringback_tools.usecases.assembly import Parts, Service, assemble
from ringback_tools.usecases.execution import Attempting, Finished, Progress, Slow, Started

TENANT = "local"
_TURNS = 4
_ANY_OBJECT = {"type": "object"}


def say(step: str, text: str) -> None:
    """One step, one line."""
    sys.stdout.write(f"{step:<12} {text}".rstrip() + "\n")
    sys.stdout.flush()


class Steps(logging.Handler):
    """What the service would write into its log, as steps among the others."""

    def emit(self, record: logging.LogRecord) -> None:
        say("log", self.format(record))


@dataclass(frozen=True)
class OnePack:
    """A catalogue of the pack on trial."""

    pack: Pack
    all: tuple[Tool, ...]

    async def tools(self, pack_digest: str) -> tuple[Tool, ...]:
        return self.all

    async def agent_tools(self, pack_digest: str, agent: str) -> frozenset[tuple[str, str]]:
        return frozenset((tool.name, tool.version) for tool in self.all)


class Told:
    """The connectors, with what goes out and what comes back."""

    def __init__(self, connectors: ConnectorsByKind) -> None:
        self._connectors = connectors

    def lacking(self, spec: ConnectorSpec) -> str:
        return self._connectors.lacking(spec)

    async def call(self, call: Call) -> Answer:
        key = f" {call.key_field}: {call.key}" if call.key else ""
        # Whoever watches the execution says first that an attempt begins.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        say(
            "connector",
            f"{call.spec.kind} {self._connectors.described(call)}  {call.timeout_ms} ms left{key}",
        )
        began = time.monotonic()
        try:
            answer = await self._connectors.call(call)
        except asyncio.CancelledError:
            say("answer", f"none in {(time.monotonic() - began) * 1000:.1f} ms")
            raise
        took_ms = (time.monotonic() - began) * 1000
        if isinstance(answer, Answered):
            say("answer", f"{answer.status or 'ok'} in {took_ms:.1f} ms  {_short(answer.data)}")
        else:
            doubt = ", in doubt" if answer.in_doubt and call.side_effect is not SideEffect.READ else ""
            say("answer", f"{answer.code} in {took_ms:.1f} ms ({answer.detail}){doubt}")
        return answer


async def main() -> None:
    """Run the tool that the arguments name."""
    given = _parsed(sys.argv[1:])
    logging.basicConfig(level=logging.WARNING, handlers=[Steps()], format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        keys_file = Path(folder) / "keys.json"
        MacKeys.generate(keys_file)
        settings = read_settings(RINGBACK_MAC_KEYS_FILE=str(keys_file))
        keys = MacKeys.load(keys_file)
    try:
        pack = load_pack(given.pack)
        tool = _tool(tools_from_pack(pack), given.tool, given.tool_version)
        request = _request(pack, tool, given, keys)
    except (PackError, NotFound, InvalidInput) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    if tool.effectful and not given.yes:
        sys.stderr.write(
            f"{tool.name} is {tool.side_effect}: it changes the system behind it. Say --yes to run it.\n"
        )
        sys.exit(2)
    connectors = ConnectorsByKind(connectors_of(settings))
    try:
        await connectors.prepare([tool])
        result = await _through(pack, tool, request, keys, connectors)
    finally:
        await connectors.close()
    sys.exit(0 if result.status is Status.OK else 1)


async def _through(
    pack: Pack, tool: Tool, request: ActionRequest, keys: MacKeys, connectors: ConnectorsByKind
) -> Result:
    journal, queue = MemoryJournal(), MemoryJobQueue()
    parts = Parts(
        journal=journal,
        jobs=queue,
        siblings=LocalSiblings(),
        catalogue=OnePack(pack, (tool,)),
        connectors=Told(connectors),
        proofs=keys,
        facts=NoFacts(),
        clock=LoopClock(),
        tracing=NoTracing(),
        pauses=NoPauses(),
        roll=random.random,
        owner="trial#1",
    )
    service = assemble(parts)
    await journal.follow(_journalled)
    result = await _watched(service, request)
    for taken in tuple(queue.requests.values()):
        say("queue", "taken on; a worker takes it from the queue")
        await service.executor.run_job(replace(taken, taken_on_at_ms=LoopClock().now_ms()))
        result = await _watched(service, request)
    return result


async def _watched(service: Service, request: ActionRequest) -> Result:
    async for event in service.executor.execute(request):
        match event:
            case Started(attached=attached):
                say("started", "attached" if attached else "")
            case Attempting(attempt=attempt, delay_ms=delay_ms, after_error=after):
                say("attempt", f"{attempt}" + (f" after {delay_ms} ms, since {after}" if after else ""))
            case Slow(elapsed_ms=elapsed_ms):
                say("slow", f"{elapsed_ms} ms")
            case Progress(message=message, elapsed_ms=elapsed_ms):
                say("progress", f"{elapsed_ms} ms  {message}".rstrip())
            case Finished(result=result):
                _finished(result)
                return result
    raise AssertionError("an execution ends with its result")


def _finished(result: Result) -> None:
    code = f" {result.error_code}" if result.error_code else ""
    detail = f"  ({result.detail})" if result.detail else ""
    say("result", f"{result.status}{code}  attempts {result.attempts}, {result.duration_ms:.1f} ms{detail}")
    if result.data_json:
        say("data", result.data_json + (" (cut)" if result.truncated else ""))
    if result.fallback:
        say("fallback", result.fallback.kind.value)
    say("spoken", result.message or "nothing: the model words it")


def _journalled(stored: Stored) -> None:
    record = stored.record
    attempt = f"({record.attempt})" if record.attempt else ""
    outcome = f": {record.result.status}" if record.result else ""
    say("journal", f"{record.state}{attempt}{outcome}")


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ringback_tools.trial", description=__doc__)
    parser.add_argument("tool")
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--tool-version", default="")
    parser.add_argument("--args", default="{}")
    parser.add_argument("--yes", action="store_true")
    return parser.parse_args(arguments)


def _tool(tools: tuple[Tool, ...], name: str, version: str) -> Tool:
    found = find(tools, name, version=version)
    if found is None:
        versions = ", ".join(tool.version for tool in tools if tool.name == name)
        if versions:
            raise NotFound(f"one of {versions} expected, got {version}", field="tool_version")
        names = ", ".join(f"{tool.name} {tool.version}" for tool in tools)
        meant = near(name, sorted({tool.name for tool in tools}))
        raise NotFound(f"one of {names} expected, got {name}" + meant, field="tool")
    return found


def _request(pack: Pack, tool: Tool, given: argparse.Namespace, keys: MacKeys) -> ActionRequest:
    """What a session would ask after an ALLOW of policy."""
    say(
        "tool",
        f"{tool.name} {tool.version} ({tool.side_effect}) of {pack.name}, {tool.connector.kind} connector",
    )
    number = [(spec.name, spec.version) for spec in pack.tools].index((tool.name, tool.version))
    for warning in pack.warnings:
        if warning.field.startswith(f"tools[{number}]"):
            say("warning", f"{warning.file}:{warning.line}: {warning.message}")
    # A payload of an older version goes as it is: it is the service that makes this version's of it.
    version = given.tool_version or tool.version
    canonical = canonical_arguments(given.args, tool.parameters if version == tool.version else _ANY_OBJECT)
    say("arguments", f"{canonical.json}  {canonical.digest[:19]}…")
    if version != tool.version:
        taken = upgraded(tool, orjson.loads(canonical.json), version=version)
        say("upgraded", f"{orjson.dumps(taken).decode()}  from {version} to {tool.version}")
    say("scopes", ", ".join(sorted(tool.scopes)) or "none needed")
    session_id = new_id("sess")
    effect = action_id(
        session_id=session_id,
        tool=tool.name,
        major_version=int(tool.major),
        arguments_digest=canonical.digest,
        ordinal=1,
    )
    signed: Mapping[str, Any] = {
        "tenant": TENANT,
        "session_id": session_id,
        "action_id": effect,
        "tool": tool.name,
        "tool_version": version,
        "arguments_digest": canonical.digest,
    }
    proof = keys.sign(
        **signed,
        decision_id=new_id("dec"),
        consent_id="",
        expires_at_ms=LoopClock().now_ms() + tool.deadline_ms,
    )
    say("proof", "signed for this trial" if tool.effectful else "not needed")
    return ActionRequest(
        tenant=TENANT,
        session_id=session_id,
        epoch=1,
        action_id=effect,
        pack_digest=pack.digest,
        tool=tool.name,
        tool_version=version,
        arguments_json=canonical.json,
        proof=proof,
        scopes=tool.scopes,
    )


def _short(data: Any) -> str:
    text = orjson.dumps(data, default=str).decode()
    return text if len(text) <= 160 else text[:159] + "…"


if __name__ == "__main__":
    run(main)
