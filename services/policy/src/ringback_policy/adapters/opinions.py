"""Owns the choice of the second opinion on consents: the text model that the settings name, or none."""

from collections.abc import Callable
from functools import partial

from ringback_policy.adapters.opinion_key import KeyFile
from ringback_policy.settings import PolicySettings
from ringback_policy.usecases.second_opinion import Reconsidering

__all__ = ["configured_opinion"]


def configured_opinion(settings: PolicySettings, *, variable: Callable[[str], str]) -> Reconsidering | None:
    """None: every reading is the local one. Raises ConfigError for a key that cannot be read."""
    if not settings.opinion_url:
        return None
    key: Callable[[], str] = str
    if settings.opinion_key_file is not None:
        key = KeyFile(settings.opinion_key_file)
    elif settings.opinion_key_variable:
        key = partial(variable, settings.opinion_key_variable)
    # The package takes a while to load, and most replicas have no use for it.
    from ringback_policy.adapters.opinion_openai import OpinionOverHttp

    opinion = OpinionOverHttp(base_url=settings.opinion_url, api_key=key, model=settings.opinion_model)
    return Reconsidering(opinion, timeout_ms=settings.opinion_timeout_ms)
