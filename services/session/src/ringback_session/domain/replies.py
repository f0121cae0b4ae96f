"""One active response at a time: our requests for replies and speech are sequenced and coalesced here."""

from __future__ import annotations

from ringback_session.domain import manners, playback
from ringback_session.domain.effects import (
    CancelReply,
    Persist,
    PlayAgain,
    PullContext,
    RefuseReply,
    RequestReply,
    RequestSpeech,
    SpeakByPort,
    StartTimer,
    StopTimer,
)
from ringback_session.domain.inputs import ReplyEnded, ReplyStarted, ReplyText, ReplyWanted
from ringback_session.domain.state import (
    TEXT_CHARS_MAX,
    CallState,
    HistoryItem,
    PendingReply,
    Reply,
    ReplyPurpose,
    Speech,
)
from ringback_session.domain.step import Step

__all__ = [
    "caller_holds_the_floor",
    "ended",
    "pump",
    "silent",
    "started",
    "stop",
    "text",
    "want",
    "wanted_by_client",
    "watch",
]

# A model that has not begun, or not ended, what it was asked for by then is taken for silent.
SILENT_MODEL_MS = 30_000
_OURS = (ReplyPurpose.RESULT, ReplyPurpose.CLARIFY)


def want(
    step: Step, purpose: ReplyPurpose, *, tools: bool = True, instructions: str = "", request_key: str = ""
) -> None:
    """Ask for a reply as soon as nothing else is being said; several requests become one."""
    state = step.state
    pending = state.next_reply
    if pending is not None:
        request_key = request_key or pending.request_key
        if pending.purpose is ReplyPurpose.CLARIFY:
            # It goes before the read-back, without tools, whoever else wants a reply.
            purpose, tools, instructions = pending.purpose, pending.tools, pending.instructions
    state.next_reply = PendingReply(
        purpose=purpose, tools=tools, instructions=instructions, request_key=request_key
    )


def wanted_by_client(step: Step, wanted: ReplyWanted) -> bool:
    """The client asked for a reply. Returns True when the request waits for its utterance to be cleared."""
    state = step.state
    if state.account.spent:
        refusal = {"code": "insufficient_quota", "message": "The budget for this conversation is used up."}
        step.effects.append(RefuseReply(request_key=wanted.request_key, response_id="", **refusal))
        return False
    active = state.reply
    own_is_active = active is not None and active.purpose not in _OURS and not active.cancelled
    if own_is_active or _client_waits(step):
        response_id = active.response_id if active is not None else ""
        step.effects.append(RefuseReply(request_key=wanted.request_key, response_id=response_id))
        return not own_is_active and _answers(state)
    state.greeting = ""
    state.reply_request_key = wanted.request_key
    if state.utterance is not None and not state.utterance.cleared:
        state.reply_wanted = True
        return True
    want(step, ReplyPurpose.CLIENT, request_key=wanted.request_key)
    return False


def started(step: Step, event: ReplyStarted) -> None:
    reply = step.state.reply
    if reply is not None and reply.reply_id == event.reply_id:
        reply.response_id = event.response_id
        watch(step)


def text(step: Step, event: ReplyText) -> None:
    """A message of the model is complete."""
    reply = step.state.reply
    if reply is None or reply.reply_id != event.reply_id or reply.cancelled:
        return
    reply.item_id = event.item_id
    reply.text = event.text[:TEXT_CHARS_MAX]
    step.state.remember(HistoryItem(item_id=event.item_id, kind="message", role="assistant", text=event.text))
    playback.finished(step, event.item_id, event.text)


def ended(step: Step, event: ReplyEnded) -> Reply | None:
    """A reply is over, whatever its outcome. Returns it if it was the active one."""
    state = step.state
    reply = state.reply
    if reply is None or reply.reply_id != event.reply_id:
        return None
    state.reply = None
    step.effects.append(StopTimer(name="model"))
    step.effects.append(Persist())
    if not state.open_actions():
        # While one is open the turn is not over, and memory is asked when it is.
        step.effects.append(PullContext(min_epoch=state.epoch, min_seq=state.seq))
    state.bound()
    return reply


def stop(step: Step, reason: str) -> None:
    """Cancel what the model is saying. What is due but not begun stays due when the caller only cut in."""
    reply = step.state.reply
    if reply is not None and not reply.cancelled:
        reply.cancelled = True
        step.effects.append(CancelReply(reply_id=reply.reply_id, reason=reason))
    if reason != "turn_detected":
        step.state.next_reply = None


def watch(step: Step) -> None:
    """Begin to wait for the model, or go on waiting: it has just shown that it is there."""
    step.effects.append(StartTimer(name="model", delay_ms=SILENT_MODEL_MS))


def silent(step: Step) -> str:
    """The model owes us a reply or a speech for too long. Gives up on it; returns the id of a speech given up."""
    state = step.state
    speech = state.speeches[0] if state.speeches and state.speeches[0].requested else None
    reply = state.reply
    if speech is not None and (reply is None or reply.begun):
        if reply is not None:
            watch(step)
        return speech.speech_id
    if reply is not None:
        if not reply.cancelled:
            step.effects.append(CancelReply(reply_id=reply.reply_id, reason="client_cancelled"))
        state.reply = None
    return ""


def pump(step: Step) -> None:
    """Start what comes next, if nothing is being said: our own words first, then the model's."""
    state = step.state
    if state.ended or state.reply is not None:
        return
    early = _may_begin_early(step)
    if caller_holds_the_floor(step) and not early:
        return
    if state.speeches and not early:
        speech = state.speeches[0]
        if not speech.requested:
            speech.requested = True
            watch(step)
            step.effects.append(_request(speech))
        return
    pending = state.next_reply
    if pending is None or state.agent_silent or state.client_outputs:
        return
    if pending.purpose is not ReplyPurpose.CLARIFY and state.open_consent() is not None:
        # While a yes is waited for the model does not answer by itself.
        return
    state.next_reply = state.unheard_reply = None
    instructions = manners.take_instructions(step, pending.instructions)
    reply = Reply(
        reply_id=state.new_id("reply_"),
        purpose=pending.purpose,
        request_key=pending.request_key,
        tools=pending.tools,
        instructions=instructions,
        early=pending.early,
    )
    state.reply = reply
    watch(step)
    step.effects.append(
        RequestReply(
            reply_id=reply.reply_id,
            tools=pending.tools,
            instructions=instructions,
            request_key=pending.request_key,
            shut=reply.early,
            watch=state.watching,
        )
    )


def _request(speech: Speech) -> RequestSpeech | SpeakByPort | PlayAgain:
    if speech.by_port:
        # The port says what it is given, all of it or nothing.
        speech.released = True
        return SpeakByPort(speech_id=speech.speech_id, kind=speech.kind, text=speech.text)
    if speech.resumes:
        return PlayAgain(
            speech_id=speech.speech_id, item_id=speech.resumes, from_ms=speech.from_ms, text=speech.text
        )
    return RequestSpeech(
        speech_id=speech.speech_id, kind=speech.kind, text=speech.text, hold=bool(speech.must_contain)
    )


def caller_holds_the_floor(step: Step) -> bool:
    """Is the caller speaking, or was what they said not yet taken further?"""
    state = step.state
    if state.caller_speaking and state.interrupt_enabled:
        return True
    utterance = state.utterance
    return (
        utterance is not None and not utterance.cleared and not (utterance.typed and not state.reply_wanted)
    )


def _may_begin_early(step: Step) -> bool:
    """A reply that is shown only when its utterance has passed need not wait for that to be asked for."""
    state = step.state
    speaks = state.caller_speaking and state.interrupt_enabled
    return state.next_reply is not None and state.next_reply.early and not (speaks or state.speeches)


def _answers(state: CallState) -> bool:
    """Was it asked behind typed words that may be the yes that is waited for? They count, if the request does not."""
    utterance = state.utterance
    if state.open_consent() is None or utterance is None or utterance.cleared:
        return False
    state.reply_wanted = True
    return True


def _client_waits(step: Step) -> bool:
    """Does a request of the client's own wait for its reply to begin?"""
    state = step.state
    pending = state.next_reply
    if pending is not None and pending.purpose is ReplyPurpose.CLIENT and pending.request_key:
        return True
    utterance = state.utterance
    gated = utterance is not None and not utterance.cleared
    return gated and state.reply_wanted and bool(state.reply_request_key)
