"""Owns the resume token: the credential with which a caller gets its session back on any replica.

``rt_<tenant>.<26 base32 characters>``: 128 random bits; the tenant is part of the text that is hashed, so a
token of one tenant can not be used for another. Only the hash is stored; logs redact the token by its form.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import b32encode
from typing import Final

from ringback_errors import InvalidInput

_FORM: Final = re.compile(r"rt_(?P<tenant>[a-z0-9][a-z0-9-]{0,62})\.[a-z2-7]{26}")
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class ResumeToken:
    """Making and reading resume tokens; there are no instances, a token is text."""

    @staticmethod
    def new(*, tenant: str = "local") -> str:
        """A fresh token, bound to the tenant."""
        if not _SLUG.fullmatch(tenant):
            raise InvalidInput("expected a slug of at most 63 of a-z, 0-9 and '-'", field="tenant")
        return f"rt_{tenant}.{b32encode(secrets.token_bytes(16)).decode().lower()[:26]}"

    @staticmethod
    def hash_of(token: str) -> bytes:
        """What is stored instead of the token (32 bytes)."""
        return hashlib.sha256(b"ringback-resume-v1\0" + token.encode()).digest()

    @staticmethod
    def tenant_of(token: str) -> str | None:
        """The tenant a token claims, or None where the text is no resume token."""
        found = _FORM.fullmatch(token)
        return found["tenant"] if found else None
