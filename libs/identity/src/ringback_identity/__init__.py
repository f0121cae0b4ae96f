"""Who names a thing: ids, canonical arguments, digests, proofs of a decision, tokens, key hashes.

Pure but for `MacKeys` and `read_secret`, which read files, and `FollowedFile`, by which such files are read. Forms
and rules are those of the design's page on identity.
"""

from ringback_identity.canonical import Canonical, canonical_arguments, canonical_json, digest
from ringback_identity.followed import FollowedFile
from ringback_identity.ids import action_id, derive_id, new_id
from ringback_identity.keys import hash_key, key_matches, new_api_key, new_client_secret
from ringback_identity.proofs import MacKeys, Proof
from ringback_identity.references import read_secret, sound_secret
from ringback_identity.tokens import ResumeToken

__all__ = [
    "Canonical",
    "FollowedFile",
    "MacKeys",
    "Proof",
    "ResumeToken",
    "action_id",
    "canonical_arguments",
    "canonical_json",
    "derive_id",
    "digest",
    "hash_key",
    "key_matches",
    "new_api_key",
    "new_client_secret",
    "new_id",
    "read_secret",
    "sound_secret",
]
