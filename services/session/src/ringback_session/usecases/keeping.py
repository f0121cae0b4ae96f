"""The record of one call: journal and outbox, each write a compare-and-set."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import msgspec
from ringback_errors import Fenced, Unavailable

from ringback_session.domain.effects import Publish
from ringback_session.ports import Clock, Facts, Pinned, Record, Records
from ringback_session.usecases.trimming import Saved, fitting, outbox_part

__all__ = ["Keeper", "Saved", "load_saved", "save"]

log = logging.getLogger(__name__)

OUTBOX_MAX = 10_000
RETRY_MS = 250
GATHER_MS = 40
# A write that nobody waits for lets what is done for the caller go first, but not for longer.
GIVE_WAY_MS = 250
# A yes counts from when the record holds it: told before, it would also be told by an owner who is none any more. What
# a person is asked to do is told from then on, too: the next owner would ask for it once more under another number.
RECORDED_FIRST = frozenset({"consent_answered", "escalated_to_person", "task_opened"})
# How far the record may be behind a call in which something happens, and how long one of a call without goes unwritten.
BEHIND_MS_MAX = 5_000
UNWRITTEN_MS_MAX = 200_000


_decoder = msgspec.msgpack.Decoder(Saved)


def save(saved: Saved) -> bytes:
    """As it is written down: what would not fit into a record is left out, the oldest first."""
    data, left_out = fitting(saved)
    if left_out:
        log.warning("a session's record is full: it leaves out %s", left_out)
    return data


def load_saved(data: bytes) -> Saved:
    """Raises msgspec.ValidationError for what no version of ours wrote."""
    return _decoder.decode(data)


class Keeper:
    """Writes one session's record and publishes its facts, for as long as this replica owns it."""

    def __init__(
        self,
        *,
        record: Record,
        records: Records,
        facts: Facts,
        clock: Clock,
        pinned: Pinned,
        take_snapshot: Callable[[], bytes],
        on_fenced: Callable[[], None],
    ) -> None:
        self.record = record
        # What the next write says; a write under way replaces `record`, so they must not live there.
        self.ended = False
        self.token_hashes = list(record.token_hashes)
        self._records = records
        self._facts = facts
        self._clock = clock
        self._pinned = pinned
        self._take_snapshot = take_snapshot
        self._on_fenced = on_fenced
        self._outbox: dict[tuple[int, int], Publish] = {}
        # Of these, what waits for a write, and all that came after it.
        self._held: list[Publish] = []
        self._lock = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._stirred = asyncio.Event()
        self._pressing = 0
        self._calm = asyncio.Event()
        self._calm.set()
        self.fenced = False

    def publish(self, fact: Publish) -> None:
        """Put a fact in the outbox and on the bus; it leaves the outbox when the stream has it."""
        if len(self._outbox) < OUTBOX_MAX:
            self._outbox[fact.epoch, fact.seq] = fact
        if (self._held or fact.kind in RECORDED_FIRST) and len(self._held) < OUTBOX_MAX:
            self._held.append(fact)
            self.soon()
        else:
            self._tell(fact)

    def close(self, *, fenced: bool) -> None:
        """Nothing more is written from here: what waited for it is told now, unless another owner has the session."""
        if not (fenced or self.fenced):
            self._let_out(len(self._held))
        self.hurry()

    def hurry(self) -> None:
        """What was published must not wait for more to come."""
        self._facts.hurry(self._pinned.session_id)

    @contextmanager
    def pressing(self) -> Iterator[None]:
        """Something that the caller waits for is under way."""
        self._pressing += 1
        self._calm.clear()
        try:
            yield
        finally:
            self._pressing -= 1
            if not self._pressing:
                self._calm.set()

    async def give_way(self) -> None:
        """Before work that nobody waits for: what the caller waits for goes first, within a bound."""
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_WAY_MS / 1000):
                # One step of an action follows the other: woken between two of them it waits on.
                while self._pressing:
                    await self._calm.wait()

    def republish(self) -> None:
        """A new owner's first duty: what the owner before could not get acknowledged."""
        for fact in self.record.outbox:
            self._outbox[fact.epoch, fact.seq] = fact
            self._tell(fact)

    def soon(self) -> None:
        """Write when convenient; several requests become one write."""
        self._dirty.set()
        self._stirred.set()

    def stirred(self) -> None:
        """Something happened that need not be written at once."""
        self._stirred.set()

    async def create(self) -> None:
        """The first write, before anybody is told the token: it always leads back. Raises Unavailable, Conflict."""
        self.record = await self._records.create(self._as_it_stands())

    async def write(self) -> None:
        """Write now. Raises Unavailable; Fenced ends the ownership."""
        async with self._lock:
            if self.fenced:
                raise Fenced("another replica owns this session")
            # Whoever asked for a write before this one is served by it.
            self._dirty.clear()
            held = len(self._held)
            self._stirred.clear()
            try:
                self.record = await self._records.save(self._as_it_stands())
            except Fenced:
                self.fenced = True
                self._on_fenced()
                raise
            except BaseException:
                self.soon()
                raise
            self._let_out(held)

    async def write_or_retry(self) -> None:
        """Write now, and while the store is away leave it to `run` to keep trying. Nobody waits for it."""
        with suppress(Unavailable, Fenced):
            await self.write()

    async def write_within(self, wait_ms: int) -> bool:
        """Keep trying for so long. False when the store stayed away."""
        until_ms = self._clock.now_ms() + wait_ms
        while True:
            try:
                await self.write()
            except Unavailable:
                if self._clock.now_ms() >= until_ms:
                    return False
                await asyncio.sleep(RETRY_MS / 1000)
            else:
                return True

    async def write_last(self, wait_ms: int) -> bool:
        """Say that the call has ended. False when that is another owner's to say, who has fenced this one."""
        try:
            if self._held and not await self.write_within(wait_ms):
                # Nobody looks into an ended record again. As it is, whoever settles it tells what is in it.
                return True
            # All that is told leaves before the end is written, and reaches the bus before it.
            self.hurry()
            self.ended = True
            await self.write_within(wait_ms)
        except Fenced:
            return False
        return True

    async def run(self) -> None:
        """Write whenever asked to, and soon after anything happened; until cancelled or fenced."""
        while not self.fenced:
            if not await _set_within(self._stirred, UNWRITTEN_MS_MAX):
                self.soon()
            await _set_within(self._dirty, BEHIND_MS_MAX)
            if self._stirred.is_set():
                self._dirty.set()
            # Several reasons to write come together at a turn's end: one write serves them all.
            await asyncio.sleep(GATHER_MS / 1000)
            await self.give_way()
            if not self._dirty.is_set():
                # An action's journal has said it all meanwhile.
                continue
            try:
                await self.write()
            except Unavailable:
                await asyncio.sleep(RETRY_MS / 1000)
            except Fenced:
                return

    def _as_it_stands(self) -> Record:
        return msgspec.structs.replace(
            self.record,
            snapshot=self._take_snapshot(),
            outbox=outbox_part(self._outbox.values()),
            token_hashes=list(self.token_hashes),
            ended=self.ended,
        )

    def _let_out(self, count: int) -> None:
        told, self._held = self._held[:count], self._held[count:]
        for fact in told:
            self._tell(fact)

    def _tell(self, fact: Publish) -> None:
        key = (fact.epoch, fact.seq)
        self._facts.publish(fact, self._pinned, lambda: self._acknowledged(key))

    def _acknowledged(self, key: tuple[int, int]) -> None:
        self._outbox.pop(key, None)


async def _set_within(event: asyncio.Event, wait_ms: int) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_ms / 1000):
            await event.wait()
    return event.is_set()
