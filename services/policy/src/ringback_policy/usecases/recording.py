"""Owns the recording of what others decided: fallback decisions of sessions, and control changes of other services."""

from ringback_policy.domain.auditing import AuditRecord
from ringback_policy.ports import AuditTrail

__all__ = ["Recording"]

SEEN_MAX = 10_000


class Recording:
    """Appends each record once per key; a replica that restarts may append one again, under the same decision id."""

    def __init__(self, audit: AuditTrail) -> None:
        self._audit = audit
        self._seen: dict[str, None] = {}

    def record(self, key: str, record: AuditRecord) -> bool:
        """Whether it was new."""
        if key in self._seen:
            return False
        self._audit.append(record)
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        return True
