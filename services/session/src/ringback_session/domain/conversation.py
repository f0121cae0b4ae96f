"""The conversation core: `step(state, input, at) → effects`.

It changes the state that it is given and returns what is to be done; it has no clock, no randomness and no
sockets. The same snapshot and the same inputs always give the same effects.
"""

from __future__ import annotations

from ringback_session.domain import (
    actions,
    backchannels,
    client_calls,
    client_items,
    compaction,
    consent,
    doubts,
    early,
    escalation,
    fillers,
    floor_inputs,
    freshness,
    gate_facts,
    guarded,
    guards,
    inputs,
    judging,
    notes,
    on_record,
    person_wait,
    playback,
    prompting,
    recalling,
    recovery,
    replies,
    results,
    rotation,
    speaking,
    spending,
    teamwork,
    tending,
    turns,
)
from ringback_session.domain.effects import Effects, Forget, Persist
from ringback_session.domain.inputs import At, Input
from ringback_session.domain.state import CallState, Reply, ReplyPurpose, SpeechKind
from ringback_session.domain.step import Step
from ringback_session.domain.upkeep import UpkeepInput

__all__ = ["step"]


def step(state: CallState, event: Input, at: At) -> Effects:
    """Take one input. Total: an input that does not fit the state changes nothing."""
    now = Step(state=state, at=at)
    if isinstance(event, inputs.AudioSent):
        playback.audio_sent(now, event)
        return now.effects
    if isinstance(event, inputs.CallAnnounced):
        # Nothing of the conversation moves by it.
        freshness.announced(now, event.tool)
        return now.effects
    taken = teamwork.take(now, event) or _of_the_caller(now, event) or _of_the_model(now, event)
    if not (taken or _of_an_action(now, event)):
        _of_the_call(now, event)
    if now.escalation is not None:
        reason, rule, say = now.escalation
        escalation.to_person(now, reason=reason, rule=rule, say=say)
    on_record.pump(now)
    judging.pump(now)
    rotation.pump(now)
    fillers.settle(now)
    replies.pump(now)
    fillers.watch(now)
    prompting.watch(now)
    person_wait.watch(now)
    return now.effects


def _of_the_caller(now: Step, event: Input) -> bool:
    match event:
        case inputs.CallerStartedSpeaking():
            turns.caller_started(now, event)
        case inputs.CallerStoppedSpeaking():
            turns.caller_stopped(now, event)
        case inputs.UtteranceCommitted():
            turns.committed(now, event)
        case inputs.UtteranceHeard():
            turns.heard(now, event)
        case inputs.ReplyWanted():
            if replies.wanted_by_client(now, event):
                _gate_typed(now)
        case inputs.ClientTruncated():
            playback.client_truncated(now, event)
        case inputs.ClientCancelled():
            replies.stop(now, "client_cancelled")
            speaking.cancel_all(now, "client_cancelled")
            playback.cancelled(now)
            consent.cancelled_by_client(now)
        case inputs.ClientCallOutput():
            judging.answered(now, event)
        case _:
            return _over_the_agent(now, event)
    return True


def _over_the_agent(now: Step, event: Input) -> bool:
    match event:
        case floor_inputs.CallerOverlaps():
            backchannels.began(now, event)
        case floor_inputs.CallerSound():
            backchannels.sound(now, event)
        case floor_inputs.OverlapWords():
            backchannels.words(now, event)
        case floor_inputs.OverlapStopped():
            backchannels.stopped(now, event)
        case floor_inputs.PlaybackCleared():
            playback.cut(now)
        case floor_inputs.WordsBrokenOff():
            playback.words_broken_off(now, event)
        case floor_inputs.AsideBegan() | floor_inputs.AsideEnded():
            rotation.aside(now, event)
        case _:
            return False
    return True


def _of_the_model(now: Step, event: Input) -> bool:
    match event:
        case inputs.ReplyStarted():
            replies.started(now, event)
        case inputs.ReplyText():
            replies.text(now, event)
        case inputs.ReplyEnded():
            ended = replies.ended(now, event)
            notes.after_reply(now, ended)
            if ended is not None:
                _reply_over(now, ended)
        case inputs.SpeechText():
            speaking.text(now, event)
        case inputs.SpeechEnded():
            spoken = speaking.ended(now, event)
            if spoken is not None and spoken.consent_id:
                consent.read_back_spoken(now, spoken)
        case _:
            return _of_its_words(now, event)
    return True


def _of_its_words(now: Step, event: Input) -> bool:
    match event:
        case guarded.SentenceMade():
            guards.sentence(now, event)
        case guarded.WordsHeld():
            guards.held(now, event)
            if event.waiting:
                fillers.reply_waits(now, event.reply_id)
        case guarded.HoldExceeded():
            guards.exceeded(now, event)
        case guarded.WordsUnshown():
            now.effects.append(Forget(item_ids=event.item_ids))
        case _:
            return False
    return True


def _of_an_action(now: Step, event: Input) -> bool:
    match event:
        case inputs.CallRequested():
            actions.requested(now, event)
        case inputs.Decided():
            _decided(now, event)
        case inputs.FactFetched():
            if not gate_facts.fetched(now, event):
                actions.fact_fetched(now, event)
        case inputs.ConsentRead():
            consent.read(now, event)
        case _:
            return _of_an_execution(now, event)
    return True


def _decided(now: Step, event: inputs.Decided) -> None:
    if gate_facts.wants(now, event):
        return
    of_actions = (actions.decided, results.decided, judging.decided)
    of_words = (guards.decided, on_record.decided, turns.input_decided)
    any(decided(now, event) for decided in (*of_actions, *of_words))


def _of_an_execution(now: Step, event: Input) -> bool:
    match event:
        case inputs.Journalled():
            actions.journalled(now, event)
        case inputs.JournalFailed():
            actions.journal_failed(now, event)
        case inputs.ActionProgressed():
            actions.progressed(now, event)
        case inputs.ActionResult():
            actions.result(now, event)
        case inputs.ActionReconciled():
            doubts.reconciled(now, event)
        case _:
            return False
    return True


def _of_the_call(now: Step, event: Input) -> None:
    match event:
        case inputs.CallStarted():
            _started(now)
        case inputs.Resumed():
            recovery.resumed(now, event)
            tending.resumed(now)
        case inputs.ClientGone():
            recovery.client_gone(now, event)
        case inputs.PacketReady():
            escalation.packet_ready(now, event)
        case inputs.ContextArrived():
            compaction.context_arrived(now, event)
            teamwork.context_arrived(now, event)
        case inputs.TimerFired(name=guards.TIMER):
            guards.lapsed(now)
        case inputs.TimerFired():
            if not (tending.timer(now, event.name) or fillers.timer(now, event.name)):
                _timer(now, event.name)
        case inputs.ModelLost() | inputs.ModelConnected() | inputs.ModelPrepared():
            _of_the_connection(now, event)
        case _:
            _of_the_client(now, event)


def _of_the_connection(
    now: Step, event: inputs.ModelLost | inputs.ModelConnected | inputs.ModelPrepared
) -> None:
    match event:
        case inputs.ModelLost():
            spending.unreported(now)
            recovery.model_lost(now, event)
        case inputs.ModelConnected():
            rotation.connected(now, event)
        case inputs.ModelPrepared():
            rotation.prepared(now, event)


def _of_the_client(now: Step, event: Input) -> None:
    match event:
        case inputs.CallerArrived():
            turns.greet(now)
        case inputs.ClientConfigured():
            now.state.interrupt_enabled = event.interrupt
        case inputs.ItemNoted():
            client_items.noted(now, event)
        case inputs.ItemDeleted():
            client_items.deleted(now, event)
        case _ if isinstance(event, UpkeepInput):
            tending.take(now, event)


def _started(now: Step) -> None:
    state = now.state
    state.started_at_ms = at_ms = now.at.now_ms
    assert at_ms > 0, "the owner's clock is unix time"
    now.publish(
        "session_started",
        pack=state.pack,
        pack_digest=state.pack_digest,
        bundle_digest=state.bundle_digest,
        caller_id=state.caller_id,
    )
    recalling.ask(now)
    now.effects.append(Persist())


def _timer(now: Step, name: str) -> None:
    match name.partition(":"):
        case ("transcript", _, _):
            turns.transcript_late(now)
        case ("played", _, _):
            playback.settle(now)
        case (backchannels.TIMER, _, _):
            backchannels.timer(now)
        case (prompting.TIMER, _, _):
            prompting.due(now)
        case ("model", _, _):
            _model_silent(now)
        case (kind, ":", about):
            _timer_about(now, kind, about)
        case ("rotate", _, _):
            rotation.due(now)
        case ("rotate_at_last", _, _):
            rotation.at_last(now)


def _timer_about(now: Step, kind: str, about: str) -> None:
    if kind == "consent":
        consent.expired(now, about)
    elif kind == gate_facts.TIMER:
        _decided(now, gate_facts.late(about))
    else:
        client_calls.timer(now, kind, about)


def _model_silent(now: Step) -> None:
    """Nothing came of what the model was asked for: a speech counts as not said, a reply as failed."""
    reply = now.state.reply
    speech_id = replies.silent(now)
    if speech_id:
        speaking.ended(now, inputs.SpeechEnded(speech_id=speech_id, status="failed"))
    elif reply is not None and not reply.cancelled:
        speaking.speak(now, SpeechKind.NOTICE, now.state.rules.say_bridge)


def _gate_typed(now: Step) -> None:
    utterance = now.state.utterance
    if utterance is not None and utterance.typed and not utterance.decision_id:
        turns.gate(now)
        early.begin(now)


def _reply_over(now: Step, reply: Reply) -> None:
    guards.ended(now, reply)
    if reply.purpose is ReplyPurpose.CLARIFY and (reply.refused or not reply.cancelled):
        consent.repeat_after_reply(now)
