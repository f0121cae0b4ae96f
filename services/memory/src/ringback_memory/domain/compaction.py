"""Owns the choice of what leaves the model's conversation, and when.

Cuts are large and rare: nothing happens until the conversation passes `above_tokens`, then it is brought
under `keep_below_tokens` at once, because every cut costs the provider's prefix cache. A cut never takes
the newest turns, an open call, a read-back that waits for its answer, or the turn that an open task rests
on. These exceptions are skipped one by one, so nothing that stays open for long can block the rest.
"""

from __future__ import annotations

import msgspec

from ringback_memory.domain.context import Count
from ringback_memory.domain.events import Position
from ringback_memory.domain.state import Action, State, Turn, open_tasks, pending_consents

CALLER_AUDIO_MS_PER_TOKEN = 100
AGENT_AUDIO_MS_PER_TOKEN = 50
"""OpenAI, "Managing costs" of the Realtime guide: input audio counts a token per 100 ms, output audio one
per 50 ms.
"""

BYTES_PER_TOKEN = 4
"""Rough size of a token in arguments and results, whose full text is not kept."""
PINNED_MAX = 8


class Rules(msgspec.Struct, frozen=True):
    """When to cut (`above_tokens`), to what (`keep_below_tokens`), and how many newest turns always stay."""

    above_tokens: int = 1_600
    keep_below_tokens: int = 480
    keep_turns: int = 4


class Cut(msgspec.Struct, frozen=True):
    """What would leave the conversation: exact items and calls; `turns` are the ones whose words are at
    hand.
    """

    epoch: int
    covers: Position
    item_ids: tuple[str, ...]
    call_ids: tuple[str, ...]
    turns: tuple[Turn, ...]


def measure(state: State, *, count: Count) -> int:
    """Tokens that the model's conversation holds of this call, as the provider counts them."""
    turns = sum(turn_tokens(turn, count=count) for turn in state.turns)
    return turns + sum(_call_tokens(action) for action in state.actions.values())


def turn_tokens(turn: Turn, *, count: Count) -> int:
    """Audio where there was some, else text."""
    if turn.audio_ms:
        per_token = CALLER_AUDIO_MS_PER_TOKEN if turn.speaker == "caller" else AGENT_AUDIO_MS_PER_TOKEN
        return -(-turn.audio_ms // per_token)
    return count(turn.text)


def choose_cut(state: State, *, rules: Rules, count: Count) -> Cut | None:
    """The cut that is due, or None."""
    held = measure(state, count=count)
    if held <= rules.above_tokens and not state.spilled_item_ids:
        return None
    protected = _protected_items(state)
    old = state.turns[: -rules.keep_turns] if rules.keep_turns else state.turns
    gone: list[Turn] = []
    calls: list[Action] = []
    finished = sorted((a for a in state.actions.values() if a.call_ids and not a.is_open), key=_position)
    for turn in old:
        if held <= rules.keep_below_tokens:
            break
        if not turn.item_id or turn.item_id in protected:
            continue
        gone.append(turn)
        held -= turn_tokens(turn, count=count)
        while finished and finished[0].position <= turn.position:
            held -= _call_tokens(finished[0])
            calls.append(finished.pop(0))
    if not gone and not state.spilled_item_ids:
        return None
    covers = max((turn.position for turn in gone), default=state.summary.through)
    return Cut(
        epoch=state.summary_epoch + 1,
        covers=covers,
        item_ids=(*state.spilled_item_ids, *(turn.item_id for turn in gone)),
        call_ids=tuple(one for action in calls for one in action.call_ids),
        turns=tuple(gone),
    )


def _protected_items(state: State) -> frozenset[str]:
    resting_on = [task.item_id for task in open_tasks(state) if task.item_id][-PINNED_MAX:]
    since = min((consent.position for consent in pending_consents(state)), default=None)
    read_backs = [
        turn.item_id for turn in state.turns if since and turn.position >= since and turn.kind == "read_back"
    ]
    return frozenset((*resting_on, *read_backs[-PINNED_MAX:], *_unanswered(state)))


def _unanswered(state: State) -> list[str]:
    """Questions that nobody has answered yet: the other side has not spoken since."""
    answered: set[str] = set()
    waiting: list[str] = []
    for turn in reversed(state.turns):
        other = "agent" if turn.speaker == "caller" else "caller"
        if turn.asks and turn.item_id and other not in answered:
            waiting.append(turn.item_id)
        if turn.kind != "filler" and turn.text:
            answered.add(turn.speaker)
    return waiting[:PINNED_MAX]


def still_exact(cut: Cut, state: State, *, generation: int) -> bool:
    """Whether a cut that was chosen earlier can still be carried out to the letter."""
    if cut.epoch != state.summary_epoch + 1 or generation != state.generation:
        return False
    here = {turn.item_id for turn in state.turns} | set(state.spilled_item_ids)
    calls = {one for action in state.actions.values() if not action.is_open for one in action.call_ids}
    return (
        here.issuperset(cut.item_ids)
        and calls.issuperset(cut.call_ids)
        and _protected_items(state).isdisjoint(cut.item_ids)
    )


def _call_tokens(action: Action) -> int:
    return -(-action.model_bytes // BYTES_PER_TOKEN) if action.call_ids else 0


def _position(action: Action) -> Position:
    return action.position
