"""Proofs signed with the MAC keys that policy and tools share by file."""

from ringback_identity import MacKeys, Proof

from ringback_policy.domain.subjects import ActionSubject, Request

__all__ = ["MacSigner"]


class MacSigner:
    """Signs with the current key; the file is followed during a rotation."""

    def __init__(self, keys: MacKeys) -> None:
        self._keys = keys

    def sign(self, request: Request, action: ActionSubject, *, consent_id: str, expires_at_ms: int) -> Proof:
        """A proof for exactly this action and decision."""
        return self._keys.sign(
            tenant=request.tenant,
            session_id=request.session.session_id,
            action_id=action.action_id,
            tool=action.tool,
            tool_version=action.tool_version,
            arguments_digest=action.arguments_digest,
            decision_id=request.decision_id,
            consent_id=consent_id,
            expires_at_ms=expires_at_ms,
        )
