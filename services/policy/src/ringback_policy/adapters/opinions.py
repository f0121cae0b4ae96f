"""Owns the choice of the second opinion on consents: the text model that the settings name, or none."""

from collections.abc import Callable
from pathlib import Path

from ringback_errors import ConfigError

from ringback_policy.settings import PolicySettings
from ringback_policy.usecases.second_opinion import Reconsidering

__all__ = ["configured_opinion"]

KEY_BYTES_MAX = 16 * 1024


def configured_opinion(settings: PolicySettings, *, variable: Callable[[str], str]) -> Reconsidering | None:
    """None: every reading is the local one. Raises ConfigError for a key that cannot be read."""
    if not settings.opinion_url:
        return None
    key = variable(settings.opinion_key_variable) if settings.opinion_key_variable else ""
    if settings.opinion_key_file is not None:
        key = _key(settings.opinion_key_file)
    # The package takes a while to load, and most replicas have no use for it.
    from ringback_policy.adapters.opinion_openai import OpinionOverHttp

    opinion = OpinionOverHttp(base_url=settings.opinion_url, api_key=key, model=settings.opinion_model)
    return Reconsidering(opinion, timeout_ms=settings.opinion_timeout_ms)


def _key(path: Path) -> str:
    try:
        with path.open("rb") as opened:
            key = opened.read(KEY_BYTES_MAX + 1).decode("ascii").strip()
    except OSError as error:
        raise ConfigError(f"RINGBACK_OPINION_KEY_FILE: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        key = ""
    # It becomes part of an HTTP header.
    if not key.isprintable() or not 0 < len(key) <= KEY_BYTES_MAX or " " in key:
        raise ConfigError("RINGBACK_OPINION_KEY_FILE: expected one line of printable characters")
    return key
