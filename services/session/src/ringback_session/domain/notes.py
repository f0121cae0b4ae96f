"""What the model notes through its function `note`: a value for the call's memory, as it was said."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from ringback_errors import InvalidInput
from ringback_identity import canonical_arguments

from ringback_session.domain import outcomes, replies
from ringback_session.domain.effects import PullContext
from ringback_session.domain.inputs import CallRequested
from ringback_session.domain.rules import Tool
from ringback_session.domain.state import Reply, ReplyPurpose
from ringback_session.domain.step import Step

__all__ = ["after_reply", "requested"]

NOTES_PER_TURN_MAX: Final = 8
# A slot of this name is the caller's word on being remembered over calls.
MEMORY_CONSENT: Final = "memory_consent"
AGENT_CONFIDENCE: Final = 0.7
_NOT_SAID = (
    "Whether the caller wants to be remembered is for the caller to say, clearly. Ask, and note it with said_by "
    "caller."
)


def requested(step: Step, call: CallRequested, tool: Tool) -> None:
    """The model noted something. It is answered at once; the reply that it belongs to goes on."""
    reply = step.state.reply
    in_reply = reply is not None and reply.reply_id == call.reply_id
    if reply is not None and in_reply:
        reply.notes += 1
    outcomes.answer(step, [call.call_id], _noted(step, call, tool), reply=not in_reply)


def after_reply(step: Step, reply: Reply | None) -> None:
    """A reply that only noted something has said nothing yet: have the model speak, if nothing else will."""
    state = step.state
    if reply is None or not reply.notes or reply.text or reply.cancelled or state.handed_over:
        return
    if state.next_reply is None and not state.open_actions() and state.team.handoff is None:
        # A model that notes and notes is made to speak.
        tools = state.known.notes < NOTES_PER_TURN_MAX
        replies.want(step, ReplyPurpose.RESULT, tools=tools, request_key=state.reply_request_key)


def _noted(step: Step, call: CallRequested, tool: Tool) -> str:
    state, known = step.state, step.state.known
    if known.notes_turn != state.turn:
        known.notes_turn, known.notes = state.turn, 0
    known.notes += 1
    if known.notes > NOTES_PER_TURN_MAX:
        return outcomes.error("too_many_notes", f"At most {NOTES_PER_TURN_MAX} notes in one turn.")
    try:
        canonical = canonical_arguments(call.arguments_json, msgspec.json.decode(tool.parameters_json))
    except InvalidInput as error:
        return outcomes.error("invalid_arguments", str(error))
    note = msgspec.json.decode(canonical.json)
    if note["name"] == MEMORY_CONSENT and not _may_consent(step, note):
        return outcomes.error("not_said", _NOT_SAID)
    step.publish(
        "slots_changed",
        slots=[
            {
                "name": note["name"],
                "value_json": msgspec.json.encode(note["value"]).decode(),
                "source": note["said_by"],
                "confidence": _confidence(step, note),
            }
        ],
    )
    step.effects.append(PullContext(min_epoch=state.epoch, min_seq=state.seq))
    return '{"status":"ok"}'


def _may_consent(step: Step, note: dict[str, Any]) -> bool:
    """A yes must be the caller's own and understood; a no is taken in any case."""
    if note["value"] is not True:
        return note["value"] in (False, None)
    utterance = step.state.utterance
    if note["said_by"] != "caller" or utterance is None or utterance.failed or not utterance.heard:
        return False
    confidence = 1.0 if utterance.typed or utterance.confidence is None else utterance.confidence
    return confidence >= step.state.rules.confidence_min


def _confidence(step: Step, note: dict[str, Any]) -> float:
    utterance = step.state.utterance
    if note["said_by"] != "caller" or utterance is None:
        return AGENT_CONFIDENCE
    return 0.9 if utterance.confidence is None else min(0.9, utterance.confidence)
