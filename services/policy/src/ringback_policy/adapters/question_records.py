"""Recorded questions on the bus, where an operator asks for them: masked, and sent after the decisions."""

import asyncio
import logging
from collections import deque

from ringback.policy.v1 import audit_pb2
from ringback.policy.v1 import policy_pb2 as pb
from ringback_errors import InvalidInput, RingbackError
from ringback_events import Bus, decisions_subject
from ringback_identity import digest, new_id

from ringback_policy.wire_recorded import masked_question

__all__ = ["BATCH_MS", "HELD_MAX", "QuestionRecords"]

BATCH_MS = 250
HELD_MAX = 1_024
QUESTION_BYTES_MAX = 256 * 1024
MESSAGE_BYTES_MAX = 512 * 1024
_log = logging.getLogger("ringback.policy.records")


class QuestionRecords:
    """Keeps questions for a replay diff. What is too much is dropped: a recording must not hold up a decision."""

    def __init__(self, bus: Bus, *, on: bool) -> None:
        self.on = on
        self._bus = bus
        self._held: deque[tuple[str, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.dropped = 0

    def keep(self, pack: str, question: bytes) -> None:
        """Takes a question that was decided, as it travels and as the audit's digest is of it."""
        if not self.on:
            return
        if len(self._held) >= HELD_MAX or len(question) > QUESTION_BYTES_MAX:
            self.dropped += 1
            return
        self._held.append((pack, question))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_MS / 1000, self.deliver)

    def deliver(self) -> None:
        """Masks what waits and hands it to the bus, a message per tenant, pack and session."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batches: dict[str, audit_pb2.RecordedQuestions] = {}
        while self._held:
            pack, question = self._held.popleft()
            asked = pb.DecideRequest.FromString(question)
            try:
                subject = decisions_subject(asked.tenant, pack, asked.session.session_id)
            except InvalidInput:
                # What could not be found again for an erasure is not kept.
                self.dropped += 1
                continue
            batch = batches.setdefault(subject, audit_pb2.RecordedQuestions())
            batch.questions.append(masked_question(asked))
            batch.input_digests.append(digest(question))
            if batch.ByteSize() > MESSAGE_BYTES_MAX:
                self._send(subject, batches.pop(subject))
        for subject, batch in batches.items():
            self._send(subject, batch)

    async def close(self) -> None:
        """Hands over what waits."""
        self.deliver()

    def _send(self, subject: str, batch: audit_pb2.RecordedQuestions) -> None:
        try:
            self._bus.publish(subject, batch.SerializeToString(), msg_id=new_id("rec"))
        except RingbackError as error:
            self.dropped += len(batch.questions)
            _log.warning("%d questions were not recorded: %s", len(batch.questions), error)
