"""Owns the log: one JSON object a line on stderr, with trace ids, redacted by rule."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from opentelemetry import trace

from ringback_telemetry.redaction import MARK, looks_like_card, redact

LINE_CHARS_MAX: Final = 16_384
_SECRET_FIELDS: Final = frozenset(
    {
        "authorization",
        "api_key",
        "apikey",
        "resume_token",
        "client_secret",
        "password",
        "secret",
        "token",
        "mac",
    }
)
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_HANDLER_NAME: Final = "ringback"


def setup_logging(
    service: str, level: str = "info", *, instance: str = "", stream: TextIO | None = None
) -> None:
    """Send the process's log to stderr as JSON lines; calling it again replaces the first set-up.

    Fields given with ``extra={…}`` become keys of the line.
    """
    root = logging.getLogger()
    for handler in [found for found in root.handlers if found.get_name() == _HANDLER_NAME]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter(JsonFormatter(service, instance))
    root.addHandler(handler)
    root.setLevel(level.upper())


class JsonFormatter(logging.Formatter):
    """One record as one line of JSON."""

    def __init__(self, service: str, instance: str = "") -> None:
        super().__init__()
        self._fixed = {"service": service, **({"instance": instance} if instance else {})}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._fixed,
            "logger": record.name,
            "message": redact(record.getMessage()[:LINE_CHARS_MAX]),
        }
        found = trace.get_current_span().get_span_context()
        if found.is_valid:
            line["trace_id"] = f"{found.trace_id:032x}"
            line["span_id"] = f"{found.span_id:016x}"
        for name, value in vars(record).items():
            if name not in _OWN and name not in line:
                line[name] = _clean(name, value)
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = redact(self.formatException(record.exc_info)[-LINE_CHARS_MAX:])
        return json.dumps(line, ensure_ascii=False, default=_text)


def _clean(name: str, value: Any, depth: int = 0) -> Any:
    if name.lower() in _SECRET_FIELDS:
        return MARK
    match value:
        case None | bool() | float():
            return value
        case int():
            return MARK if looks_like_card(str(abs(value))) else value
        case str():
            return redact(value[:LINE_CHARS_MAX])
        case Mapping() if depth < 4:
            return {str(key): _clean(str(key), item, depth + 1) for key, item in list(value.items())[:64]}
        case list() | tuple() if depth < 4:
            return [_clean(name, item, depth + 1) for item in value[:64]]
    return _text(value)


def _text(value: Any) -> str:
    return redact(str(value)[:LINE_CHARS_MAX])
