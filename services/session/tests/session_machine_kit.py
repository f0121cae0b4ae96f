"""The world around the core for random interleavings: it watches each effect, and knows how to answer."""

import json

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.conversation import step
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import Effect, SideEffect
from ringback_session.domain.state import restore, snapshot
from session_core_kit import PROOF, START_MS, read_back

__all__ = ["Watched"]

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
            case fx.Execute():
                self.may_execute(effect)
            case fx.RequestReply() | fx.RequestSpeech() | fx.SpeakByPort():
                self.requested.append(effect)
            case _:
                pass
        if isinstance(effect, ASKING):
            self.asked.append(effect)
            del self.asked[:-40]

    def may_execute(self, effect):
        if effect.side_effect is SideEffect.READ:
            return
        action = self.state.actions[effect.action_id]
        if effect.attach_only:
            assert effect.action_id in self.resumed_since, "attached to only by a new owner"
            return
        assert effect.action_id in self.journalled, "no side effect before the journal"
        if effect.side_effect is SideEffect.IRREVERSIBLE and action.consent_id:
            consent = self.state.consents[action.consent_id]
            assert consent.arguments_digest == action.arguments_digest
            assert self.consented.get(consent.consent_id) == effect.action_id, "only after a yes to this"
        runs = self.executed.get(effect.action_id, 0)
        assert runs == 0 or effect.action_id in self.resumed_since, "executed once"
        self.executed[effect.action_id] = runs + 1
        self.resumed_since.discard(effect.action_id)

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

    def policy_answers(self, asked, effect, good):
        decision = {"decision_id": asked.decision_id, "effect": effect, "say": "Well."}
        if effect is None:
            decision |= {"source": "fallback"}
        if asked.gate == "input" and effect is Effect.CONFIRM:
            decision |= {"effect": Effect.ALLOW}
        if asked.gate == "action":
            decision |= {"proof": PROOF, "read_back": read_back(asked.subject["arguments_digest"])}
            irreversible = asked.subject["side_effect"] is SideEffect.IRREVERSIBLE
            if effect is Effect.ALLOW and irreversible and asked.subject["consent"] is None:
                # Policy never lets one through without consent: that is what its bundle tests promise.
                decision |= {"effect": Effect.CONFIRM}
            if not good:
                need = ev.FactNeed(name="reservation", tool="get_reservation", arguments_json="{}")
                decision |= {"needs_facts": (need,)}
        self.give(ev.Decided(**decision))
