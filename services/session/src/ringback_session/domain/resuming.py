"""The rule `resume`: an interruption that proves to be none has the agent go on from where it was cut."""

from __future__ import annotations

from ringback_session.domain import playback, replies, speaking
from ringback_session.domain.backchannels import only_backchannels
from ringback_session.domain.floor import Cut
from ringback_session.domain.rules import RuleName
from ringback_session.domain.state import PendingReply, ReplyPurpose, SpeechKind, Utterance
from ringback_session.domain.step import Step

__all__ = ["go_on", "instead_of_a_turn", "note_cut", "note_unheard", "possible", "was_no_turn"]


def note_cut(step: Step) -> None:
    """The caller cuts in now: remember what the agent was saying, in case nothing comes of it."""
    state = step.state
    playing = playback.playing(step)
    if not state.rules.resume_within_ms or playing is None or playing.kind not in ("reply", "resumed"):
        return
    unplayed = state.playback.items[-1] is not playing
    going_on = state.reply is not None and not state.reply.cancelled
    state.floor.cut = Cut(
        item_id=playing.item_id, at_ms=step.at.now_ms, said=playing.text, more=unplayed or going_on
    )


def note_unheard(step: Step) -> None:
    """The caller cuts in now: a reply that nothing came of yet is still owed, should this be no turn."""
    state = step.state
    reply = state.reply
    if reply is None or reply.cancelled:
        return
    sent = any(each.response_id == reply.response_id for each in state.playback.items)
    begun = reply.text or reply.calls or (sent and reply.response_id)
    # A client that asks for its replies itself sees the cancelled one, and decides.
    if begun or reply.early or reply.purpose is ReplyPurpose.CLIENT:
        state.unheard_reply = None
    else:
        state.unheard_reply = PendingReply(
            purpose=reply.purpose,
            tools=reply.tools,
            instructions=reply.instructions,
            request_key=reply.request_key,
        )


def go_on(step: Step) -> None:
    """What the caller put in was no turn: go on from the cut, or ask again for the reply that was cut off unheard."""
    if instead_of_a_turn(step):
        return
    state = step.state
    unheard, state.unheard_reply = state.unheard_reply, None
    if unheard is not None and state.next_reply is None and state.open_consent() is None:
        state.next_reply = unheard


def possible(step: Step) -> bool:
    """May what the caller says still prove to be nothing?"""
    cut, rules = step.state.floor.cut, step.state.rules
    return cut is not None and step.at.now_ms - cut.at_ms <= rules.resume_within_ms


def was_no_turn(step: Step, utterance: Utterance) -> bool:
    """Did the caller only show that they listen? The answer to a question is a turn, whatever the word."""
    cut = step.state.floor.cut
    if cut is None or utterance.typed or not possible(step):
        return False
    played = playback.item(step.state, cut.item_id)
    heard = playback.heard_part(step, played, cut.said) if played is not None else ""
    return "?" not in heard and only_backchannels(utterance.text, step.state.rules.backchannel_words)


def instead_of_a_turn(step: Step) -> bool:
    """Go on from the cut, if the client stopped there. Returns False when there is nothing to go on with."""
    state = step.state
    cut, state.floor.cut = state.floor.cut, None
    if cut is None or step.at.now_ms - cut.at_ms > state.rules.resume_within_ms:
        return False
    played = playback.item(state, cut.item_id)
    if played is None or not played.cut_by_client or state.open_consent() is not None or state.next_reply:
        return False
    heard = playback.heard_part(step, played, cut.said)
    speaking.speak(
        step,
        SpeechKind.RESUMED,
        cut.said[len(heard) :].strip() or "…",
        resumes=cut.item_id,
        from_ms=playback.heard_ms(step, played),
    )
    if cut.more:
        replies.want(step, ReplyPurpose.TURN, instructions=speaking.GO_ON)
    step.applied(RuleName.RESUME, "resumed", item_id=cut.item_id, wait_ms=max(0, step.at.now_ms - cut.at_ms))
    return True
