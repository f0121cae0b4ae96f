"""A model that never says a read-back as it is: the caller hears it by text to speech, and a yes counts once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ringback_testkit.running_stack import RunningStack
from ringback_testkit.scripted_model import Answer, ScriptedModel
from ringback_testkit.service_process import ServiceProcess
from ringback_testkit.typed_caller import TypedCaller

pytestmark = [pytest.mark.voice, pytest.mark.timeout(180)]

PATIENCE_S = 25.0
# Nobody else cancels it.
RESERVATION = "648193"
FRAME_MS = 100
SILENCE = base64.b64encode(bytes(48 * FRAME_MS)).decode()


class Mumbling(ScriptedModel):
    """Says anything but what a caller has to agree to."""

    mumbled = 0

    def answer_to(self, wanted: Mapping[str, Any]) -> Answer | None:
        if "go ahead?" in str(wanted.get("instructions")).lower():
            self.mumbled += 1
            return Answer("I will do something about some reservation. Shall I go ahead?")
        return super().answer_to(wanted)


def _session(running: RunningStack, model: ScriptedModel, folder: Path) -> ServiceProcess:
    """A replica beside that of the stack: its model mumbles, and text to speech is the stack's own."""
    at = running.stack.addresses
    settings = {
        "RINGBACK_INSTANCE": "session-mumbling",
        "RINGBACK_NATS_URL": at.nats_url,
        "RINGBACK_STATE_DIR": str(folder / "state"),
        "RINGBACK_POLICY_ADDR": at.policy,
        "RINGBACK_TOOLS_ADDR": at.tools,
        "RINGBACK_MEMORY_ADDR": at.memory,
        "RINGBACK_UPSTREAM_URL": model.url,
        "RINGBACK_SPEECH_URL": at.speech_url,
        "RINGBACK_SPEECH_MODEL": "ringback-local",
        "RINGBACK_SPEECH_TIMEOUT_MS": "25000",
        "RINGBACK_TENANTS_FILE": str(running.stack.paths.tenants),
    }
    return ServiceProcess.start("ringback_session", settings, folder=folder)


def _read_back(caller: TypedCaller) -> dict[str, Any] | None:
    """The whole response in which a yes is asked for."""
    for event in caller.events:
        if event["type"] == "response.done" and "go ahead?" in str(event["response"]["output"]).lower():
            response: dict[str, Any] = event["response"]
            return response
    return None


def _audio_of(caller: TypedCaller, item_id: str) -> bytes:
    deltas = (event for event in caller.events if event["type"] == "response.output_audio.delta")
    return b"".join(base64.b64decode(delta["delta"]) for delta in deltas if delta["item_id"] == item_id)


async def _refunds(running: RunningStack) -> int:
    ledger = await running.backend.ledger()
    return sum(line["reservation_id"] == RESERVATION for line in ledger)


async def test_the_caller_hears_the_read_back_by_text_to_speech_and_a_yes_has_it_done_once(
    running: RunningStack, tmp_path: Path
) -> None:
    async with Mumbling() as model:
        process = await asyncio.to_thread(_session, running, model, tmp_path)
        try:
            url = f"ws://127.0.0.1:{process.port}"
            async with TypedCaller(url, running.stack.api_key) as caller:
                caller.send(
                    {
                        "type": "session.update",
                        "session": {"type": "realtime", "output_modalities": ["audio"]},
                    }
                )
                model.script.append(Answer(calls=[("cancel_reservation", {"reservation_id": RESERVATION})]))
                caller.type(f"Please cancel reservation {RESERVATION}.")
                await caller.until(lambda: _read_back(caller) is not None, timeout_s=2 * PATIENCE_S)

                response = _read_back(caller)
                assert response is not None
                assert model.mumbled == 2, "it was asked twice, and nobody heard it"
                (item,) = response["output"]
                (part,) = item["content"]
                assert "refund one hundred sixty" in part["transcript"]
                audio_ms = len(_audio_of(caller, item["id"])) // 48
                assert audio_ms > 40 * len(part["transcript"]), "all of the words sound"
                assert "something about" not in str(caller.events)
                assert await _refunds(running) == 0

                # The caller's own samples are the clock of what they have heard.
                for _ in range(audio_ms // FRAME_MS + 2):
                    caller.send({"type": "input_audio_buffer.append", "audio": SILENCE})
                caller.type("Yes, please.")
                done = await running.fact(caller.session_id, "action_finished", timeout_s=PATIENCE_S)
                assert (done.action_finished.tool, done.action_finished.error_code) == (
                    "cancel_reservation",
                    "",
                )
                assert await _refunds(running) == 1
                # Published before what was done, by the same owner and in order.
                by_port = [
                    event.usage_reported
                    for event in running.facts(caller.session_id, "usage_reported")
                    if event.usage_reported.model == "ringback-local"
                ]
                assert [usage.audio_ms for usage in by_port] == [audio_ms]
                assert not caller.errors
        finally:
            await asyncio.to_thread(process.terminate)
