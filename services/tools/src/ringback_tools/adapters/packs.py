"""Owns how a pack's declaration becomes tools that can run."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

import msgspec
from ringback_errors import InvalidInput, NotFound, RingbackError
from ringback_packs import Pack, PackStore, ToolSpec
from ringback_packs import model as declared

from ringback_tools.domain.breaker import BreakerRule
from ringback_tools.domain.catalogue import (
    CheckRule,
    Condition,
    ConnectorSpec,
    FallbackRule,
    Limits,
    MessageRule,
    RetryRule,
    SideEffect,
    Tool,
    Upgrade,
)
from ringback_tools.domain.results import ErrorCode, FallbackKind

__all__ = ["PackCatalogue", "tool_from_spec", "tools_from_pack"]

_log = logging.getLogger(__name__)

PACKS_MAX: Final = 64
LOOK_AGAIN_S: Final = 30.0


class PackCatalogue:
    """Tools of published packs; `prepare` is told of the tools of each, beside whoever asks for the pack."""

    def __init__(
        self,
        store: PackStore,
        *,
        settle_ms: int | None = None,
        prepare: Callable[[Iterable[Tool]], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._store = store
        self._settle_ms = settle_ms
        self._prepare = prepare
        self._preparing: set[asyncio.Task[None]] = set()
        self._tools: OrderedDict[str, tuple[Pack, tuple[Tool, ...]]] = OrderedDict()

    async def warm(self) -> None:
        """Load what is published now, so that no call waits for it and NATS may go away; what fails is left."""
        for name in (await self._store.names())[:PACKS_MAX]:
            try:
                await self._pack(await self._store.resolve(name))
            except RingbackError as error:
                _log.warning("pack %s was not loaded ahead: %s", name, error)
        await asyncio.gather(*self._preparing, return_exceptions=True)

    async def keep_warm(self) -> None:
        """Load what is published later, too, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            try:
                await self.warm()
            except RingbackError as error:
                _log.info("packs are looked for again later: %s", error)

    async def tools(self, pack_digest: str) -> tuple[Tool, ...]:
        return (await self._pack(pack_digest))[1]

    async def agent_tools(self, pack_digest: str, agent: str) -> frozenset[tuple[str, str]]:
        pack, _ = await self._pack(pack_digest)
        found = pack.agent(agent)
        if found is None and (agent or pack.agents):
            names = ", ".join(sorted(each.name for each in pack.agents)) or "none"
            raise NotFound(f"expected one of the pack's agents ({names})", field="agent")
        return frozenset((spec.name, spec.version) for spec in pack.tools_of(agent))

    async def _pack(self, pack_digest: str) -> tuple[Pack, tuple[Tool, ...]]:
        found = self._tools.get(pack_digest)
        if found is None:
            try:
                pack = await self._store.get(pack_digest)
            except InvalidInput as error:
                raise NotFound(str(error), field="pack_digest") from None
            found = self._tools[pack_digest] = (pack, tools_from_pack(pack, settle_ms=self._settle_ms))
            self._get_ready(found[1])
            if len(self._tools) > PACKS_MAX:
                self._tools.popitem(last=False)
        self._tools.move_to_end(pack_digest)
        return found

    def _get_ready(self, tools: Iterable[Tool]) -> None:
        if self._prepare is None:
            return
        # Beside whoever asks for the pack: a session that starts does not wait for it.
        task = asyncio.create_task(self._prepare(tools), name="prepare connectors")
        self._preparing.add(task)
        task.add_done_callback(self._preparing.discard)


def tools_from_pack(pack: Pack, *, settle_ms: int | None = None) -> tuple[Tool, ...]:
    """Every tool of a pack, ready to run."""
    return tuple(tool_from_spec(spec, settle_ms=settle_ms, files=pack.files) for spec in pack.tools)


def tool_from_spec(
    spec: ToolSpec, *, settle_ms: int | None = None, files: Mapping[str, bytes] | None = None
) -> Tool:
    """One tool, ready to run; `settle_ms` stands in for what the tools themselves say, `files` are the pack's."""
    files = files or {}
    return Tool(
        name=spec.name,
        version=spec.version,
        description=spec.description,
        side_effect=SideEffect(spec.side_effect),
        parameters=spec.parameters,
        connector=_connector(spec.connector, credential=spec.credential, files=files),
        result=spec.result or {},
        deadline_ms=spec.deadline_ms,
        attempt_timeout_ms=spec.attempt_timeout_ms,
        slow_after_ms=spec.slow_after_ms,
        dependency=spec.dependency,
        internal=spec.internal,
        scopes=frozenset(spec.scopes),
        retry=RetryRule(
            attempts_max=spec.retry.attempts_max,
            base_ms=spec.retry.base_ms,
            cap_ms=spec.retry.max_ms,
            codes=frozenset(ErrorCode(code) for code in spec.retry.retry_on),
        ),
        key_field=spec.idempotency.header if spec.idempotency.kind == "key" else "",
        check=_check(spec, settle_ms=settle_ms, files=files),
        limits=Limits(
            concurrency_max=spec.concurrency_max,
            concurrency_min=spec.concurrency_min,
            queue_max=spec.queue_max,
            result_bytes_max=spec.result_bytes_max,
        ),
        fallback=FallbackRule(
            kind=FallbackKind(spec.fallback.kind),
            message=spec.fallback.message.strip(),
            data=spec.fallback.data or {},
            age_max_ms=spec.fallback.age_max_ms,
        ),
        breaker=BreakerRule(
            failures_max=spec.breaker.failures_max,
            rate_max=spec.breaker.rate_max,
            rate_calls_min=spec.breaker.rate_calls_min,
            window_ms=spec.breaker.window_ms,
            slow_ms=spec.breaker.slow_ms,
            open_ms=spec.breaker.open_ms,
            half_open_probes=spec.breaker.half_open_probes,
        ),
        ok_messages=tuple(MessageRule(rule.say.strip(), rule.when) for rule in spec.ok_messages),
        error_messages={name: said.strip() for name, said in spec.error_messages.items()},
        background=spec.mode == "background",
        backlog_window_ms=spec.backlog_window_ms,
        upgrades=tuple(
            Upgrade(each.from_version, each.rename, frozenset(each.drop), each.set) for each in spec.upgrades
        ),
    )


def _connector(
    connector: declared.Connector, *, credential: str, files: Mapping[str, bytes]
) -> ConnectorSpec:
    options: dict[str, Any] = msgspec.to_builtins(connector)
    kind = options.pop("kind")
    if descriptor := options.pop("descriptor", ""):
        options["types"] = files[descriptor]
    if credential:
        options["credential"] = credential
    return ConnectorSpec(kind, options)


def _check(spec: ToolSpec, *, settle_ms: int | None, files: Mapping[str, bytes]) -> CheckRule | None:
    if spec.check is None:
        return None
    not_done = spec.check.not_done_when
    return CheckRule(
        connector=_connector(spec.check.connector, credential=spec.credential, files=files),
        done_when=_condition(spec.check.done_when),
        not_done_when=_condition(not_done) if not_done else None,
        timeout_ms=spec.check.timeout_ms,
        settle_ms=spec.check.settle_ms if settle_ms is None else settle_ms,
    )


def _condition(condition: declared.Condition) -> Condition:
    return Condition(
        status=tuple(condition.status),
        codes=tuple(ErrorCode(code) for code in condition.code),
        path=condition.path,
        equals=tuple(condition.equals),
    )
