"""One call: the pump between the client, the model and the core.

Everything happens on one event loop, in order: a frame is translated, the core takes its inputs one by one, and each
effect is carried out before the next input. Only what asks another service takes time; it comes back as an input.
Audio goes past the core: it is counted, never decoded, and waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from ringback_errors import Unavailable
from ringback_realtime import Close, MalformedFrameError, ProtocolError, peek
from ringback_realtime.closes import INTERNAL, NORMAL, invalid_request, session_expired

from ringback_session.domain import effects, inputs
from ringback_session.domain.conversation import step
from ringback_session.domain.inputs import Input
from ringback_session.domain.recovery import settled
from ringback_session.domain.state import CallState
from ringback_session.ports import (
    ClientSocket,
    Clock,
    LateFacts,
    Memory,
    Models,
    Pinned,
    Policy,
    Tools,
    Tracing,
)
from ringback_session.ports_voice import Voice
from ringback_session.usecases.agent_audio import AgentAudio
from ringback_session.usecases.agents import Agents
from ringback_session.usecases.asking import Asking
from ringback_session.usecases.bounds import FENCED, Limits
from ringback_session.usecases.caller_audio import APPEND, CallerAudio
from ringback_session.usecases.errands import Errands
from ringback_session.usecases.feeding import Inbox
from ringback_session.usecases.keeping import Keeper, Saved, save
from ringback_session.usecases.model_side import ModelSide, RecentContext
from ringback_session.usecases.parting import Parting
from ringback_session.usecases.performing import TAKES_TIME, Performer
from ringback_session.usecases.recording import Recorder, Unrecorded
from ringback_session.usecases.timers import Timers
from ringback_session.usecases.turn_trace import TurnTrace
from ringback_session.usecases.voicing import Voicing
from ringback_session.views.client import ClientView
from ringback_session.views.metering import METERED, Metering
from ringback_session.views.model import ModelView
from ringback_session.views.out import Out
from ringback_session.views.responses import AUDIO_DELTA

__all__ = ["FENCED", "Call", "Limits"]

SESSION_LIMIT = "session_limit"


class Call:
    """One call on this replica, from the first frame to the settled end."""

    def __init__(
        self,
        *,
        state: CallState,
        view: ClientView,
        model_view: ModelView,
        keeper_of: Callable[[Call], Keeper],
        pinned: Pinned,
        policy: Policy,
        tools: Tools,
        memory: Memory,
        agents: Agents,
        voice: Voice | None,
        late_facts: LateFacts,
        models: Models,
        clock: Clock,
        tracing: Tracing,
        limits: Limits,
        metering: Metering,
        on_over: Callable[[Call], None],
        recorder: Recorder,
    ) -> None:
        self.state = state
        self.view = view
        self.pinned = pinned
        self.client: ClientSocket | None = None
        self.keeper = keeper_of(self)
        self._model_view, self._limits = model_view, limits
        self._clock, self._tracing = clock, tracing
        self._late_facts, self._metering = late_facts, metering
        self._on_over, self._recorder = on_over, recorder
        self._queue = Inbox()
        self._stepping = self._first_event_done = self.over = self._leaving = self._left = False
        self._turns, self._timers = TurnTrace(tracing), Timers(clock, self._fired)
        self._stop_following: Callable[[], Awaitable[None]] | None = None
        self._errands = Errands(self._failed)
        recent = RecentContext(memory)
        self._agent = AgentAudio(view, recorded=not isinstance(recorder, Unrecorded), event=self._model_event)
        self.model_frame = self._agent.take
        self._model = ModelSide(
            models=models,
            view=view,
            model_view=model_view,
            memory=recent,
            pinned=pinned,
            on_frame=self.model_frame,
            flush=self._flush,
            feed=self.feed,
            spawn=self._errands.spawn,
            give_up=self._close_client,
        )
        link = self._link = self._model.link
        voicing = Voicing(voice, view=view, metering=metering, flush=self._flush, heard=self._is_heard)
        self._asking = Asking(view=view, model_view=model_view, link=link, voicing=voicing)
        self._caller = CallerAudio(view, link=link, clock=clock, feed=self.feed, event=self._client_event)
        self.client_frame = self._caller.take
        wait_ms = limits.journal_wait_ms
        self.parting = Parting(self.keeper, wait_ms=wait_ms, stop=self._stop, leave=self._leave)
        self._performer = Performer(
            policy=policy,
            tools=tools,
            memory=recent,
            agents=agents,
            keeper=self.keeper,
            pinned=pinned,
            feed=self.feed,
            limits=limits,
            metering=metering,
            voicing=voicing,
        )

    # Beginning and end.

    async def start(self, client: ClientSocket, *, first: Input, context: str = "") -> None:
        """Connect the model and greet the client. Raises Unavailable when the model cannot be reached."""
        self.client = client
        await self._model.connect(context)
        client.send(self.view.events.session_created(self.view.config))
        self._timers.start(SESSION_LIMIT, self.view.left_ms(self._clock.now_ms()))
        self._look_after()
        self.feed(*self._queue.opened(first, self._model.connected()))

    def settle(self, resumed: Input) -> None:
        """Nobody came back: find out what became of what was journalled, and end the call without a client."""
        self._look_after()
        self.feed(*self._queue.opened(resumed, inputs.ClientGone(reason="expired")))
        self._finish_if_settled()

    def snapshot(self) -> bytes:
        return save(Saved(core=self.state, client=self.view.saved()))

    def client_closed(self, client: ClientSocket, *, hung_up: bool) -> None:
        """The caller's socket is gone: hung up, or lost and perhaps coming back."""
        if client is not self.client:
            return
        self.client = None
        self._link.close()
        if self.over or self.state.ended:
            self._finish_if_settled()
        elif hung_up:
            self.end("client_closed")
        else:
            self.keeper.soon()
            self._timers.start("resume_window", self._limits.resume_window_ms)

    def end(self, reason: str) -> None:
        """End the call: open consents are void, what runs finishes on its own."""
        self.feed(*self._queue.opened(), inputs.ClientGone(reason=reason))
        if self.client is not None:
            self.client.close(INTERNAL.code if reason == "failed" else NORMAL.code, reason)
        self._finish_if_settled()

    def _expire(self) -> None:
        """The session has lasted as long as it may."""
        if self.client is not None:
            expired = session_expired(self._limits.session_ms_max)
            self._flush(Out(client=[self.view.expired(expired)]))
            self._close_client(expired)
        self.end("session_expired")

    def _dismiss(self, ending: effects.EndCall) -> None:
        if ending.code:
            self._flush(Out(client=[self.view.events.error(ProtocolError(ending.code, ending.message))]))
            self._close_client(invalid_request(ending.code))
        self.end(ending.reason)

    def fence(self) -> None:
        """Another replica owns the session now: stop at once, without a word on any stream."""
        self._leave(FENCED)

    # Frames.

    def _client_event(self, frame: bytes) -> None:
        """One frame of the client. Never raises: what is wrong with it goes back as an error event."""
        if self.over:
            # Answered now, it would be in no record.
            return
        if not self._first_event_done:
            self._first_event_done = True
            self._retire_old_tokens()
        try:
            head = peek(frame)
            if head.type == APPEND:
                if (silence := self._caller.frame(head, frame)) is not None:
                    self._flush(silence)
                return
            out = Out()
            self.view.frame(frame, out)
        except MalformedFrameError as error:
            out = Out()
            out.client.append(self.view.events.error(error))
        self._flush(out)

    def _model_event(self, frame: bytes) -> None:
        """One frame of the model. What cannot be understood is passed over: the model is not ours."""
        out = Out()
        used: list[Input] = []
        try:
            head = peek(frame)
            # Most frames need only be passed on and counted; within a step they wait for their turn.
            audio = head.type == AUDIO_DELTA and not self._stepping
            if audio and self._agent.passes(head, frame, self.client):
                return
            if head.type in METERED:
                used = self._metering.read(head.type, frame)
            if head.type.startswith("response."):
                self.view.response_event(head, frame, out)
            elif not head.type.startswith("session."):
                self.view.model_event(head, frame, out)
        except (ProtocolError, KeyError, TypeError, ValueError, AttributeError):
            self._tracing.bad_model_frame()
        out.inputs += used
        self._flush(out)

    def feed(self, *events: Input) -> None:
        """Give inputs to the core; what they cause is carried out before the next one is taken."""
        self._queue.extend(events)
        if self._stepping or self.over or not self._queue.is_open:
            return
        self._caller.plain = False
        self._agent.stirred()
        self._stepping = True
        moved = False
        try:
            while self._queue and not self.over:
                event = self._queue.popleft()
                if isinstance(event, inputs.AudioSent):
                    self._caller.agent_sends()
                at = self._caller.at()
                wanted = step(self.state, event, at)
                self._recorder.step(event, at, wanted)
                if not wanted and isinstance(event, inputs.AudioSent):
                    # Most inputs are these; they are counted and move nothing.
                    continue
                moved = True
                self._caller.idling.follow(event, at.playback)
                self._turns.follow(self.state)
                with self._tracing.in_turn():
                    for effect in wanted:
                        self._perform(effect)
        finally:
            self._stepping = False
        if moved:
            self.keeper.stirred()
            self._turns.end_if_idle(self.state)

    # Effects.

    def _perform(self, effect: effects.Effect) -> None:
        match effect:
            case effects.Publish():
                self.keeper.publish(effect)
            case effects.StartTimer() | effects.StopTimer():
                self._timers.perform(effect)
            case effects.Persist():
                self.keeper.soon()
                self._finish_if_settled()
            case _ if isinstance(effect, TAKES_TIME):
                self._errands.spawn(self._performer.perform(effect))
            case effects.RequestReply():
                self._asking.reply(effect)
            case effects.RequestSpeech():
                self._flush(self._asking.speech(effect))
            case effects.PrepareModel() | effects.RotateModel():
                self._model.perform(effect)
            case effects.Reconfigure():
                self.pinned = msgspec.structs.replace(self.pinned, agent=self.state.agent)
                self._performer.pinned = self.pinned
                self._link.send(self._model_view.session_update(self.view.config))
            case _:
                self._perform_in_conversation(effect)

    def _perform_in_conversation(self, effect: effects.Effect) -> None:
        out, view = Out(), self.view
        match effect:
            case _ if isinstance(effect, effects.Showable):
                view.responses.show(effect, out)
            case (
                effects.CancelReply(reply_id=own_id, reason=reason)
                | effects.CancelSpeech(speech_id=own_id, reason=reason)
            ):
                self._asking.cancel(own_id, reason, out)
            case effects.PassSpeech() | effects.DropSpeech() | effects.PlayAgain():
                out = view.on_the_floor(effect)
            case effects.EndCall():
                self._dismiss(effect)
            case effects.TruncateItem() | effects.Note() | effects.Forget() | effects.ReturnResult():
                view.placing.told(effect, out)
            case effects.DeliverClientCall():
                view.responses.shown.client_call(effect.call_id, effect.tool, effect.arguments_json, out)
            case effects.RefuseReply():
                view.refuse(effect, out)
            case _:
                raise TypeError(f"no way to perform {type(effect).__name__}")
        self._flush(out)

    def _flush(self, out: Out) -> None:
        self.keeper.stirred()
        self._agent.stirred()
        if self.client is not None:
            for frame in out.client:
                self.client.send(frame)
        for frame in out.model:
            self._link.send(frame)
        if out.inputs:
            self.feed(*out.inputs)

    def _fired(self, name: str) -> None:
        if name == SESSION_LIMIT:
            self._expire()
        elif name != "resume_window":
            self.feed(inputs.TimerFired(name=name))
        elif self.client is None:
            self.end("client_lost")

    def _look_after(self) -> None:
        self._errands.spawn(self.keeper.run())
        self._errands.spawn(self._follow_late_facts())

    async def _follow_late_facts(self) -> None:
        with suppress(Unavailable):
            self._stop_following = await self._late_facts.follow(self.pinned, self.feed)

    def _is_heard(self) -> bool:
        return self.client is not None

    def _failed(self, error: Exception) -> None:
        self._tracing.failed(error)
        self.end("failed")

    def _retire_old_tokens(self) -> None:
        if len(self.keeper.token_hashes) > 1:
            del self.keeper.token_hashes[:-1]
            self.keeper.soon()

    def _close_client(self, close: Close | None) -> None:
        if self.client is not None and close is not None:
            self.client.close(close.code, close.reason)

    def _finish_if_settled(self) -> None:
        if self.state.ended and settled(self.state) and not self._leaving:
            self._leaving = True
            self._errands.spawn(self._last_write())

    async def _last_write(self) -> None:
        if await self.keeper.write_last(self._limits.journal_wait_ms):
            self._leave()

    def _stop(self) -> None:
        """Nothing moves here from now on."""
        self.over = True
        self._link.close()
        self._timers.stop_all()
        self._errands.stop()

    def _leave(self, close: Close | None = None) -> None:
        self._close_client(close)
        self._stop()
        if self._left:
            return
        self._left = True
        self.keeper.close(fenced=close is FENCED)
        if self._stop_following is not None:
            asyncio.ensure_future(self._stop_following())  # noqa: RUF006 - it outlives the call by a moment
        self._tracing.end_turn()
        self._recorder.close()
        self._on_over(self)
