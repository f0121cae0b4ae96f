# ruff: noqa: N802 - methods bear the names of the proto
"""The PolicyAdminService: bundles and their rollout over gRPC."""

from collections.abc import Iterable
from typing import Any

from ringback.policy.v1 import policy_pb2 as pb
from ringback.policy.v1 import policy_pb2_grpc
from ringback_errors import InvalidInput

from ringback_policy import wire, wire_rollout
from ringback_policy.domain.findings import BrokenBundleError
from ringback_policy.domain.subjects import Request
from ringback_policy.usecases.publishing import Publishing
from ringback_policy.usecases.rolling_out import QUESTIONS_MAX, Order, RollingOut

__all__ = ["PolicyAdminServicer"]

FINDINGS_SHOWN_MAX = 20


class PolicyAdminServicer(policy_pb2_grpc.PolicyAdminServiceServicer):
    """Answers operators."""

    def __init__(self, publishing: Publishing, rolling_out: RollingOut) -> None:
        self._publishing = publishing
        self._rolling_out = rolling_out

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

    async def GetRollout(self, request: pb.GetRolloutRequest, context: Any) -> pb.GetRolloutResponse:
        """Where a pack's rollout stands."""
        state = await self._rolling_out.status(request.pack)
        return pb.GetRolloutResponse(rollout=wire_rollout.rollout(request.pack, state))

    async def StageBundle(self, request: pb.StageBundleRequest, context: Any) -> pb.StageBundleResponse:
        """Makes a stored bundle the candidate."""
        state = await self._rolling_out.stage(
            _order(request), request.bundle_digest, tightening=request.tightening
        )
        return pb.StageBundleResponse(rollout=wire_rollout.rollout(request.pack, state))

    async def DiffBundles(self, request: pb.DiffBundlesRequest, context: Any) -> pb.DiffBundlesResponse:
        """What the candidate would decide otherwise."""
        compared = await self._rolling_out.compare(
            request.pack,
            base=request.base_digest,
            candidate=request.candidate_digest,
            questions=_questions(request.questions),
        )
        return wire_rollout.diff_response(compared)

    async def StartCanary(self, request: pb.StartCanaryRequest, context: Any) -> pb.StartCanaryResponse:
        """Gives the candidate to a share of new sessions."""
        state = await self._rolling_out.canary(
            _order(request), percent=request.percent, tenants=list(request.tenants)
        )
        return pb.StartCanaryResponse(rollout=wire_rollout.rollout(request.pack, state))

    async def PromoteBundle(self, request: pb.PromoteBundleRequest, context: Any) -> pb.PromoteBundleResponse:
        """Makes the candidate active."""
        state = await self._rolling_out.promote(_order(request), questions=_questions(request.questions))
        return pb.PromoteBundleResponse(rollout=wire_rollout.rollout(request.pack, state))

    async def RollbackBundle(
        self, request: pb.RollbackBundleRequest, context: Any
    ) -> pb.RollbackBundleResponse:
        """Drops the candidate, or returns to the bundle that was active before."""
        state = await self._rolling_out.roll_back(_order(request))
        return pb.RollbackBundleResponse(rollout=wire_rollout.rollout(request.pack, state))


def _order(
    request: pb.StageBundleRequest
    | pb.StartCanaryRequest
    | pb.PromoteBundleRequest
    | pb.RollbackBundleRequest,
) -> Order:
    return Order(request.pack, request.actor, request.reason, request.expected_revision)


def _questions(messages: Iterable[pb.DecideRequest]) -> list[Request]:
    questions = list(messages)
    if len(questions) > QUESTIONS_MAX:
        raise InvalidInput(f"expected at most {QUESTIONS_MAX}", field="questions")
    return [wire.decide_request(question) for question in questions]


def _refusal(broken: BrokenBundleError) -> InvalidInput:
    shown = [str(found) for found in broken.findings[:FINDINGS_SHOWN_MAX]]
    more = len(broken.findings) - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    return InvalidInput("the bundle has errors:\n" + "\n".join(shown), field="files")
