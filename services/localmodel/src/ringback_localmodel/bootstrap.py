"""Builds the process: the one place that names concrete adapters."""

import asyncio
import logging
import secrets
import signal
import time
from datetime import date
from pathlib import Path

from ringback_errors import ConfigError
from ringback_realtime import EventIds, ServerEvents, SessionConfig
from ringback_speech import InferencePool, LocalVoice, load_voice
from ringback_telemetry import setup, setup_logging

from ringback_localmodel.adapters.dialogue_brain import DialogueBrain
from ringback_localmodel.adapters.faults import FailingBrain
from ringback_localmodel.adapters.speech import Ears, Mouth, detectors
from ringback_localmodel.adapters.traces import Spans
from ringback_localmodel.ports import Brain
from ringback_localmodel.server.connection import Connection
from ringback_localmodel.server.realtime_server import RealtimeServer, SessionFactory
from ringback_localmodel.settings import LocalModelSettings
from ringback_localmodel.usecases.session import RealtimeSession

__all__ = ["serve", "session_factory"]

WAITING_PER_SESSION = 4
log = logging.getLogger(__name__)


async def serve(settings: LocalModelSettings, *, stop: asyncio.Event | None = None) -> None:
    """Listen, load the models, serve until stopped, drain. Raises ConfigError when it can not start."""
    setup_logging("localmodel", settings.log_level, instance=settings.instance)
    telemetry = setup("localmodel", endpoint=settings.otlp_endpoint, instance=settings.instance)
    stop = stop or _stop_on_signals()
    server = RealtimeServer(settings)
    port = await server.listen()
    waiting_max = settings.speech_threads + settings.sessions_max * WAITING_PER_SESSION
    pool = InferencePool(threads=settings.speech_threads, waiting_max=waiting_max)
    try:
        voice = await pool.run(load_voice)
        brain: Brain = DialogueBrain(today=date.today)
        if settings.failing_words:
            brain = FailingBrain(brain, failing_words=settings.failing_words)
        mouth = Mouth(voice, pool=pool, default=settings.voice)
        server.open_for(session_factory(settings, voice=voice, pool=pool, brain=brain), mouth=mouth)
        _announce(settings.ready_file, port)
        log.info("ready", extra={"host": settings.host, "port": port})
        await stop.wait()
    finally:
        await server.drain(drain_ms=settings.drain_ms)
        _withdraw(settings.ready_file)
        pool.close()
        await telemetry.close()


def session_factory(
    settings: LocalModelSettings, *, voice: LocalVoice, pool: InferencePool, brain: Brain
) -> SessionFactory:
    """A maker of sessions that share the models. Raises ConfigError for a voice that there is not."""
    mouth = Mouth(voice, pool=pool, default=settings.voice)
    if settings.voice is not None and settings.voice not in mouth.voices:
        raise ConfigError(f"RINGBACK_LOCALMODEL_VOICE: expected one of {', '.join(mouth.voices)}")
    ears, new_detector = Ears(voice, pool=pool), detectors(voice)
    count = 0

    def make(connection: Connection, model: str | None) -> tuple[RealtimeSession, ServerEvents]:
        nonlocal count
        count += 1
        seed = secrets.randbits(128) if settings.seed is None else f"{settings.seed}/{count}"
        ids = EventIds(seed)
        config = SessionConfig.defaults(
            id=ids.session(),
            model=model or settings.model,
            expires_at=int(time.time()) + settings.session_ms_max // 1000,
        )
        session = RealtimeSession(
            config=config,
            ids=ids,
            outbox=connection,
            brain=brain,
            recogniser=ears,
            synthesiser=mouth,
            detectors=new_detector,
            limits=settings.limits,
            traces=Spans(),
            failing_words=settings.failing_words,
        )
        return session, ServerEvents(ids)

    return make


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _announce(path: Path | None, port: int) -> None:
    """Write the port whole or not at all: whoever waits for the file reads it at once."""
    if path is not None:
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(f"{port}\n")
        draft.replace(path)


def _withdraw(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)
