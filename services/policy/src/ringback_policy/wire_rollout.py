"""Owns the conversion of rollouts and diffs to their messages."""

from ringback.policy.v1 import policy_pb2 as pb

from ringback_policy.domain.replaying import Change
from ringback_policy.domain.rollout import Rollout
from ringback_policy.usecases.rolling_out import Compared
from ringback_policy.wire import GATES_OUT, effect_out

__all__ = ["CHANGES_SHOWN_MAX", "diff_response", "rollout"]

CHANGES_SHOWN_MAX = 1_000


def rollout(pack: str, state: Rollout) -> pb.Rollout:
    """Where a pack's rollout stands."""
    return pb.Rollout(
        pack=pack,
        active_digest=state.digest,
        candidate_digest=state.candidate,
        canary_percent=state.share / 100,
        canary_tenants=state.tenants,
        previous_digest=state.previous,
        tightening=state.tightening,
        gates_failed=state.gates_failed,
        revision=state.revision,
    )


def diff_response(compared: Compared) -> pb.DiffBundlesResponse:
    """A diff."""
    found = compared.diff
    return pb.DiffBundlesResponse(
        base_digest=compared.base,
        candidate_digest=compared.candidate,
        questions=found.questions,
        changed=len(found.changes),
        laxer=found.laxer,
        changes=[_change(change) for change in found.changes[:CHANGES_SHOWN_MAX]],
    )


def _change(change: Change) -> pb.DecisionChange:
    return pb.DecisionChange(
        decision_id=change.decision_id,
        session_id=change.session_id,
        gate=GATES_OUT[change.gate],
        tool=change.tool,
        before=effect_out(change.before),
        after=effect_out(change.after),
        rule_before=change.rule_before,
        rule_after=change.rule_after,
        laxer=change.laxer,
    )
