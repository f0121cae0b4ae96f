"""Owns the first steps of an execution: is it well-formed, may this caller, did policy allow exactly this.

In the order of the design: arguments, scopes, the decision's proof. None of them needs the journal.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from ringback_errors import Forbidden, InvalidInput, NotFound, Unavailable
from ringback_identity import Canonical, Proof, canonical_arguments

from ringback_tools.domain.catalogue import Tool, find
from ringback_tools.domain.messages import error_message
from ringback_tools.domain.outcomes import OutcomeRecord, Permit
from ringback_tools.domain.results import ErrorCode, Result, Status
from ringback_tools.domain.upgrading import upgraded
from ringback_tools.ports import Catalogue, Clock, Proofs
from ringback_tools.usecases.execution import ActionRequest, Checked, Refused

__all__ = ["Gate", "mismatch", "refusal"]

_log = logging.getLogger(__name__)
_ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object"}


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


def mismatch(checked: Checked, record: OutcomeRecord) -> Result | None:
    """The refusal if the record under this action_id is about something else: never attach to it."""
    same = (
        record.tenant == checked.request.tenant
        and record.tool == checked.tool.name
        and record.arguments_digest == checked.canonical.digest
    )
    if same:
        return None
    detail = "action_id: expected one of its own for each tool and arguments"
    return refusal(ErrorCode.INVALID_ARGUMENTS, tool=checked.tool, detail=detail)


class Gate:
    """Checks requests against the catalogue and the proofs."""

    def __init__(self, *, catalogue: Catalogue, proofs: Proofs, clock: Clock) -> None:
        self._catalogue = catalogue
        self._proofs = proofs
        self._clock = clock

    async def check(self, request: ActionRequest) -> Checked:
        """The request with its tool, its canonical arguments and what it permits; raises Refused."""
        tool = await self._tool(request)
        canonical, arguments = _arguments(tool, request)
        if not tool.scopes <= request.scopes:
            missing = ", ".join(sorted(tool.scopes - request.scopes))
            raise Refused(refusal(ErrorCode.FORBIDDEN, tool=tool, detail=f"scopes: expected {missing}"))
        permit = self._permit(tool, request, canonical)
        return Checked(request, tool, arguments, canonical, permit)

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
            detail = _unknown(request, [each.version for each in tools if each.name == request.tool])
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
            # Work from the queue was permitted when it was taken on.
            now_ms = request.taken_on_at_ms or self._clock.now_ms()
            self._verify(request, request.proof, canonical, now_ms=now_ms)
        except Forbidden as error:
            if self._authentic(request, request.proof, canonical):
                # Expired: enough to learn what became of the action, not to start it.
                return Permit.LEARN
            # Policy never made such a proof: somebody tries, or two of us hold different keys.
            _log.warning(
                "an action with a false proof is refused: %s",
                error,
                extra={
                    "session_id": request.session_id,
                    "action_id": request.action_id,
                    "tool": request.tool,
                },
            )
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


def _unknown(request: ActionRequest, versions: Sequence[str]) -> str:
    if versions:
        known = ", ".join(versions)
        return f"tool_version: expected one that {request.tool} has ({known}), found {request.tool_version}"
    return f"tool: expected one of the pack's, found {request.tool}"


def _arguments(tool: Tool, request: ActionRequest) -> tuple[Canonical, Mapping[str, Any]]:
    """The arguments as they were asked and signed, and as this tool takes them.

    Made for another version, they stay what their session's version made of them; only what the connector
    gets is upgraded.
    """
    try:
        if request.tool_version in ("", tool.version):
            canonical = canonical_arguments(request.arguments_json, tool.parameters)
            return canonical, orjson.loads(canonical.json)
        asked = canonical_arguments(request.arguments_json, _ANY_OBJECT)
        taken = upgraded(tool, orjson.loads(asked.json), version=request.tool_version)
        return asked, orjson.loads(canonical_arguments(taken, tool.parameters).json)
    except InvalidInput as error:
        raise Refused(refusal(ErrorCode.INVALID_ARGUMENTS, tool=tool, detail=str(error))) from None
