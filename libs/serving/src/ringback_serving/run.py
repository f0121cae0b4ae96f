"""Owns the process: the event loop, the collector of garbage, and the exit code."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, NoReturn

import uvloop
from ringback_errors import ConfigError

EXIT_CONFIG: Final = 2
EXIT_INTERRUPTED: Final = 130
# The event loop shares the interpreter with the exporters' threads; Python's own 5 ms would show in every call
# that meets an export.
_SWITCH_INTERVAL_S: Final = 0.001
# A call makes some hundred objects and leaves none behind; Python's own 700 would look at the young ones with every
# second call, and at all of them every few hundred. What a long call leaves has grown old by then and waits for the
# look at all: one in 50 of the first kind, so that what has ended does not pile up.
_COLLECT_EVERY: Final = (10_000, 10, 5)


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> NoReturn:
    """Run a service's main under uvloop and exit: 0, or 2 with one line on stderr for a ConfigError."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_COLLECT_EVERY)
    try:
        uvloop.run(main())
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except ConfigError as error:
        _refuse(error)
    except ExceptionGroup as group:
        found = _config_error(group)
        if found is None:
            raise
        _refuse(found)
    sys.exit(0)


def settle() -> None:
    """Call once what stays has been loaded: the collector no longer looks at it, which takes milliseconds each time."""
    gc.collect()
    gc.freeze()


def _refuse(error: ConfigError) -> NoReturn:
    print(f"cannot start: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(EXIT_CONFIG)


def _config_error(group: ExceptionGroup[Exception]) -> ConfigError | None:
    matching = group.subgroup(ConfigError)
    while matching is not None:
        first = matching.exceptions[0]
        if isinstance(first, ConfigError):
            return first
        matching = first if isinstance(first, ExceptionGroup) else None
    return None
