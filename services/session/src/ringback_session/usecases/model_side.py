"""A call's model, whichever connection it is reached by: lost and found again, prepared, replaced, given up.

What the client still sees as open ends before it; the core is told of every change; the conversation is rebuilt from
memory's context and the core's own history.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ringback_errors import Unavailable
from ringback_realtime import Close, ProtocolError

from ringback_session.domain import effects, inputs
from ringback_session.domain.effects import FetchPacket
from ringback_session.domain.model_problem import ModelProblem
from ringback_session.ports import Memory, Models, Pinned, Remembered
from ringback_session.usecases.feeding import Feed
from ringback_session.usecases.model_link import ModelLink
from ringback_session.views.client import ClientView
from ringback_session.views.model import ModelView
from ringback_session.views.out import Out

__all__ = ["MODEL_UNAVAILABLE", "ModelSide", "RecentContext"]

MODEL_UNAVAILABLE = Close(1013, "model_unavailable: the realtime model cannot be reached.")


class RecentContext:
    """Memory, and what it last told: a rotation at a turn's end need not ask again. Implements `ports.Memory`."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.text = ""

    async def packet(self, question: FetchPacket, pinned: Pinned) -> str | None:
        return await self._memory.packet(question, pinned)

    async def context(self, pinned: Pinned, *, min_epoch: int, min_seq: int) -> Remembered | None:
        known = await self._memory.context(pinned, min_epoch=min_epoch, min_seq=min_seq)
        if known is not None:
            self.text = known.text
        return known

    async def recall(self, pinned: Pinned, *, min_epoch: int, min_seq: int, budget_tokens: int) -> str | None:
        return await self._memory.recall(
            pinned, min_epoch=min_epoch, min_seq=min_seq, budget_tokens=budget_tokens
        )


class ModelSide:
    """Keeps one call connected to a model."""

    def __init__(
        self,
        *,
        models: Models,
        view: ClientView,
        model_view: ModelView,
        memory: RecentContext,
        pinned: Pinned,
        on_frame: Callable[[bytes], None],
        flush: Callable[[Out], None],
        feed: Feed,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        give_up: Callable[[Close], None],
    ) -> None:
        self._view = view
        self._model_view = model_view
        self._memory = memory
        self._pinned = pinned
        self._flush = flush
        self._feed = feed
        self._spawn = spawn
        self._give_up = give_up
        self.link = ModelLink(
            models=models,
            model=lambda: view.config.model,
            opening=self._opening,
            on_frame=on_frame,
            on_lost=self._lost,
        )

    async def connect(self, context: str) -> None:
        """The first connection of this owner. Raises Unavailable."""
        self._memory.text = context
        await self.link.connect(context)

    def connected(self) -> inputs.ModelConnected:
        """What the core is to know of the connection that serves."""
        term = self.link.term
        return inputs.ModelConnected(rotate_in_ms=term.rotate_in_ms, last_in_ms=term.last_in_ms)

    def perform(self, effect: effects.PrepareModel | effects.RotateModel) -> None:
        if isinstance(effect, effects.PrepareModel):
            self._spawn(self._prepare())
        else:
            self._rotate(cut=effect.cut)

    async def _prepare(self) -> None:
        self._feed(inputs.ModelPrepared(ready=await self.link.prepare()))

    def _rotate(self, *, cut: bool) -> None:
        if cut:
            self._end_what_is_open()
        if self.link.rotate(self._memory.text):
            self._feed(self.connected())
        else:
            self._spawn(self._reconnect())

    def _lost(self, reason: str) -> None:
        self._spawn(self._reconnect())
        self._end_what_is_open()
        self._feed(inputs.ModelLost(reason=reason))

    async def _reconnect(self) -> None:
        # Memory is asked while the model is dialled; it has its own time limit.
        asked = asyncio.ensure_future(self._ask_memory())
        try:
            await self.link.reconnect(lambda: asyncio.shield(asked))
        except Unavailable as error:
            out = Out()
            self._tell(error, out)
            self._flush(out)
            self._give_up(MODEL_UNAVAILABLE)
        else:
            self._feed(self.connected())
        finally:
            asked.cancel()

    async def _ask_memory(self) -> str:
        await self._memory.context(self._pinned, min_epoch=self._pinned.epoch, min_seq=0)
        return self._memory.text

    def _opening(self, context: str) -> list[bytes]:
        again = self._view.responses.asked_again()
        self._view.placing.rebuilt()
        return [
            self._model_view.session_update(self._view.config),
            *self._model_view.rebuild(context),
            *again,
        ]

    def _end_what_is_open(self) -> None:
        out = Out()
        self._view.responses.lost(out)
        self._flush(out)

    def _tell(self, error: Unavailable, out: Out) -> None:
        code = error.problem if isinstance(error, ModelProblem) else "model_unavailable"
        told = ProtocolError(code, f"The realtime model is lost: {error}.", kind="server_error")
        out.client.append(self._view.events.error(told))
