"""`POST /v1/audio/speech`: a text said aloud by the local voice, in the shape of OpenAI's endpoint of that name."""

import io
import re
import wave
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec
from ringback_errors import RingbackError
from ringback_sockets import HttpAnswer, HttpRequest, error_answer

from ringback_localmodel.domain.audio import RATE, SAMPLE_BYTES
from ringback_localmodel.ports import Synthesiser
from ringback_localmodel.server.admission import Admission

__all__ = ["SPEECH_PATH", "SpeechHttp"]

SPEECH_PATH: Final = "/v1/audio/speech"
# Of OpenAI's reference of this endpoint.
CHARS_MAX: Final = 4_096
AT_ONCE_MAX: Final = 16
_PARAM: Final = re.compile(r"`\$\.(\w+)")


class _Named(msgspec.Struct):
    id: str


class _Wanted(msgspec.Struct):
    """`instructions` and what else is not here is taken and does nothing: the voice has one manner."""

    input: Annotated[str, msgspec.Meta(min_length=1, max_length=CHARS_MAX)]
    model: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    voice: str | _Named = ""
    response_format: str = "mp3"
    speed: float = 1.0
    stream_format: str = "audio"


class SpeechHttp:
    """Answers whole requests; nobody is served before ``open_for``."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._synthesiser: Synthesiser | None = None
        self._at_once = 0

    def open_for(self, synthesiser: Synthesiser) -> None:
        """Answer from now on."""
        self._synthesiser = synthesiser

    def close(self) -> None:
        """What is being answered is finished; nobody else is served."""
        self._synthesiser = None

    async def __call__(self, request: HttpRequest) -> HttpAnswer:
        """Total: what is wrong is said with a status and in the protocol's shape."""
        refused = self._refused(request)
        if refused is not None:
            return refused
        try:
            wanted = msgspec.json.decode(request.body, type=_Wanted)
        except msgspec.ValidationError as error:
            found = _PARAM.search(str(error))
            return _wrong(found[1] if found else None, str(error).split(" - at ")[0])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _wrong(None, "Expected a JSON object.")
        for param, given, known in _choices(wanted):
            if given not in known:
                return _wrong(param, f"Expected {' or '.join(map(str, known))}.")
        self._at_once += 1
        try:
            return await self._say(wanted)
        except RingbackError as error:
            # The threads have more to do than they may.
            return _busy(str(error))
        finally:
            self._at_once -= 1

    def _refused(self, request: HttpRequest) -> HttpAnswer | None:
        if request.path != SPEECH_PATH:
            message = f"Nothing is here; speech is at {SPEECH_PATH}."
            return error_answer(HTTPStatus.NOT_FOUND, code="not_found", message=message)
        if request.method != "POST":
            message = "Expected POST."
            return error_answer(HTTPStatus.METHOD_NOT_ALLOWED, code="method_not_allowed", message=message)
        if not self._admission.fits(request.key):
            message = "The key is missing or wrong."
            return error_answer(HTTPStatus.UNAUTHORIZED, code="invalid_api_key", message=message)
        if self._synthesiser is None:
            message = "Not ready to speak."
            return error_answer(
                HTTPStatus.SERVICE_UNAVAILABLE, code="not_ready", message=message, retry_after_s=1
            )
        return _busy(f"At most {AT_ONCE_MAX} requests at once.") if self._at_once >= AT_ONCE_MAX else None

    async def _say(self, wanted: _Wanted) -> HttpAnswer:
        assert self._synthesiser is not None, "refused before"
        voice = wanted.voice.id if isinstance(wanted.voice, _Named) else wanted.voice
        pcm = b"".join([piece async for piece in self._synthesiser.speak(wanted.input, voice=voice)])
        if wanted.response_format == "wav":
            return HttpAnswer(HTTPStatus.OK, _wave(pcm), {"Content-Type": "audio/wav"})
        return HttpAnswer(HTTPStatus.OK, pcm, {"Content-Type": "audio/pcm"})


def _choices(wanted: _Wanted) -> list[tuple[str, Any, tuple[Any, ...]]]:
    return [
        ("response_format", wanted.response_format, ("pcm", "wav")),
        ("speed", wanted.speed, (1.0,)),
        ("stream_format", wanted.stream_format, ("audio",)),
    ]


def _wrong(param: str | None, message: str) -> HttpAnswer:
    return error_answer(HTTPStatus.BAD_REQUEST, code="invalid_value", message=message, param=param)


def _busy(message: str) -> HttpAnswer:
    return error_answer(
        HTTPStatus.TOO_MANY_REQUESTS, code="too_many_requests", message=message, retry_after_s=1
    )


def _wave(pcm: bytes) -> bytes:
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(RATE)
        file.writeframes(pcm)
    return whole.getvalue()
