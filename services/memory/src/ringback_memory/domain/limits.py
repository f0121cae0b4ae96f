"""Owns every bound of a session's memory: what is kept, how many, how long.

Counts are entries, `_bytes` are UTF-8 bytes. Together they keep one stored record under 1 MiB, NATS's default
message limit, whatever a call brings.
"""

TAIL_EVENTS_MAX = 32
"""The reorder bound: how many newest events are kept apart, so that an older one can still be put in its
place.
"""
TAIL_BYTES_MAX = 160 * 1024
LATE_FACTS_MAX = 32
GAPS_MAX = 32

ID_BYTES_MAX = 160
NAME_BYTES_MAX = 128
LABEL_BYTES_MAX = 512

TURNS_MAX = 96
TURNS_BYTES_MAX = 64 * 1024
TURN_BYTES_MAX = 4_000
SPILLED_ITEMS_MAX = 512

SLOTS_MAX = 96
SLOT_VALUE_BYTES_MAX = 512
SUPERSEDED_MAX = 8
SUPERSEDED_VALUE_BYTES_MAX = 128
SLOTS_PER_SOURCE_MAX = 24

TASKS_MAX = 64
ACTIONS_MAX = 64
CALL_IDS_MAX = 8
ARGUMENTS_BYTES_MAX = 2_048
RESULT_BYTES_MAX = 2_048
RESULT_EVENT_BYTES_MAX = 16_384
"""A result longer than this is not read for slots."""
CONSENTS_MAX = 32
DECISIONS_MAX = 64
FACTS_MAX = 64
FACT_VALUE_BYTES_MAX = 1_024
CORRECTIONS_MAX = 16
PROMISES_MAX = 16
STATEMENTS_MAX = 8
ENTITIES_MAX = 48
ENTITY_NAME_BYTES_MAX = 96
INFERRED_TASKS_MAX = 16
CLOSED_ELSEWHERE_MAX = 32
HANDOFFS_MAX = 16

SUMMARY_LINES_MAX = 32
SUMMARY_LINE_BYTES_MAX = 240
SUMMARY_BYTES_MAX = 4_096

PACKET_BYTES_MAX = 32 * 1024

_CUT = "…"


def clip(text: str, bytes_max: int) -> str:
    """As many whole characters of `text` as fit into `bytes_max` UTF-8 bytes, an ellipsis if cut."""
    if len(text) * 4 <= bytes_max or (text.isascii() and len(text) <= bytes_max):
        return text
    raw = text[: bytes_max + 1].encode("utf-8", "replace")
    if len(raw) <= bytes_max:
        return raw.decode("utf-8")
    room = bytes_max - len(_CUT.encode())
    return raw[:room].decode("utf-8", "ignore") + _CUT


def clip_middle(text: str, bytes_max: int) -> str:
    """`text` with its middle left out when too long: an utterance's point is at its start or its end."""
    if len(text) * 4 <= bytes_max or (text.isascii() and len(text) <= bytes_max):
        return text
    if len(text) <= bytes_max and len(text.encode("utf-8", "replace")) <= bytes_max:
        return text.encode("utf-8", "replace").decode("utf-8")
    head, tail = bytes_max * 3 // 4, bytes_max // 4 - 64
    start = text[:head].encode("utf-8", "replace")[:head].decode("utf-8", "ignore")
    end = text[-tail:].encode("utf-8", "replace")[-tail:].decode("utf-8", "ignore")
    return f"{start} …[{len(text) - len(start) - len(end)} characters left out]… {end}"
