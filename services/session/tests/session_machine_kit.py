"""The world around the core for random interleavings: it watches each effect, and knows how to answer."""

import json

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.conversation import step
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import Effect, SideEffect
from ringback_session.domain.state import restore, snapshot
from session_core_kit import PROOF, READ_BACK, START_MS, read_back

__all__ = ["Watched"]

ONCE_MORE = "This was already done in this call. Once more:"
ASKING = (fx.AskPolicy, fx.ReadConsent, fx.FetchFact, fx.Execute, fx.Journal, fx.FetchPacket)


class Watched:
    """A call whose every effect is checked against what came before it."""

    def watch(self, state):
        self.state = state
        self.now_ms = START_MS
        self.count = 0
        self.seq = 0
        self.epoch = 1
        self.asked = []
        self.requested = []
        self.timers = {}
        self.journalled = {}
        self.consented = {}
        self.executed = {}
        self.results = {}
        self.resumed_since = set()

    # One step, and everything that must hold of it.

    def give(self, event):
        before = snapshot(self.state)
        at = At(now_ms=self.now_ms, samples=(self.now_ms - START_MS) * 24)
        effects = step(self.state, event, at)
        after = snapshot(self.state)
        again = restore(before)
        assert step(again, event, at) == effects, "the same snapshot and input: the same effects"
        assert snapshot(again) == after
        if fx.RotateModel(cut=False) in effects:
            assert not self.state.caller_speaking
            assert not self.state.open_actions(), "never inside a call"
        for effect in effects:
            self.look_at(effect, event)

    def look_at(self, effect, event):
        match effect:
            case fx.Publish():
                if effect.epoch != self.epoch:
                    self.epoch, self.seq = effect.epoch, 0
                self.seq += 1
                assert effect.seq == self.seq
                if effect.kind == "consent_answered" and effect.body["reading"] == "yes":
                    self.consented[effect.body["consent_id"]] = effect.body["action_id"]
            case fx.StartTimer():
                self.timers[effect.name] = self.now_ms + effect.delay_ms
            case fx.StopTimer():
                self.timers.pop(effect.name, None)
            case fx.ReturnResult():
                assert effect.call_id not in self.results, "a call is answered once"
                self.results[effect.call_id] = json.loads(effect.output_json)
            case fx.Execute() | fx.DeliverClientCall():
                self.may_execute(effect)
            case fx.RequestReply() | fx.RequestSpeech() | fx.SpeakByPort():
                self.requested.append(effect)
            case _:
                pass
        if isinstance(effect, ASKING):
            self.asked.append(effect)
            del self.asked[:-40]

    def may_execute(self, effect):
        if isinstance(effect, fx.DeliverClientCall):
            called = (a for a in self.state.actions.values() if effect.call_id in a.call_ids)
            self.may_happen(next(called))
            return
        if effect.side_effect is SideEffect.READ:
            return
        action = self.state.actions[effect.action_id]
        if effect.attach_only:
            assert effect.action_id in self.resumed_since, "attached to only by a new owner"
            return
        assert effect.action_id in self.journalled, "no side effect before the journal"
        self.may_happen(action)
        if effect.side_effect is SideEffect.IRREVERSIBLE and action.consent_id:
            consent = self.state.consents[action.consent_id]
            assert consent.arguments_digest == action.arguments_digest
            assert self.consented.get(consent.consent_id) == effect.action_id, "only after a yes to this"
        runs = self.executed.get(effect.action_id, 0)
        assert runs == 0 or effect.action_id in self.resumed_since, "executed once"
        self.executed[effect.action_id] = runs + 1
        self.resumed_since.discard(effect.action_id)

    def may_happen(self, action):
        """Once; again only on a yes of its own to words that said so, whatever policy answers."""
        like_it = (action.tool, action.arguments_digest)
        for other in self.state.actions.values():
            if other is not action and (other.tool, other.arguments_digest) == like_it:
                assert not other.open, "one at a time"
                assert other.status != "unknown", "what may have happened is not done again"
                if other.status == "ok":
                    consent = self.state.consents[action.consent_id]
                    assert self.consented.get(consent.consent_id) == action.action_id
                    assert consent.read_back.startswith(ONCE_MORE)

    def fresh(self, kind):
        self.count += 1
        return f"{kind}_{self.count}"

    # What the others do.

    def model_finishes(self, wanted, *, heard):
        own_id = wanted.reply_id if isinstance(wanted, fx.RequestReply) else wanted.speech_id
        item_id, samples = f"item_of_{own_id}", 24_000
        if isinstance(wanted, fx.RequestReply):
            self.give(ev.AudioSent(item_id=item_id, samples=samples, text="Well."))
            self.give(ev.ReplyText(reply_id=own_id, item_id=item_id, text="Well then."))
            self.give(ev.ReplyEnded(reply_id=own_id, status="completed"))
        else:
            self.give(ev.SpeechText(speech_id=own_id, transcript=wanted.text, item_id=item_id))
            self.give(ev.AudioSent(item_id=item_id, samples=samples, text=wanted.text, in_model=False))
            self.give(ev.SpeechEnded(speech_id=own_id, status="completed"))
        self.now_ms += 2_000 if heard else 0

    def answer(self, asked, *, effect, reading, status, good, keep):
        if not keep:
            self.asked = [other for other in self.asked if other is not asked]
        match asked:
            case fx.AskPolicy():
                self.policy_answers(asked, effect, good)
            case fx.ReadConsent():
                self.give(ev.ConsentRead(consent_id=asked.consent_id, reading=reading, item_id=asked.item_id))
            case fx.FetchFact():
                self.fact_is_fetched(asked, good, callback=status != "ok")
            case fx.Journal() if good:
                self.journalled[asked.action_id] = True
                self.give(ev.Journalled(action_id=asked.action_id))
            case fx.Journal():
                self.give(ev.JournalFailed(action_id=asked.action_id, reason="journal_unavailable"))
            case fx.Execute():
                self.action_ends(asked, status, good)
            case fx.FetchPacket():
                self.give(ev.PacketReady(packet_json="{}"))

    def fact_is_fetched(self, asked, good, *, callback):
        self.give(
            ev.FactFetched(
                action_id=asked.action_id,
                name=asked.name,
                tool=asked.tool,
                arguments_json=asked.arguments_json,
                value_json="1" if good else "",
                unavailable=not good,
                fallback="callback" if callback else "none",
            )
        )

    def action_ends(self, asked, status, good):
        # Tools know nothing of it: an answer to attaching alone.
        code = "not_started" if status == "not_started" and asked.attach_only else ""
        status = "failed" if status == "not_started" else status
        self.give(
            ev.ActionResult(
                action_id=asked.action_id,
                status=status,
                error_code=code,
                data_json="{}" if good else "",
                fallback="none" if good else "callback",
            )
        )

    @staticmethod
    def repeats(asked):
        subject = asked.subject
        return any(
            (past["tool"], past["arguments_json"], past["status"])
            == (subject["tool"], subject["arguments_json"], "ok")
            for past in asked.view["actions"]
        )

    def words_for(self, asked):
        """A read-back; of what is repeated it says so, but for one in four: a policy of an older release."""
        digest = asked.subject["arguments_digest"]
        if self.repeats(asked) and self.count % 4:
            return read_back(digest, text=f"{ONCE_MORE} {READ_BACK}", once_more=ONCE_MORE)
        return read_back(digest)

    def policy_answers(self, asked, effect, good):
        decision = {"decision_id": asked.decision_id, "effect": effect, "say": "Well."}
        if effect is None:
            decision |= {"source": "fallback"}
        if asked.gate == "input" and effect is Effect.CONFIRM:
            decision |= {"effect": Effect.ALLOW}
        if asked.gate == "action":
            decision |= {"proof": PROOF, "read_back": self.words_for(asked)}
            # A policy that has no words to ask for it in, or does not know that there are to be any.
            decision |= {"done_already": effect is Effect.DENY and good and self.repeats(asked)}
            irreversible = asked.subject["side_effect"] is SideEffect.IRREVERSIBLE
            if effect is Effect.ALLOW and irreversible and asked.subject["consent"] is None:
                # Policy never lets one through without consent: that is what its bundle tests promise.
                decision |= {"effect": Effect.CONFIRM}
            if not good:
                need = ev.FactNeed(name="reservation", tool="get_reservation", arguments_json="{}")
                decision |= {"needs_facts": (need,)}
        self.give(ev.Decided(**decision))
