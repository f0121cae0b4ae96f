"""The output gate: what the model says is judged sentence by sentence and once at the end.

What passes is shown in order; what is refused is cut off and answered with the bundle's words; what holds something to
be taken out is said in our own words, without it. A bundle may let words flow while they are judged (`parallel`,
nothing held), hold them for a time (`parallel` with `hold_audio_ms`) or until they have passed (`blocking`).
"""

from __future__ import annotations

from ringback_session.domain import decisions, playback, speaking
from ringback_session.domain.effects import (
    CancelReply,
    Forget,
    LapseHold,
    MuteReply,
    Note,
    PassWords,
    StartTimer,
    StopTimer,
    TruncateItem,
)
from ringback_session.domain.guarded import HoldExceeded, SentenceMade, Verdict, WordsCheck, WordsHeld
from ringback_session.domain.inputs import Decided
from ringback_session.domain.redacting import redact
from ringback_session.domain.rules import Effect
from ringback_session.domain.state import TEXT_CHARS_MAX, CallState, HistoryItem, Reply, SpeechKind
from ringback_session.domain.step import SAMPLES_PER_MS, Step

__all__ = ["TIMER", "decided", "drop", "ended", "exceeded", "held", "lapsed", "sentence"]

# Undecided at once; a model that is so far ahead of policy is judged as if policy were away.
CHECKS_MAX = 64
TIMER = "held"


def sentence(step: Step, made: SentenceMade) -> None:
    """The model said something: ask whether it may be heard."""
    state = step.state
    reply = _live(state, made.reply_id)
    if reply is None and not made.out_of_band:
        return
    if reply is not None:
        reply.passed.setdefault(made.item_id, "")
    left_out = max(0, len(made.text) - TEXT_CHARS_MAX)
    check = WordsCheck(
        decision_id="",
        reply_id=made.reply_id,
        item_id=made.item_id,
        text=made.text[left_out:],
        ends_at=made.ends_at,
        since=max(0, made.since - left_out),
        final=made.final,
        out_of_band=made.out_of_band,
    )
    state.checks.append(check)
    if check.text.strip() and len(state.checks) <= CHECKS_MAX:
        subject = {"text": check.text, "final": check.final}
        blocking = state.rules.output_gate == "blocking"
        timeout_ms = state.rules.hold_audio_ms if blocking else 0
        check.decision_id = decisions.ask_about(step, "output", subject, timeout_ms=timeout_ms)
        return
    check.decision_id = state.new_id("dec_")
    reason = "too much waits for policy" if check.text.strip() else "audio without words"
    decided(step, Decided(decision_id=check.decision_id, rule="session.not_judged", reason=reason))


def decided(step: Step, decision: Decided) -> bool:
    """Policy's word on a sentence or a whole reply. Returns False when it is about something else."""
    state = step.state
    check = next((entry for entry in state.checks if entry.decision_id == decision.decision_id), None)
    if check is None or check.verdict is not None:
        return False
    known = decisions.declared(step, decision, "output")
    effect = known.effect or Effect.ALLOW
    if effect is not Effect.ALLOW or known.source != "policy" or known.redact or check.final:
        decisions.publish(step, known, "OUTPUT", effect)
    state.irreversible_forbidden = state.irreversible_forbidden or known.forbid_irreversible
    check.verdict = Verdict(
        effect=effect,
        say=known.say,
        rule=known.rule,
        reason=known.reason,
        escalate=known.escalate,
        redact=known.redact,
        words_max=known.words_max,
    )
    _settle(step)
    return True


def held(step: Step, event: WordsHeld) -> None:
    """Words began to wait: where the bundle says for how long they may, they wait no longer."""
    bound_ms = step.state.hold_ms
    if not event.waiting:
        step.effects.append(StopTimer(name=TIMER))
    elif bound_ms and step.state.rules.output_gate != "blocking" and _live(step.state, event.reply_id):
        step.effects.append(StartTimer(name=TIMER, delay_ms=bound_ms))


def lapsed(step: Step) -> None:
    """The hold's bound has passed: what waits is heard before policy has judged it. That is counted, once for each."""
    state = step.state
    reply = state.reply
    if reply is None or reply.cancelled or reply.early:
        return
    waiting = [check for check in state.checks if check.reply_id == reply.reply_id and check.verdict is None]
    fresh = [check for check in waiting if not check.lapsed]
    for check in fresh:
        check.lapsed = True
    for decision_id in [check.decision_id for check in fresh] or ([] if waiting else [state.new_id("dec_")]):
        late = Decided(
            decision_id=decision_id,
            rule="session.hold_audio_ms",
            reason="not judged in time",
            source="fallback",
        )
        decisions.publish(step, late, "OUTPUT", Effect.ALLOW)
    step.effects.append(LapseHold(reply_id=reply.reply_id))


def exceeded(step: Step, event: HoldExceeded) -> None:
    """More waits than we keep: a reply that cannot be judged is not heard."""
    reply = _live(step.state, event.reply_id)
    if reply is None:
        return
    decision = Decided(
        decision_id=step.state.new_id("dec_"),
        rule="session.hold_bytes_max",
        reason="too much of a reply waited to be judged",
        source="fallback",
    )
    decisions.publish(step, decision, "OUTPUT", Effect.DENY)
    _refuse(step, reply, step.state.rules.say_unavailable)


def ended(step: Step, reply: Reply) -> None:
    """A reply is over: what of it was not heard is taken back from the model, what is owed of it is said."""
    step.effects.append(StopTimer(name=TIMER))
    if reply.cancelled:
        drop(step, reply.reply_id)
    if reply.refused or reply.muted:
        _take_back(step, reply)
    if reply.muted and not reply.cancelled:
        speaking.speak(step, SpeechKind.NOTICE, reply.rest.strip())


def drop(step: Step, reply_id: str) -> None:
    """What policy still says of a reply does not matter any more."""
    step.state.checks = [check for check in step.state.checks if check.reply_id != reply_id]


def _live(state: CallState, reply_id: str) -> Reply | None:
    reply = state.reply
    return reply if reply is not None and reply.reply_id == reply_id and not reply.cancelled else None


def _settle(step: Step) -> None:
    """Act on what is decided: in order where words are held, so that nothing overtakes what still waits."""
    in_order = step.state.watching == "hold"
    blocked: set[str] = set()
    for check in list(step.state.checks):
        if check.verdict is None:
            blocked |= {check.reply_id} if in_order else set()
        elif check.reply_id not in blocked and check in step.state.checks:
            step.state.checks.remove(check)
            _act(step, check, check.verdict)


def _act(step: Step, check: WordsCheck, verdict: Verdict) -> None:
    reply = _live(step.state, check.reply_id)
    touched = any(end > check.since for _, end in verdict.redact)
    stops = verdict.effect is not Effect.ALLOW or bool(verdict.escalate)
    if check.out_of_band:
        _act_out_of_band(step, check, stops=stops or touched)
    elif not stops:
        if reply is not None:
            _let_pass(step, reply, check, verdict, touched=touched)
        speaking.tell(step, verdict.say)
    elif reply is not None:
        escalates = verdict.effect is Effect.ESCALATE or bool(verdict.escalate)
        _refuse(step, reply, "" if escalates else verdict.say or step.state.rules.say_unavailable)
    elif step.state.reply is None or step.state.reply.reply_id != check.reply_id:
        # It has been heard to its end: all that is left is to put it right.
        speaking.tell(step, verdict.say)
    if verdict.effect is Effect.ESCALATE or verdict.escalate:
        step.escalate(verdict.escalate or verdict.reason, rule=verdict.rule, say=verdict.say)


def _act_out_of_band(step: Step, check: WordsCheck, *, stops: bool) -> None:
    if stops:
        step.effects.append(CancelReply(reply_id=check.reply_id, reason="content_filter"))
        drop(step, check.reply_id)
    elif step.state.watching == "hold":
        step.effects.append(_passed(check))


def _let_pass(step: Step, reply: Reply, check: WordsCheck, verdict: Verdict, *, touched: bool) -> None:
    holds = step.state.watching == "hold"
    if touched and holds and not reply.muted:
        reply.muted = True
        step.effects.append(MuteReply(reply_id=reply.reply_id))
    if reply.muted:
        reply.rest += redact(check.text, verdict.redact, since=check.since)
    else:
        reply.passed[check.item_id] = reply.passed.get(check.item_id, "") + check.text[check.since :]
    if holds:
        step.effects.append(_passed(check))
    said = len(" ".join((*reply.passed.values(), reply.rest)).split())
    if verdict.words_max and said >= verdict.words_max and not check.final:
        _refuse(step, reply, "")


def _passed(check: WordsCheck) -> PassWords:
    return PassWords(reply_id=check.reply_id, item_id=check.item_id, upto=check.ends_at)


def _refuse(step: Step, reply: Reply, say: str) -> None:
    """Nothing more of this reply is heard; what has passed of it and is ours to say comes before the bundle's words."""
    reply.cancelled = True
    reply.refused = True
    step.effects.append(CancelReply(reply_id=reply.reply_id, reason="content_filter"))
    drop(step, reply.reply_id)
    speaking.tell(step, say, before=reply.rest.strip())


def _take_back(step: Step, reply: Reply) -> None:
    """Leave in the model's conversation only what was shown; items that never were, the view has reported."""
    state = step.state
    known = {entry.item_id for entry in state.history}
    for item_id, words in reply.passed.items():
        played = playback.item(state, item_id)
        if item_id in known or (played is not None and played.reported):
            continue
        if played is not None and played.samples:
            words = played.text or words
            step.effects.append(TruncateItem(item_id=item_id, audio_end_ms=played.samples // SAMPLES_PER_MS))
        elif words:
            # Text cannot be truncated: the item goes, and what was shown of it comes back.
            step.effects.append(Forget(item_ids=(item_id,)))
            item_id = state.new_id("item_")
            step.effects.append(Note(item_id=item_id, role="assistant", text=words))
        if words:
            state.remember(HistoryItem(item_id=item_id, kind="message", role="assistant", text=words))
            playback.finished(step, item_id, words)
