"""What a session's record leaves out when it would not fit: the oldest first, in a stated order.

The client's items, the words of what was played, what ended actions returned, the history. The call itself keeps all
of it; who resumes it has less to build the conversation from. What decides (open actions, consents, tasks) is never
left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from ringback_session.domain.effects import Publish
from ringback_session.domain.state import CallState, Playback
from ringback_session.views.client import ClientSnapshot

__all__ = ["OUTBOX_BYTES_MAX", "SNAPSHOT_BYTES_MAX", "Saved", "fitting", "outbox_part"]

# Together with what surrounds them they fit into one value of the bucket `sessions` (960 KiB).
SNAPSHOT_BYTES_MAX: Final = 600 * 1024
OUTBOX_BYTES_MAX: Final = 300 * 1024
_encoder = msgspec.msgpack.Encoder()


class Saved(msgspec.Struct):
    """The snapshot in a record: the core's state and the client's view."""

    core: CallState
    client: ClientSnapshot


def fitting(saved: Saved, *, bytes_max: int = SNAPSHOT_BYTES_MAX) -> tuple[bytes, str]:
    """The snapshot, within the bound, and what was left out of it (empty: nothing).

    What cannot be made to fit is returned as small as it gets.
    """
    data, left_out = _encoder.encode(saved), ""
    for smaller, kept, what in _SMALLER:
        if len(data) <= bytes_max:
            break
        saved, left_out = smaller(saved, kept), what
        data = _encoder.encode(saved)
    return data, left_out


def outbox_part(outbox: Iterable[Publish], *, bytes_max: int = OUTBOX_BYTES_MAX) -> list[Publish]:
    """The newest facts that fit; those before them are on the bus, or in its spool, all the same."""
    kept: list[Publish] = []
    for fact in reversed(list(outbox)):
        bytes_max -= len(_encoder.encode(fact))
        if bytes_max < 0:
            break
        kept.append(fact)
    return kept[::-1]


def _with_items(saved: Saved, kept: int) -> Saved:
    items = saved.client.items
    return replace(saved, client=replace(saved.client, items=items[max(0, len(items) - kept) :]))


def _with_played_words(saved: Saved, kept: int) -> Saved:
    played = saved.core.playback.items
    bare = [replace(item, text="") for item in played[: max(0, len(played) - kept)]]
    playback = Playback(items=[*bare, *played[len(bare) :]], ends_at=saved.core.playback.ends_at)
    return replace(saved, core=replace(saved.core, playback=playback))


def _with_results(saved: Saved, kept: int) -> Saved:
    actions = saved.core.actions
    ended = [key for key, action in actions.items() if not action.open]
    bare = set(ended[: max(0, len(ended) - kept)])
    left = {
        key: replace(action, data_json="", message="") if key in bare else action
        for key, action in actions.items()
    }
    return replace(saved, core=replace(saved.core, actions=left))


def _with_history(saved: Saved, kept: int) -> Saved:
    history = saved.core.history
    newest = len(history) - kept
    left = [entry for at, entry in enumerate(history) if entry.at_head or at >= newest]
    return replace(saved, core=replace(saved.core, history=left))


# From what is missed least to what is missed most: how many of them stay.
_SMALLER: Final[tuple[tuple[Callable[[Saved, int], Saved], int, str], ...]] = (
    (_with_items, 100, "items of the client"),
    (_with_items, 20, "items of the client"),
    (_with_items, 0, "items of the client"),
    (_with_played_words, 2, "words of what was played"),
    (_with_results, 8, "results of ended actions"),
    (_with_results, 0, "results of ended actions"),
    (_with_history, 60, "turns of the conversation"),
    (_with_history, 20, "turns of the conversation"),
    (_with_history, 6, "turns of the conversation"),
)
