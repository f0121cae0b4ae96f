"""Puts policy together: with `assembly`, the only file that names concrete adapters."""

import asyncio
from functools import partial

from ringback.policy.v1 import policy_pb2
from ringback_events import NatsBus
from ringback_identity import MacKeys
from ringback_serving import serve
from ringback_telemetry import setup

from ringback_policy.adapters.opinions import configured_opinion
from ringback_policy.adapters.question_records import QuestionRecords
from ringback_policy.adapters.spoken_values import speak_value
from ringback_policy.assembly import Policy, assemble
from ringback_policy.server import authoring
from ringback_policy.settings import PolicySettings, variable

__all__ = ["SERVICE_NAMES", "Policy", "assemble", "author", "serve_policy"]

SERVICE_NAMES = tuple(service.full_name for service in policy_pb2.DESCRIPTOR.services_by_name.values())


async def serve_policy(settings: PolicySettings) -> None:
    """Serves at once; NOT_SERVING until bundles can be read."""
    telemetry = setup("policy", endpoint=settings.otlp_endpoint, instance=settings.instance)
    name = settings.instance or "policy"
    bus = NatsBus(settings.nats_url, name=name, spool_dir=settings.state_dir / "spool" / name)
    records = QuestionRecords(bus, on=settings.record_decisions)
    keys = MacKeys.load(settings.mac_keys_file)
    policy = assemble(
        bus,
        keys,
        instance=settings.instance,
        keep=records.keep if records.on else None,
        reconsidering=configured_opinion(settings, variable=variable),
    )

    async def open_all() -> None:
        await bus.open(wait_ms=None)
        await policy.open()

    opening = asyncio.create_task(open_all(), name="policy-open")

    async def close_all() -> None:
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await policy.close()

    await serve(
        "policy",
        settings=settings.serving,
        register=[policy.register],
        service_names=SERVICE_NAMES,
        probes={"bundles": policy.store.probe},
        closers=[records.close, close_all, telemetry.close],
    )


author = partial(authoring.main, speaker=speak_value)
