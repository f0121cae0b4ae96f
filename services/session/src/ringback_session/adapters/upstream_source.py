"""The configured upstreams: one from the settings, or a file's list, read again when the file changes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from ringback_errors import ConfigError
from ringback_identity import FollowedFile

from ringback_session.adapters.upstream_spec import Upstream, read_upstreams, single_upstream
from ringback_session.settings import SessionSettings

__all__ = ["UpstreamSource", "configured_upstreams"]

log: Final = logging.getLogger(__name__)


def configured_upstreams(settings: SessionSettings) -> UpstreamSource:
    """The file's list, or the one upstream of the variables. Raises ConfigError."""
    if settings.upstreams_file is not None:
        return UpstreamSource(settings.upstreams_file)
    return UpstreamSource(
        single_upstream(
            settings.upstream_url,
            kind=settings.upstream_kind,
            model=settings.upstream_model,
            key_variable=settings.upstream_key_variable,
            key_file=settings.upstream_key_file,
        )
    )


class UpstreamSource:
    """What is configured now. Raises ConfigError only to begin with: later the list that there was is kept."""

    def __init__(self, configured: Path | Upstream) -> None:
        self._file: FollowedFile[tuple[Upstream, ...]] | None = None
        self._single: tuple[Upstream, ...] = ()
        if isinstance(configured, Path):
            self._file = FollowedFile(configured, read_upstreams, on_refused=_kept)
        else:
            self._single = (configured,)

    def current(self) -> tuple[Upstream, ...]:
        return self._file.content if self._file is not None else self._single


def _kept(error: ConfigError) -> None:
    # Half-written, perhaps.
    log.error("the upstreams that there were are kept: %s", error)
