"""The voices under test: the twins always, the models where their files are."""

import pytest
from ringback_speech import LocalVoice, load_voice, missing, tone_voice

REASON = missing()
MODELS = pytest.param(
    "models", marks=[pytest.mark.voice, pytest.mark.skipif(REASON is not None, reason=str(REASON))]
)


@pytest.fixture(scope="session")
def local_voice() -> LocalVoice:
    """The voice made of the models; skips where their files are absent."""
    if REASON is not None:
        pytest.skip(REASON)
    return load_voice()


@pytest.fixture(params=["tones", MODELS])
def voice(request: pytest.FixtureRequest) -> LocalVoice:
    """Each voice in turn."""
    return tone_voice() if request.param == "tones" else request.getfixturevalue("local_voice")
