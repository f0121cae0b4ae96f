"""Client secrets in the KV bucket `sessions`: `secret.<hash>` holds what a secret starts, until it has expired."""

from __future__ import annotations

from collections import deque
from contextlib import suppress

import msgspec
from ringback_errors import Overloaded, RingbackError
from ringback_events import Bus

from ringback_session.ports import Clock, Secret

__all__ = ["SecretsInBucket"]

BUCKET = "sessions"
SECRET = "secret."
TIMEOUT_MS = 1_500
# What one replica made and has not yet swept; each may live for two hours.
LIVE_MAX = 10_000
SWEPT_AT_ONCE_MAX = 20


class SecretsInBucket:
    """Implements `ports.Secrets`. Those that this replica made are deleted when they have expired.

    What another replica left behind when it died goes with the bucket's own age limit.
    """

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._bucket = bus.bucket(BUCKET)
        self._clock = clock
        self._made: deque[tuple[int, str]] = deque()

    async def keep(self, secret_hash: bytes, secret: Secret) -> None:
        await self._sweep()
        if len(self._made) >= LIVE_MAX:
            raise Overloaded(f"there are {LIVE_MAX} client secrets, the limit", retry_after_ms=10_000)
        key = SECRET + secret_hash.hex()
        await self._bucket.put(key, msgspec.json.encode(secret), timeout_ms=TIMEOUT_MS)
        self._made.append((secret.expires_at_ms, key))

    async def find(self, secret_hash: bytes) -> Secret | None:
        entry = await self._bucket.get(SECRET + secret_hash.hex(), timeout_ms=TIMEOUT_MS)
        if entry is None:
            return None
        try:
            return msgspec.json.decode(entry.value, type=Secret)
        except msgspec.DecodeError:
            return None

    async def _sweep(self) -> None:
        """Secrets expire about in the order in which they were made; a few at a time is enough."""
        now_ms = self._clock.now_ms()
        for _ in range(min(SWEPT_AT_ONCE_MAX, len(self._made))):
            expires_at_ms, key = self._made.popleft()
            if expires_at_ms > now_ms:
                self._made.append((expires_at_ms, key))
                continue
            with suppress(RingbackError):
                await self._bucket.delete(key, timeout_ms=TIMEOUT_MS)
