"""The text model that the settings name, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ringback_calling import BreakerState

from ringback_session.settings import SessionSettings

if TYPE_CHECKING:
    from ringback_session.adapters.text_openai import TextModelOverHttp

__all__ = ["configured_text"]


def configured_text(
    settings: SessionSettings,
    *,
    variable: Callable[[str], str],
    on_breaker: Callable[[BreakerState, int], None],
) -> TextModelOverHttp | None:
    """None: no supervisor can be consulted."""
    if not settings.supervisor_url:
        return None
    # The package takes a while to load, and most replicas have no use for it.
    from ringback_session.adapters.text_openai import TextModelOverHttp

    key = variable(settings.supervisor_key_variable) if settings.supervisor_key_variable else ""
    return TextModelOverHttp(
        base_url=settings.supervisor_url,
        api_key=key,
        model=settings.supervisor_model,
        on_breaker=on_breaker,
    )
