# ruff: noqa: N802 - methods bear the names of the proto
"""The PolicyAdminService: publish, activate and list bundles over gRPC."""

from typing import Any

from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_errors import InvalidInput

from ringback_policy import wire
from ringback_policy.domain.findings import BrokenBundleError
from ringback_policy.usecases.publishing import Publishing

__all__ = ["PolicyAdminServicer"]

FINDINGS_SHOWN_MAX = 20


class PolicyAdminServicer(policy_pb2_grpc.PolicyAdminServiceServicer):
    """Answers operators."""

    def __init__(self, publishing: Publishing) -> None:
        self._publishing = publishing

    async def PublishBundle(self, request: pb.PublishBundleRequest, context: Any) -> pb.PublishBundleResponse:
        """Compiles a bundle and stores it; a broken one is refused with its findings, one per line."""
        tools = {name: wire.side_effect(number) for name, number in request.tools.items()}
        try:
            compiled = await self._publishing.publish(
                request.pack, dict(request.files), tools=tools, actor=request.actor
            )
        except BrokenBundleError as broken:
            raise _refusal(broken) from None
        return pb.PublishBundleResponse(
            bundle_digest=compiled.bundle.digest,
            warnings=[wire.finding(found) for found in compiled.warnings],
        )

    async def ActivateBundle(
        self, request: pb.ActivateBundleRequest, context: Any
    ) -> pb.ActivateBundleResponse:
        """Compare-and-set of a pack's active bundle."""
        previous = await self._publishing.activate(
            request.pack,
            request.bundle_digest,
            expected=request.expected_digest,
            actor=request.actor,
            reason=request.reason,
        )
        return pb.ActivateBundleResponse(previous_digest=previous)

    async def ListBundles(self, request: pb.ListBundlesRequest, context: Any) -> pb.ListBundlesResponse:
        """All bundles, and which are active."""
        return pb.ListBundlesResponse(bundles=[wire.bundle_info(row) for row in self._publishing.rows()])


def _refusal(broken: BrokenBundleError) -> InvalidInput:
    shown = [str(found) for found in broken.findings[:FINDINGS_SHOWN_MAX]]
    more = len(broken.findings) - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    return InvalidInput("the bundle has errors:\n" + "\n".join(shown), field="files")
