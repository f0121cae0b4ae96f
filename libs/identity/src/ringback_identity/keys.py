"""Owns the form of the clients' credentials and of what is stored instead of them.

API keys (``rb_…``) and client secrets (``ek_…``) carry 160 random bits, so a plain SHA-256 is enough: there
is nothing to guess that a slow hash would protect.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import b32encode

from ringback_identity.canonical import digest


def new_api_key() -> str:
    """A fresh API key; show it once, store `hash_key` of it."""
    return "rb_" + _secret()


def new_client_secret() -> str:
    """A fresh short-lived client secret."""
    return "ek_" + _secret()


def hash_key(api_key: str) -> str:
    """The form in which ``tenants.yaml`` holds a key: ``sha256:<hex>``."""
    return digest(api_key)


def key_matches(api_key: str, hashed: str) -> bool:
    """Whether a key is the one behind this hash, in constant time."""
    return hmac.compare_digest(hash_key(api_key).encode(), hashed.encode())


def _secret() -> str:
    return b32encode(secrets.token_bytes(20)).decode().lower()
