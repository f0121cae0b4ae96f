"""Owns the model files: where they are, whether they are the right ones, and the sessions that run them."""

import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import InferenceSession, SessionOptions  # type: ignore[attr-defined]
from ringback_errors import ConfigError


class ModelFileError(ConfigError):
    """A speech model's file is missing or is not the one that was tested."""


@dataclass(frozen=True, slots=True)
class ModelFile:
    """One file inside an installed wheel; the package itself is never imported."""

    wheel: str
    package: str
    path: str
    sha256: str


SILERO = ModelFile(
    "silero-vad==6.2.3",
    "silero_vad",
    "data/silero_vad_16k_op15.onnx",
    "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
)
MOONSHINE_ENCODER = ModelFile(
    "moonshine-voice==0.0.73",
    "moonshine_voice",
    "assets/tiny-en/encoder_model.ort",
    "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
)
MOONSHINE_DECODER = ModelFile(
    "moonshine-voice==0.0.73",
    "moonshine_voice",
    "assets/tiny-en/decoder_model_merged.ort",
    "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
)
MOONSHINE_TOKENS = ModelFile(
    "moonshine-voice==0.0.73",
    "moonshine_voice",
    "assets/tiny-en/tokenizer.bin",
    "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
)
_REMEDY = "run `make setup`"

MODEL_FILES = (SILERO, MOONSHINE_ENCODER, MOONSHINE_DECODER, MOONSHINE_TOKENS)


def find(model: ModelFile) -> Path:
    """The path of a model's file, its content checked; raises ModelFileError."""
    spec = importlib.util.find_spec(model.package)
    folders = list(spec.submodule_search_locations or []) if spec else []
    for folder in folders:
        path = Path(folder) / model.path
        if path.is_file():
            return _checked(model, path)
    where = ", ".join(folders) or f"no package {model.package} is installed"
    raise ModelFileError(
        f"speech model {model.path} of {model.wheel} is missing (looked in: {where}); {_REMEDY}"
    )


def missing() -> str | None:
    """Why local speech cannot run, in one line, or None if all model files are there and right."""
    try:
        for model in MODEL_FILES:
            find(model)
    except ModelFileError as error:
        return str(error)
    return None


class Network:
    """A loaded model; running it changes nothing, so all sessions and threads share it."""

    def __init__(self, session: InferenceSession) -> None:
        self._session = session
        self.inputs = tuple(given.name for given in session.get_inputs())
        self.outputs = tuple(made.name for made in session.get_outputs())

    def run(self, given: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """The outputs, in the order of `outputs`."""
        return [np.asarray(made) for made in self._session.run(None, dict(given))]


@lru_cache(maxsize=8)
def network(model: ModelFile) -> Network:
    """The model, loaded once per process, run on the calling thread alone."""
    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return Network(InferenceSession(str(find(model)), options, providers=["CPUExecutionProvider"]))


@lru_cache(maxsize=16)
def _checked(model: ModelFile, path: Path) -> Path:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.sha256:
        raise ModelFileError(
            f"speech model {path} is not the one of {model.wheel}: "
            f"expected sha256 {model.sha256}, got {digest}; {_REMEDY}"
        )
    return path
