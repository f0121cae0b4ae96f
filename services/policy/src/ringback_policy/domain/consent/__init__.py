"""The reading of a caller's answer to a read-back: local, deterministic, linear in its length."""

from ringback_policy.domain.consent.reader import ConsentAnswer, ConsentQuestion, read_consent

__all__ = ["ConsentAnswer", "ConsentQuestion", "read_consent"]
