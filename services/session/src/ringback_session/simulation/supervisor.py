"""The text model that a supervisor thinks with: it looks up, or wants done, what it is asked about, and answers."""

from __future__ import annotations

from typing import Final

import msgspec

from ringback_session.domain.consultation import ConsultRules, TextCall
from ringback_session.domain.effects import AskText
from ringback_session.domain.inputs import TextAnswered
from ringback_session.simulation.process import Process
from ringback_session.simulation.weather import Weather

__all__ = ["CONSULT_RULES", "SupervisorOf"]

CONSULT_RULES: Final = ConsultRules(
    agent="supervisor",
    when="A question is hard.",
    say="I can't reach my supervisor now.",
    steps_max=3,
    deadline_ms=6_000,
)
_TOOLS: Final = {"about": "get_reservation", "cancel": "cancel_reservation", "note": "add_note"}
_TOKENS: Final = 9


class SupervisorOf:
    """Implements `ports.TextModel` for one process."""

    def __init__(self, weather: Weather, process: Process) -> None:
        self._weather = weather
        self._process = process

    async def answer(self, question: AskText) -> TextAnswered:
        await self._process.leaves()
        mode = self._weather.mode("supervisor")
        wait_ms = question.timeout_ms if mode == "slow" else self._weather.delay_ms("supervisor", 300)
        await self._weather.passes(min(wait_ms, question.timeout_ms))
        await self._process.passes()
        error = {"away": "unavailable", "slow": "deadline", "unusable": "unusable"}.get(mode, "")
        if not error and wait_ms > question.timeout_ms:
            error = "deadline"
        if error:
            return TextAnswered(consult_id=question.consult_id, number=question.number, error=error)
        return _said(question, loops=mode == "loops")

    async def close(self) -> None:
        """There is no connection."""


def _said(question: AskText, *, loops: bool) -> TextAnswered:
    answered = sum(message.role == "tool" for message in question.messages)
    done = bool(answered) and not loops
    asked = msgspec.json.decode(question.messages[1].text.partition("\n\n")[0])["question"]
    what, _, number = asked.partition(" ")
    call = TextCall(
        call_id=f"t{question.number}", name=_TOOLS[what], arguments_json=f'{{"reservation":"{number}"}}'
    )
    return TextAnswered(
        consult_id=question.consult_id,
        number=question.number,
        text="It is as you thought." if done else "",
        calls=() if done else (call,),
        input_tokens=_TOKENS,
        output_tokens=1,
        model="text",
    )
