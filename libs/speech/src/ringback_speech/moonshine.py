"""Owns recognition by the Moonshine tiny-en model: greedy decoding with our own onnxruntime sessions."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ringback_audio import Samples, from_pcm16, resample
from ringback_errors import InvalidInput

from ringback_speech import models
from ringback_speech.ports import BYTES_PER_SAMPLE, SAMPLES_PER_SECOND, Token, Transcript

MODEL_RATE = 16_000
SECONDS_MAX = 120
SPEECH_MIN_MS = 200

_START, _END = 1, 2
_FIRST_TEXT_TOKEN = 3
_TOKENS_PER_SECOND = 6.5  # the model's authors' bound on how fast English is spoken
_PIECE_SECONDS_MAX = 24  # trained on pieces of up to 30 s; longer audio is cut where it is quietest
_QUIET_SEARCH_SECONDS = 8
_HEADS, _HEAD_SIZE = 8, 36
_LOOP_TOKENS_MAX = 24

# What the model says of silence, noise and hum (measured); believed only if it is sure.
_SILENCE_WORDS = frozenset({"you", "thank you", "thanks for watching", "bye", ""})
_SILENCE_CONFIDENCE = 0.7

_DRAFT_LEAD_MIN = 2.0

Given = dict[str, NDArray[Any]]


class MoonshineRecogniser:
    """Recognises English utterances; holds no state, so one serves every session and thread."""

    def __init__(self) -> None:
        self._encoder = models.network(models.MOONSHINE_ENCODER)
        self._decoder = models.network(models.MOONSHINE_DECODER)
        self._pieces = _vocabulary(models.find(models.MOONSHINE_TOKENS))
        self._numbers = {piece.decode("utf-8", "replace"): n for n, piece in enumerate(self._pieces)}
        self._past_names = [name for name in self._decoder.inputs if name.startswith("past_key_values.")]

    def transcribe(
        self, pcm: bytes, *, draft: Sequence[str] = (), abandoned: Callable[[], bool] = lambda: False
    ) -> Transcript:
        """The transcript of an utterance; empty for silence, noise and less than 200 ms of audio."""
        samples = len(pcm) // BYTES_PER_SAMPLE
        if samples > SECONDS_MAX * SAMPLES_PER_SECOND:
            raise InvalidInput(f"expected at most {SECONDS_MAX} s of audio", field="pcm")
        if samples < SPEECH_MIN_MS * SAMPLES_PER_SECOND // 1000:
            return Transcript("")
        audio = resample(from_pcm16(pcm[: samples * 2]), source=SAMPLES_PER_SECOND, target=MODEL_RATE)
        heard: list[tuple[int, float]] = []
        pieces = _cut(audio)
        drafted = self._drafted(draft) if len(pieces) == 1 else []
        for piece in pieces:
            tokens = self._decode(piece, draft=drafted, abandoned=abandoned)
            if not self._is_silence(tokens):
                heard += tokens
        return self._transcript(heard)

    def _decode(
        self, audio: Samples, *, draft: Sequence[int], abandoned: Callable[[], bool]
    ) -> list[tuple[int, float]]:
        """Token ids with their log probabilities, up to the end token, which is left out."""
        mask = np.ones((1, len(audio)), np.int64)
        (states,) = self._encoder.run({"input_values": audio[None, :], "attention_mask": mask})
        # The decoder thins the mask out from audio samples to the encoder's frames itself.
        fixed: Given = {"encoder_hidden_states": states, "encoder_attention_mask": mask}
        tokens_max = 2 + int(len(audio) / MODEL_RATE * _TOKENS_PER_SECOND)
        decoded, past = self._agreed(fixed, draft[:tokens_max]) if draft else ([], {})
        while len(decoded) < tokens_max and not abandoned():
            given = self._start() if not decoded else {**past, "input_ids": _ids([decoded[-1][0]])}
            outputs = self._decoder.run({**fixed, "use_cache_branch": np.array([bool(decoded)]), **given})
            last, logprob, _ = _likeliest(outputs[0][0, -1])
            if last == _END or _loops(decoded, last):
                break
            self._keep(past, outputs, first=not decoded)
            decoded.append((last, logprob))
        return decoded

    def _agreed(self, fixed: Given, draft: Sequence[int]) -> tuple[list[tuple[int, float]], Given]:
        """As much of the draft as the model clearly says itself, and the caches for going on after it.

        One pass judges all tokens of a draft and costs little more than a step of one token: this is the verification
        of speculative decoding (Leviathan et al. 2023), with an earlier transcript as the guess. The weights are
        quantised, which makes a pass over many tokens differ from single steps by up to about one in the logits
        (measured): only what leads by more is taken over.
        """
        start = self._start()
        outputs = self._decoder.run(
            {**fixed, **start, "input_ids": _ids([_START, *draft]), "use_cache_branch": np.array([False])}
        )
        agreed: list[tuple[int, float]] = []
        for drafted, logits in zip(draft, outputs[0][0], strict=False):
            said, logprob, lead = _likeliest(logits)
            if said != drafted or said == _END or lead < _DRAFT_LEAD_MIN:
                break
            agreed.append((said, logprob))
        past: Given = {}
        self._keep(past, outputs, first=True)
        # The last agreed token is given to the model once more, as in any step.
        kept = {
            name: value[:, :, : len(agreed)] if ".decoder." in name else value for name, value in past.items()
        }
        return agreed, kept

    def _start(self) -> Given:
        past: Given = {name: np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32) for name in self._past_names}
        return {"input_ids": _ids([_START]), **past}

    def _drafted(self, draft: Sequence[str]) -> list[int]:
        """The ids of a draft's tokens, as far as they are known; the first one's space was taken away."""
        numbers: list[int] = []
        for text in draft:
            spaced = None if numbers else self._numbers.get(f" {text}")
            number = self._numbers.get(text) if spaced is None else spaced
            if number is None:
                break
            numbers.append(number)
        return numbers

    def _keep(self, past: Given, outputs: list[NDArray[Any]], *, first: bool) -> None:
        """Keep the attention caches; those over the encoder's output are made in the first step alone."""
        for name, value in zip(self._decoder.outputs[1:], outputs[1:], strict=True):
            if first or ".decoder." in name:
                past[name.replace("present", "past_key_values")] = value

    def _is_silence(self, tokens: list[tuple[int, float]]) -> bool:
        transcript = self._transcript(tokens)
        words = transcript.text.strip(" .,!?♪♫").lower()
        return words in _SILENCE_WORDS and (not words or transcript.confidence < _SILENCE_CONFIDENCE)

    def _transcript(self, heard: list[tuple[int, float]]) -> Transcript:
        tokens: list[Token] = []
        for number, logprob in heard:
            if number < _FIRST_TEXT_TOKEN:
                continue
            data = self._pieces[number]
            if not tokens:
                data = data.lstrip(b" ")
            tokens.append(Token(data.decode("utf-8", "replace"), logprob, data))
        if not tokens:
            return Transcript("")
        text = b"".join(token.bytes for token in tokens).decode("utf-8", "replace")
        confidence = float(np.exp(np.mean([token.logprob for token in tokens])))
        return Transcript(text, tuple(tokens), confidence)


def _ids(tokens: Sequence[int]) -> NDArray[np.int64]:
    return np.array([tokens], np.int64)


def _likeliest(logits: NDArray[np.float32]) -> tuple[int, float, float]:
    """The likeliest token, its log probability, and by how much its logit leads."""
    best = int(logits.argmax())
    shifted = logits.astype(np.float64) - float(logits[best])
    lead = -float(np.partition(shifted, -2)[-2])
    return best, -float(np.log(np.exp(shifted).sum())), lead


def _loops(decoded: list[tuple[int, float]], last: int) -> bool:
    """Whether the end of the tokens has been one short phrase over and over, as greedy decoding does on noise."""
    tail = [token for token, _ in decoded[-_LOOP_TOKENS_MAX:]] + [last]
    if len(tail) <= _LOOP_TOKENS_MAX:
        return False
    return any(all(tail[n] == tail[n - period] for n in range(period, len(tail))) for period in (1, 2, 3, 4))


def _cut(audio: Samples) -> list[Samples]:
    """Pieces that the model takes, cut where the audio is quietest."""
    pieces: list[Samples] = []
    longest, search = _PIECE_SECONDS_MAX * MODEL_RATE, _QUIET_SEARCH_SECONDS * MODEL_RATE
    while len(audio) > longest:
        window = audio[longest - search : longest]
        blocks = window[: len(window) // 1600 * 1600].reshape(-1, 1600)
        at = longest - search + int((blocks**2).mean(axis=1).argmin()) * 1600 + 800
        pieces.append(audio[:at])
        audio = audio[at:]
    if len(audio) >= SPEECH_MIN_MS * MODEL_RATE // 1000:
        pieces.append(audio)
    return pieces


@lru_cache(maxsize=2)
def _vocabulary(path: Path) -> tuple[bytes, ...]:
    """The tokens of a tokenizer file: each a length (one byte, or two from 128 on) and its bytes.

    The format's word mark, U+2581, is given as a space.
    """
    data = path.read_bytes()
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        length, at = data[at], at + 1
        if length >= 128:
            length, at = length - 128 + data[at] * 128, at + 1
        pieces.append(data[at : at + length].replace("▁".encode(), b" "))
        at += length
    return tuple(pieces)
