"""A reply that begins while policy still judges what it answers: nothing of it is shown or done before it passed."""

from __future__ import annotations

from ringback_session.domain import replies
from ringback_session.domain.effects import CancelReply, OpenReply
from ringback_session.domain.state import ReplyPurpose
from ringback_session.domain.step import Step

__all__ = ["begin", "let_in", "turn_away"]


def begin(step: Step) -> None:
    """Ask for the reply at once, where the bundle wants the input judged in parallel and nothing else is due."""
    state = step.state
    utterance = state.utterance
    if state.rules.input_gate != "parallel" or utterance is None or utterance.cleared:
        return
    busy = state.speeches or state.handed_over or state.ended or state.open_consent() is not None
    if busy or not state.reply_wanted or utterance.failed:
        return
    replies.want(step, ReplyPurpose.TURN, request_key=state.reply_request_key)
    if state.next_reply is not None:
        state.next_reply.early = True


def let_in(step: Step) -> bool:
    """What was said has passed: the reply may be shown. Returns False when none was begun."""
    reply, pending = step.state.reply, step.state.next_reply
    if pending is not None and pending.early:
        pending.early = False
        return True
    if reply is None or not reply.early or (reply.cancelled and not reply.refused):
        return False
    reply.early = False
    if not reply.cancelled:
        step.effects.append(OpenReply(reply_id=reply.reply_id))
    return True


def turn_away(step: Step) -> None:
    """It is not to be answered by the model after all: nobody will know of the reply."""
    reply, pending = step.state.reply, step.state.next_reply
    if pending is not None and pending.early:
        step.state.next_reply = None
    if reply is not None and reply.early and not reply.cancelled:
        reply.cancelled = True
        step.effects.append(CancelReply(reply_id=reply.reply_id, reason="client_cancelled"))
