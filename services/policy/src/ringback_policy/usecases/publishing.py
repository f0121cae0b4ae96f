"""Owns the control plane of bundles: publish, activate, list. Every change is audited."""

import asyncio
from collections.abc import Mapping

import msgspec
from ringback_errors import InvalidInput

from ringback_policy.domain.auditing import ChangeRecord
from ringback_policy.domain.compiling import Compiled, compile_bundle
from ringback_policy.domain.model import Bundle
from ringback_policy.domain.vocabulary import SideEffect
from ringback_policy.ports import AuditTrail, Bundles, Clock, ControlFacts

__all__ = ["OPERATOR_TENANT", "BundleRow", "Publishing", "check_change"]

# Changes belong to no tenant; the audit's subject needs one.
OPERATOR_TENANT = "_operator"


class BundleRow(msgspec.Struct, frozen=True):
    """One line of the list of bundles."""

    bundle: Bundle
    active: bool


class Publishing:
    """Changes what bundles there are and which one is active."""

    def __init__(self, bundles: Bundles, *, audit: AuditTrail, facts: ControlFacts, clock: Clock) -> None:
        self._bundles = bundles
        self._audit = audit
        self._facts = facts
        self._clock = clock

    async def publish(
        self, pack: str, files: Mapping[str, bytes], *, tools: Mapping[str, SideEffect], actor: str
    ) -> Compiled:
        """Compiles and stores; raises BrokenBundleError with the findings, and nothing has changed."""
        check_change(pack, actor)
        self._audit.check_room(OPERATOR_TENANT)
        # In a thread of its own: a large one takes a second, for which nobody's decision waits.
        compiled = await asyncio.to_thread(compile_bundle, files, pack=pack, tools=tools)
        await self._bundles.store(compiled.bundle, files, tools)
        self._audit.append(
            self._change("publish", pack, actor, to_digest=compiled.bundle.digest), happened=True
        )
        return compiled

    async def activate(self, pack: str, digest: str, *, expected: str, actor: str, reason: str) -> str:
        """Makes a stored bundle the active one; raises NotFound, InvalidInput, or Conflict if not `expected`."""
        check_change(pack, actor)
        self._audit.check_room(OPERATOR_TENANT)
        bundle = await self._bundles.fetch(digest)
        if bundle.pack != pack:
            raise InvalidInput(f"this bundle is of pack {bundle.pack}", field="bundle_digest")
        previous = await self._bundles.activate(pack, digest, expected=expected)
        if previous != digest:
            record = self._change(
                "activate", pack, actor, to_digest=digest, from_digest=previous, reason=reason
            )
            self._audit.append(record, happened=True)
            self._facts.bundle_activated(pack, digest, previous=previous, actor=actor)
        return previous

    def rows(self) -> tuple[BundleRow, ...]:
        """All bundles, and which are active."""
        active = self._bundles.active_digests()
        return tuple(BundleRow(b, active.get(b.pack) == b.digest) for b in self._bundles.all())

    def _change(
        self, kind: str, pack: str, actor: str, *, to_digest: str, from_digest: str = "", reason: str = ""
    ) -> ChangeRecord:
        return ChangeRecord(
            at_ms=self._clock(),
            tenant=OPERATOR_TENANT,
            actor=actor,
            kind=kind,
            pack=pack,
            from_digest=from_digest,
            to_digest=to_digest,
            reason=reason,
        )


def check_change(pack: str, actor: str) -> None:
    """What every change must name; raises InvalidInput."""
    check_pack(pack)
    if not actor:
        raise InvalidInput("expected who does this", field="actor")


def check_pack(pack: str) -> None:
    """Raises InvalidInput for what is no name of a pack."""
    plain = pack.replace("-", "").replace("_", "")
    if not (plain.isascii() and plain.isalnum() and len(pack) <= 64):
        raise InvalidInput("expected a pack name of letters, digits, - and _", field="pack")
