"""Owns the choice of the text model: the one that the settings name, or none."""

from __future__ import annotations

from ringback_memory.ports import TextModel
from ringback_memory.settings import MemorySettings


def text_model(settings: MemorySettings) -> TextModel | None:
    """The model behind RINGBACK_SUMMARY_URL; None when there is none. Its client is loaded only then."""
    if not settings.summary_url:
        return None
    from ringback_memory.adapters.text_model import OpenAiTextModel

    return OpenAiTextModel(
        base_url=settings.summary_url, api_key=settings.summary_api_key, model=settings.summary_model
    )
