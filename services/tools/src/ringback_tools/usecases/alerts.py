"""Owns the alerts of this replica about credentials: one per dependency, told when it opens and when it is over."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from ringback_tools.domain.alerts import AUTH, Alert, Burst, answered, refused
from ringback_tools.domain.catalogue import Tool
from ringback_tools.domain.results import Answer, Answered, ErrorCode
from ringback_tools.ports import Clock, Facts

__all__ = ["AuthAlerts"]

SUBJECTS_MAX: Final = 1_024


class AuthAlerts:
    """Watches the answers of attempts."""

    def __init__(self, *, facts: Facts, clock: Clock) -> None:
        self._facts = facts
        self._clock = clock
        self._bursts: OrderedDict[str, Burst] = OrderedDict()

    def saw(self, tool: Tool, answer: Answer) -> None:
        """Take note of how an attempt ended."""
        subject = tool.dependency or tool.name
        before = self._bursts.get(subject)
        if isinstance(answer, Answered):
            if before is None:
                return
            after = answered(before)
            del self._bursts[subject]
        elif answer.code is ErrorCode.AUTH:
            before = before or Burst()
            after = self._bursts[subject] = refused(before, now_ms=self._clock.now_ms())
            if len(self._bursts) > SUBJECTS_MAX:
                self._bursts.popitem(last=False)
        else:
            return
        if after.open != before.open:
            reason = f"{after.refused} calls in a row were refused" if after.open else ""
            self._facts.alert_changed(Alert(AUTH, subject, after.open, reason))
