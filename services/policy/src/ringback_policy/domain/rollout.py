"""Owns where a pack's rollout stands, and each step of it as a function from one state to the next.

stage → canary → promote or roll back; a second failed gate rolls a canary back.
"""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import msgspec
from ringback_errors import Conflict, InvalidInput

__all__ = [
    "CHANGED_MEANWHILE",
    "GATES_FAILED_MAX",
    "Rollout",
    "bundle_for",
    "canaried",
    "gate_failed",
    "promoted",
    "rolled_back",
    "staged",
]

CHANGED_MEANWHILE = "somebody else changed the rollout at the same moment: look at it again"
# One may be chance.
GATES_FAILED_MAX = 2
# Hundredths of a percent.
WHOLE = 10_000
TENANTS_MAX = 256
TIGHTENED_MAX = 64


class Rollout(msgspec.Struct, frozen=True):
    """One pack's bundles; `share` of new sessions, in hundredths of a percent, get the candidate."""

    digest: str = ""
    candidate: str = ""
    share: Annotated[int, msgspec.Meta(ge=0, le=WHOLE)] = 0
    tenants: tuple[str, ...] = ()
    previous: str = ""
    tightening: bool = False
    # The failed gates of this canary by their places in the stream: none counts twice, in whatever order they come.
    gates: tuple[int, ...] = ()
    # The last one that counted before this canary.
    gate_seq: int = 0
    # Bundles that running sessions pinned, and the stricter ones that decide for them now.
    tightened: dict[str, str] = {}
    revision: int = 0

    @property
    def gates_failed(self) -> int:
        """How many gates of this canary failed."""
        return len(self.gates)


def bundle_for(rollout: Rollout, *, tenant: str, session_id: str) -> str:
    """The digest that a new session gets: always the same for the same session, while the canary stays as it is."""
    if not (rollout.share and session_id) or (rollout.tenants and tenant not in rollout.tenants):
        return rollout.digest
    # The pack's candidate is part of the hash, so that the same few sessions are not in every canary.
    place = hashlib.sha256(f"{rollout.candidate}\n{session_id}".encode()).digest()
    return rollout.candidate if int.from_bytes(place[:8], "big") % WHOLE < rollout.share else rollout.digest


def staged(rollout: Rollout, candidate: str, *, tightening: bool) -> Rollout:
    """With a candidate that no session gets yet; one in a canary is not replaced silently."""
    if candidate == rollout.digest:
        raise InvalidInput("expected another bundle than the active one", field="bundle_digest")
    if rollout.share:
        raise Conflict("a canary runs; promote it or roll it back first", field="bundle_digest")
    return _next(rollout, candidate=candidate, tightening=tightening, tenants=())


def canaried(rollout: Rollout, *, percent: float, tenants: Sequence[str]) -> Rollout:
    """With the candidate given to a share of new sessions."""
    # Written so that NaN is refused.
    if not 0 < percent <= 100 or round(percent * 100) < 1:
        raise InvalidInput("expected more than 0 and at most 100, in steps of 0.01", field="percent")
    if len(tenants) > TENANTS_MAX or not all(tenants):
        raise InvalidInput(f"expected at most {TENANTS_MAX} names", field="tenants")
    if not rollout.digest:
        raise Conflict("no bundle is active that the other sessions could get", field="pack")
    share = round(percent * 100)
    _require_candidate(rollout)
    return _next(rollout, share=share, tenants=tuple(sorted(set(tenants))), **_no_gates(rollout))


def promoted(rollout: Rollout) -> Rollout:
    """With the candidate active; a tightening one decides for the sessions that pinned the bundle before, too."""
    _require_candidate(rollout)
    tightened = rollout.tightened
    if rollout.tightening and rollout.digest:
        moved = {old: rollout.candidate for old, new in tightened.items() if new == rollout.digest}
        tightened = {**tightened, **moved, rollout.digest: rollout.candidate}
        tightened = dict(list(tightened.items())[-TIGHTENED_MAX:])
    return _ended(rollout, digest=rollout.candidate, previous=rollout.digest, tightened=tightened)


def rolled_back(rollout: Rollout) -> Rollout:
    """Without the candidate; when there is none, with the bundle that was active before."""
    if rollout.candidate:
        return _ended(rollout)
    if not rollout.previous:
        raise Conflict("there is neither a candidate nor a bundle that was active before", field="pack")
    # What was stricter before the last step is so again.
    tightened = {
        old: rollout.previous if new == rollout.digest else new
        for old, new in rollout.tightened.items()
        if old != rollout.previous
    }
    return _ended(rollout, digest=rollout.previous, previous="", tightened=tightened)


def gate_failed(rollout: Rollout, digest: str, *, seq: int) -> Rollout:
    """After a failed quality gate of the candidate in a canary; the same rollout when it does not concern it."""
    counted = seq <= rollout.gate_seq or seq in rollout.gates
    if not rollout.share or digest != rollout.candidate or counted:
        return rollout
    failed = _next(rollout, gates=(*rollout.gates, seq))
    if failed.gates_failed < GATES_FAILED_MAX:
        return failed
    return msgspec.structs.replace(rolled_back(failed), revision=failed.revision)


def _no_gates(rollout: Rollout) -> dict[str, object]:
    return {"gates": (), "gate_seq": max(rollout.gate_seq, *rollout.gates, 0)}


def _require_candidate(rollout: Rollout) -> None:
    if not rollout.candidate:
        raise Conflict("no bundle is staged", field="pack")


def _ended(rollout: Rollout, **changes: object) -> Rollout:
    ended = _next(rollout, candidate="", share=0, tenants=(), tightening=False, **changes)
    return msgspec.structs.replace(ended, **_no_gates(rollout))


def _next(rollout: Rollout, **changes: object) -> Rollout:
    return msgspec.structs.replace(rollout, revision=rollout.revision + 1, **changes)
