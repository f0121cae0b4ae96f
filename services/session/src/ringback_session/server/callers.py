"""Who is calling, as the tenant's own server says it: the header `Ringback-Caller-Id`, beside an API key.

An API key is a server's credential, so its word on the caller is taken. A client secret is given to browsers: it
carries the caller that was named when it was made, and nothing that its holder says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from ringback_realtime import ProtocolError

from ringback_session.ports import Caller

__all__ = ["CALLER_HEADER", "called_by"]

CALLER_HEADER: Final = "Ringback-Caller-Id"
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
_EXPECTED: Final = "expected 1 to 128 letters, digits and '._:@+-', beginning with a letter or digit"


def called_by(caller: Caller, headers: Mapping[str, Any]) -> Caller:
    """`caller` with the long-term id of the person on the line, if one is named. Raises ProtocolError."""
    named = str(headers.get(CALLER_HEADER.lower(), "") or "").strip()
    if not named:
        return caller
    if not _FORM.fullmatch(named):
        raise ProtocolError("invalid_caller_id", f"{CALLER_HEADER}: {_EXPECTED}.", CALLER_HEADER)
    return msgspec.structs.replace(caller, caller_id=named)
