"""Brings packs and policy bundles into a running stack: published, and active for new calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from ringback.policy.v1 import policy_pb2, policy_pb2_grpc
from ringback_errors import InvalidInput, Unavailable
from ringback_events import connect, load_topology
from ringback_packs import Pack, load_pack, publish_pack

__all__ = ["Provisioned", "activate_bundle", "publish_and_activate", "publish_bundle"]

_ACTOR = "ringback-cli"
_TIMEOUT_S = 15.0

_SIDE_EFFECTS = {
    "read": policy_pb2.SIDE_EFFECT_READ,
    "write": policy_pb2.SIDE_EFFECT_WRITE,
    "irreversible": policy_pb2.SIDE_EFFECT_IRREVERSIBLE,
}


@dataclass(frozen=True)
class Provisioned:
    """One pack as the stack holds it now; `warnings` are the policy compiler's."""

    pack: str
    version: str
    pack_digest: str
    bundle_digest: str
    warnings: tuple[str, ...]


async def publish_and_activate(
    folders: Sequence[Path], *, nats_url: str, policy_address: str, reason: str
) -> list[Provisioned]:
    """Activate each pack's bundle at policy, then make the pack the one that new calls get.

    A pack whose bundle policy does not take stays unpublished. Raises PackError, InvalidInput and Unavailable.
    """
    packs = [load_pack(folder) for folder in folders]
    bus = await connect(nats_url, name="ringback-cli")
    try:
        await bus.ensure(load_topology(), "cli")
        async with grpc.aio.insecure_channel(policy_address) as channel:
            stub = policy_pb2_grpc.PolicyAdminServiceStub(channel)
            done = []
            for pack in packs:
                bundle_digest, warnings = await activate_bundle(stub, pack, reason=reason)
                digest = await publish_pack(bus, pack)
                done.append(Provisioned(pack.name, pack.version, digest, bundle_digest, warnings))
            return done
    finally:
        await bus.close()


async def publish_bundle(
    stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub, pack: Pack
) -> tuple[str, tuple[str, ...]]:
    """Publish the pack's bundle without activating it; its digest and the compiler's warnings."""
    published = await stub.PublishBundle(
        policy_pb2.PublishBundleRequest(
            pack=pack.name,
            files=dict(pack.bundle_files),
            tools={tool.name: _SIDE_EFFECTS[tool.side_effect] for tool in pack.tools},
            actor=_ACTOR,
        ),
        timeout=_TIMEOUT_S,
    )
    warnings = tuple(f"{w.file}:{w.line}: {w.rule} {w.message}" for w in published.warnings)
    return published.bundle_digest, warnings


async def activate_bundle(
    stub: policy_pb2_grpc.PolicyAdminServiceAsyncStub, pack: Pack, *, reason: str
) -> tuple[str, tuple[str, ...]]:
    """Publish the pack's bundle and activate it against the digest that is active now."""
    try:
        digest, warnings = await publish_bundle(stub, pack)
        bundles = (await stub.ListBundles(policy_pb2.ListBundlesRequest(), timeout=_TIMEOUT_S)).bundles
        active = next((b.bundle_digest for b in bundles if b.pack == pack.name and b.active), "")
        if active != digest:
            await stub.ActivateBundle(
                policy_pb2.ActivateBundleRequest(
                    pack=pack.name,
                    bundle_digest=digest,
                    actor=_ACTOR,
                    reason=reason,
                    expected_digest=active,
                ),
                timeout=_TIMEOUT_S,
            )
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.INVALID_ARGUMENT:
            raise InvalidInput(f"policy refuses the bundle of pack {pack.name}: {error.details()}") from None
        raise Unavailable(f"policy did not take the bundle of pack {pack.name}: {error.details()}") from None
    return digest, warnings
