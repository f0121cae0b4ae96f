"""Owns the first steps of an execution: is it well-formed, may this caller, did policy allow exactly this.

In the order of the design: arguments, scopes, the decision's proof. None of them needs the journal.
"""

from __future__ import annotations

import orjson
from ringback_errors import Forbidden, InvalidInput, NotFound, Unavailable
from ringback_identity import Canonical, Proof, canonical_arguments

from ringback_tools.domain.catalogue import Tool, find
from ringback_tools.domain.messages import error_message
from ringback_tools.domain.outcomes import Permit
from ringback_tools.domain.results import ErrorCode, Result, Status
from ringback_tools.ports import Catalogue, Clock, Proofs
from ringback_tools.usecases.execution import ActionRequest, Checked, Refused

__all__ = ["Gate", "refusal"]


def refusal(
    code: ErrorCode, *, tool: Tool | None = None, detail: str = "", retryable: bool = False
) -> Result:
    """The result of an action that was not started; `detail` names a field and what was expected there."""
    return Result(
        status=Status.ERROR,
        error_code=code,
        message=error_message(tool, code),
        confidence=0.0,
        retryable=retryable,
        detail=detail,
    )


class Gate:
    """Checks requests against the catalogue and the proofs."""

    def __init__(self, *, catalogue: Catalogue, proofs: Proofs, clock: Clock) -> None:
        self._catalogue = catalogue
        self._proofs = proofs
        self._clock = clock

    async def check(self, request: ActionRequest) -> Checked:
        """The request with its tool, its canonical arguments and what it permits; raises Refused."""
        tool = await self._tool(request)
        canonical = _arguments(tool, request)
        if not tool.scopes <= request.scopes:
            missing = ", ".join(sorted(tool.scopes - request.scopes))
            raise Refused(refusal(ErrorCode.FORBIDDEN, tool=tool, detail=f"scopes: expected {missing}"))
        permit = self._permit(tool, request, canonical)
        return Checked(request, tool, orjson.loads(canonical.json), canonical, permit)

    async def _tool(self, request: ActionRequest) -> Tool:
        try:
            tools = await self._catalogue.tools(request.pack_digest)
        except Unavailable:
            raise Refused(refusal(ErrorCode.TOOL_UNAVAILABLE, retryable=True)) from None
        except NotFound:
            detail = "pack_digest: expected the digest of a published pack"
            raise Refused(refusal(ErrorCode.UNKNOWN_TOOL, detail=detail)) from None
        tool = find(tools, request.tool, version=request.tool_version)
        if tool is None:
            detail = f"tool: expected one of the pack's, found {request.tool} {request.tool_version}"
            raise Refused(refusal(ErrorCode.UNKNOWN_TOOL, detail=detail[:200]))
        return tool

    def _permit(self, tool: Tool, request: ActionRequest, canonical: Canonical) -> Permit:
        if request.attach_only:
            return Permit.LEARN
        if not tool.effectful:
            return Permit.START
        if request.proof is None:
            detail = "proof: expected the proof of an ALLOW decision"
            raise Refused(refusal(ErrorCode.FORBIDDEN, tool=tool, detail=detail))
        try:
            self._verify(request, request.proof, canonical, now_ms=self._clock.now_ms())
        except Forbidden as error:
            if self._authentic(request, request.proof, canonical):
                # Expired: enough to learn what became of the action, not to start it.
                return Permit.LEARN
            raise Refused(refusal(ErrorCode.FORBIDDEN, tool=tool, detail=str(error))) from None
        return Permit.START

    def _authentic(self, request: ActionRequest, proof: Proof, canonical: Canonical) -> bool:
        try:
            self._verify(request, proof, canonical, now_ms=0)
        except Forbidden:
            return False
        return True

    def _verify(self, request: ActionRequest, proof: Proof, canonical: Canonical, *, now_ms: int) -> None:
        self._proofs.verify(
            proof,
            now_ms=now_ms,
            tenant=request.tenant,
            session_id=request.session_id,
            action_id=request.action_id,
            tool=request.tool,
            tool_version=request.tool_version,
            arguments_digest=canonical.digest,
        )


def _arguments(tool: Tool, request: ActionRequest) -> Canonical:
    try:
        return canonical_arguments(request.arguments_json, tool.parameters)
    except InvalidInput as error:
        raise Refused(refusal(ErrorCode.INVALID_ARGUMENTS, tool=tool, detail=str(error))) from None
