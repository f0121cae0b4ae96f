"""Owns the form in which questions are recorded: as they came, with other values where personal data stood."""

import hashlib

from ringback.policy.v1 import policy_pb2 as pb
from ringback_identity import digest

from ringback_policy.domain.masking import masked

__all__ = ["masked_question"]


def masked_question(asked: pb.DecideRequest) -> pb.DecideRequest:
    """A copy that decides as the question did, but for rules about the masked values themselves.

    Equal values have equal masks, so facts still belong to the arguments that they were fetched for.
    """
    kept = pb.DecideRequest()
    kept.CopyFrom(asked)
    match kept.WhichOneof("subject"):
        case "action":
            _mask_action(kept.action)
        case "utterance":
            kept.utterance.text = masked(kept.utterance.text)
        case "speech":
            kept.speech.text = masked(kept.speech.text)
        case "result":
            kept.result.result_json = masked(kept.result.result_json)
        case "handoff":
            kept.handoff.reason = masked(kept.handoff.reason)
        case _:
            pass
    for fact in kept.facts:
        fact.arguments_json, fact.value_json = masked(fact.arguments_json), masked(fact.value_json)
    for past in kept.session.actions:
        past.arguments_json = masked(past.arguments_json)
    for slot in (*kept.session.slots, *kept.session.slots_before):
        slot.value_json = masked(slot.value_json)
    if kept.session.caller.caller_id:
        own = hashlib.sha256(kept.session.caller.caller_id.encode()).hexdigest()[:16]
        kept.session.caller.caller_id = f"caller_{own}"
    return kept


def _mask_action(action: pb.ActionSubject) -> None:
    """The digest goes with the arguments, and so does a consent to exactly these."""
    before = action.arguments_digest
    action.arguments_json = masked(action.arguments_json)
    if before and digest(action.arguments_json) != before:
        action.arguments_digest = digest(action.arguments_json)
        if action.consent.arguments_digest == before:
            action.consent.arguments_digest = action.arguments_digest
