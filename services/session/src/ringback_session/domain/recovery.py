"""Going on after a loss: of the owner (a new replica has the snapshot), of the model, of the client."""

from __future__ import annotations

from ringback_session.domain import (
    actions,
    backchannels,
    client_calls,
    consent,
    decisions,
    escalation,
    judging,
    on_record,
    outcomes,
    playback,
    replies,
    results,
    speaking,
    teamwork,
)
from ringback_session.domain.effects import Persist, PullContext, StopTimer
from ringback_session.domain.floor import Floor
from ringback_session.domain.inputs import ClientGone, ModelLost, Resumed
from ringback_session.domain.rules import SideEffect
from ringback_session.domain.state import (
    Action,
    ActionPhase,
    CallState,
    ConsentPhase,
    Playback,
    ReplyPurpose,
    SpeechKind,
)
from ringback_session.domain.step import Step

__all__ = ["client_gone", "forget_rotation", "idle", "model_lost", "model_replaced", "resumed", "settled"]


def resumed(step: Step, event: Resumed) -> None:
    """This replica owns the call now. What was in the air is gone; what was decided stands."""
    state = step.state
    previous = state.epoch
    state.epoch = event.epoch
    state.seq = 0
    state.ids_made = 0
    state.ended = ""
    _clear_the_air(state)
    forget_rotation(step)
    step.publish("session_resumed", previous_epoch=previous, owner=event.owner)
    state.rebuilt_at = (state.epoch, state.seq)
    was_answered = _last_turn_was_answered(state)
    for action in state.open_actions():
        _go_on(step, action)
    client_calls.resumed(step)
    teamwork.go_on(step)
    consent.start_next(step)
    if (
        not was_answered
        and not teamwork.busy(state)
        and not state.open_actions()
        and state.open_consent() is None
    ):
        replies.want(step, ReplyPurpose.TURN)
    step.effects.append(Persist())
    step.effects.append(PullContext(min_epoch=previous, min_seq=0))


def model_lost(step: Step, event: ModelLost) -> None:
    """The model's connection broke."""
    forget_rotation(step)
    model_replaced(step, event.reason)


def model_replaced(step: Step, reason: str) -> None:
    """Another connection holds the conversation now: words in the air are dropped; a short bridge, and on."""
    state = step.state
    reply = state.reply
    state.reply = None
    speaking_was_cut = state.caller_speaking and state.open_consent() is None
    state.checks = []
    state.caller_speaking = False
    backchannels.forget(step)
    playback.broken_off(step)
    for speech in state.speeches:
        if speech.by_port:
            # No model has to do with it.
            continue
        speech.requested = False
        speech.released = False
        speech.transcript = ""
        speech.item_id = ""
    state.model_generation += 1
    step.publish("model_rotated", reason=reason, generation=state.model_generation)
    state.rebuilt_at = (state.epoch, state.seq)
    if reply is not None and not reply.cancelled and not reply.early:
        # To the model it would look like the answer that is still owed.
        speaking.speak(step, SpeechKind.NOTICE, state.rules.say_bridge, told=False)
        replies.want(
            step,
            reply.purpose,
            tools=reply.tools,
            instructions=reply.instructions,
            request_key=reply.request_key,
        )
    utterance = state.utterance
    if utterance is not None and not utterance.heard and not utterance.cleared:
        # Its audio went with the connection.
        utterance.heard = True
        utterance.failed = True
        utterance.cleared = True
        speaking.speak(step, SpeechKind.NOTICE, state.rules.say_bridge)
        consent.repeat_if_cut(step, answered=True)
    else:
        if speaking_was_cut and (reply is None or reply.cancelled):
            # What the caller was saying went with the connection; nobody else would tell them.
            speaking.speak(step, SpeechKind.NOTICE, state.rules.say_bridge)
        consent.repeat_if_cut(step)


def forget_rotation(step: Step) -> None:
    """The connection that was to be replaced is gone, or has been."""
    state = step.state
    state.rotation = "none"
    state.rotation_overdue = False
    step.effects += [StopTimer(name="rotate"), StopTimer(name="rotate_at_last")]


def client_gone(step: Step, event: ClientGone) -> None:
    """The client is gone and does not come back: void what was not agreed, leave tasks for what runs."""
    state = step.state
    if state.ended:
        return
    escalation.caller_gone(step)
    state.ended = event.reason
    consent.void_all(step, "hang_up")
    on_record.unjudged(step)
    judging.unjudged(step)
    for action in state.open_actions():
        if _must_be_settled(action):
            outcomes.open_task(
                step, f"Tell the caller what became of {action.tool}", action.action_id, reason="hang_up"
            )
        elif action.phase is ActionPhase.CHECKING:
            results.unjudged(step, action)
        elif action.phase is not ActionPhase.RUNNING:
            outcomes.not_started(step, action.action_id, "hang_up", "The caller hung up.", reply=False)
    step.publish("session_ended", reason=event.reason, turns=state.turn)
    step.effects.append(Persist())


def settled(state: CallState) -> bool:
    """Is nothing left to wait for after the end of the call?"""
    return bool(state.ended) and not any(_must_be_settled(action) for action in state.actions.values())


def idle(state: CallState) -> bool:
    """Is nothing said, heard, decided or done at the moment?"""
    waiting = state.utterance is not None and not state.utterance.cleared
    # What is due of an agent that may not speak is not done before it may again.
    due = state.next_reply is not None and not state.agent_silent
    return not (state.reply or due or state.speeches or waiting or state.open_actions())


def _must_be_settled(action: Action) -> bool:
    """Does it change the world, and may it still do so? The client's own tools are the client's to settle."""
    running = action.phase is ActionPhase.RUNNING
    return running and action.side_effect is not SideEffect.READ and not action.client_tool


def _clear_the_air(state: CallState) -> None:
    state.reply = None
    state.checks = []
    state.next_reply = None
    state.speeches = []
    state.caller_speaking = False
    state.playback = Playback()
    state.floor = Floor()
    state.known.waiting, state.known.refreshing, state.known.unwaited = {}, {}, []
    state.known.announced = []
    state.fact_waits = {}
    if state.utterance is not None and not state.utterance.cleared:
        state.utterance.cleared = True
    judging.ask_again(state)
    on_record.ask_again(state)


def _last_turn_was_answered(state: CallState) -> bool:
    messages = [entry for entry in state.history if entry.text or entry.kind == "function_call_output"]
    return not messages or messages[-1].role == "assistant"


def _go_on(step: Step, action: Action) -> None:
    given = step.state.consents.get(action.consent_id)
    match action.phase:
        case ActionPhase.RUNNING | ActionPhase.JOURNALLING if action.client_tool:
            # The client has the call, or may have it, and answers it when it can. It is not handed over again.
            action.phase = ActionPhase.RUNNING
            client_calls.wait(step, action)
        case ActionPhase.RUNNING | ActionPhase.JOURNALLING:
            # Tools know whether it ran. It starts again only after a fresh decision.
            actions.execute(step, action, attach_only=action.side_effect is not SideEffect.READ)
        case ActionPhase.CHECKING:
            results.ask(step, action)
        case ActionPhase.DECIDING | ActionPhase.FETCHING:
            if given is not None and step.at.now_ms > given.expires_at_ms:
                given.phase = ConsentPhase.ENDED
            action.fact_rounds = 0
            decisions.decide(step, action)
        case ActionPhase.CONFIRMING if given is not None:
            given.phase = ConsentPhase.QUEUED
        case _:
            pass
