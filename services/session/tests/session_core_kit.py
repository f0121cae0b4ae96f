"""Drives the conversation core in virtual time: a clock, timers, a caller, a model, and scripted answers.

Each step also checks what must hold always: the state survives a snapshot, and facts are numbered without gaps.
"""

import json
from collections import deque

from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.conversation import step
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import Effect, SideEffect, Tool, TurnRules
from ringback_session.domain.state import BoundValue, CallState, restore, snapshot

START_MS = 1_700_000_000_000
MS_PER_CHAR = 50
SAMPLES_PER_MS = 24
READ_BACK = "I will cancel reservation 482915 and refund 184 dollars. Shall I do that?"
BOUND = (
    BoundValue(name="reservation", value="482915", kind="id"),
    BoundValue(name="refund", value="184.00", kind="money"),
)
_ONE_ARGUMENT = json.dumps(
    {
        "type": "object",
        "properties": {"reservation": {"type": "string"}, "reason": {"type": "string"}},
        "required": ["reservation"],
        "additionalProperties": False,
    }
)


def tool(name, side_effect, *, deadline_ms=8_000):
    return Tool(
        name=name,
        version="1.2",
        description=name,
        parameters_json=_ONE_ARGUMENT,
        side_effect=side_effect,
        deadline_ms=deadline_ms,
    )


TOOLS = {
    entry.name: entry
    for entry in (
        tool("get_reservation", SideEffect.READ),
        tool("add_note", SideEffect.WRITE),
        tool("cancel_reservation", SideEffect.IRREVERSIBLE, deadline_ms=12_000),
        tool("refund", SideEffect.IRREVERSIBLE),
    )
}


def new_state(*, rules=None, **fields):
    values = {
        "session_id": "sess_test",
        "tenant": "local",
        "pack": "airline",
        "pack_digest": "sha256:pack",
        "bundle_digest": "sha256:bundle",
        "agent": "reservations",
        "rules": rules or TurnRules(),
        "tools": TOOLS,
        "instructions": "Be brief.",
        "started_at_ms": START_MS,
    }
    return CallState(**values | fields)


def read_back(digest="", **changes):
    values = {
        "text": READ_BACK,
        "must_contain": BOUND,
        "arguments_digest": digest,
        "expires_after_ms": 30_000,
        "clarify_max": 2,
    }
    return ev.ReadBack(**values | changes)


PROOF = {"key_id": "k1", "mac": "00ff", "decision_id": "dec", "consent_id": "", "expires_at_ms": START_MS}


class CoreCall:
    """One call. `new(kind)` hands out each effect once; what tests do not take stays."""

    def __init__(self, *, state=None, started=True, audio=True, **rules):
        self.state = state or new_state(rules=TurnRules(**rules))
        self.now_ms = START_MS
        self.audio = audio
        self.effects = []
        self.timers = {}
        self._fresh = deque()
        self._items = 0
        self._seqs = {}
        if started:
            self.do(ev.CallStarted())

    # The core.

    def at(self):
        samples = (self.now_ms - START_MS) * SAMPLES_PER_MS if self.audio else 0
        return At(now_ms=self.now_ms, samples=samples)

    def do(self, *events):
        """Give inputs; returns their effects."""
        found = []
        for event in events:
            made = step(self.state, event, self.at())
            assert restore(snapshot(self.state)) == self.state, "a snapshot forgets something"
            self._look_at(made)
            found += made
        return found

    def _look_at(self, made):
        self.effects += made
        self._fresh.extend(made)
        for effect in made:
            match effect:
                case fx.StartTimer():
                    self.timers[effect.name] = self.now_ms + max(0, effect.delay_ms)
                case fx.StopTimer():
                    self.timers.pop(effect.name, None)
                case fx.Publish():
                    assert effect.seq == self._seqs.get(effect.epoch, 0) + 1, "facts are numbered by one"
                    self._seqs[effect.epoch] = effect.seq

    def pass_ms(self, ms):
        """Let time go by; timers fire at their own moments."""
        until = self.now_ms + ms
        while self.timers and min(self.timers.values()) <= until:
            name = min(self.timers, key=self.timers.__getitem__)
            self.now_ms = max(self.now_ms, self.timers.pop(name))
            self.do(ev.TimerFired(name=name))
        self.now_ms = until

    def new(self, kind):
        """Effects of a kind that nobody has taken yet."""
        found = [effect for effect in self._fresh if isinstance(effect, kind)]
        self._fresh = deque(effect for effect in self._fresh if not isinstance(effect, kind))
        return found

    def one(self, kind):
        found = self.new(kind)
        assert len(found) == 1, f"one {kind.__name__} expected, got {found}"
        return found[0]

    def facts(self, kind):
        """The bodies of all facts of a kind, in order."""
        return [e.body for e in self.effects if isinstance(e, fx.Publish) and e.kind == kind]

    # The caller.

    def starts_speaking(self):
        self.do(ev.CallerStartedSpeaking(audio_start_ms=self.now_ms - START_MS))

    def commits(self, item_id=None, *, wants_reply=True):
        self._items += 1
        item_id = item_id or f"item_u{self._items}"
        self.do(ev.CallerStoppedSpeaking(audio_end_ms=self.now_ms - START_MS))
        self.do(ev.UtteranceCommitted(item_id=item_id, wants_reply=wants_reply))
        return item_id

    def says(self, text, *, confidence=0.95, gate=Effect.ALLOW, failed=False, ms=800, wants_reply=True):
        """A spoken utterance from its first sound to the gate's answer (None: policy has not answered yet)."""
        self.starts_speaking()
        self.pass_ms(ms)
        item_id = self.commits(wants_reply=wants_reply)
        self.do(ev.UtteranceHeard(item_id=item_id, text=text, confidence=confidence, failed=failed))
        if gate is not None:
            self.gate(gate)
        return item_id

    def types(self, text, *, gate=Effect.ALLOW, key="req_1"):
        self._items += 1
        self.do(ev.UtteranceHeard(item_id=f"item_t{self._items}", text=text, typed=True))
        self.do(ev.ReplyWanted(request_key=key))
        if gate is not None:
            self.gate(gate)

    def gate(self, effect=Effect.ALLOW, **more):
        for question in [e for e in self._fresh if isinstance(e, fx.AskPolicy) and e.gate == "input"]:
            self._fresh.remove(question)
            self.do(ev.Decided(decision_id=question.decision_id, effect=effect, **more))

    # The model.

    def reply(self, text="Sure.", *, calls=(), heard=True, status="completed", wanted=None):
        """Answer the request for a reply; calls are (call_id, tool, arguments)."""
        wanted = wanted or self.one(fx.RequestReply)
        self._items += 1
        item_id = f"item_m{self._items}"
        self.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id=f"resp_{wanted.reply_id}"))
        if text:
            self.sends_audio(item_id, text, kind="reply", in_model=True)
            self.do(ev.ReplyText(reply_id=wanted.reply_id, item_id=item_id, text=text))
        for call_id, name, arguments in calls:
            self.calls(call_id, name, arguments, reply_id=wanted.reply_id)
        self.do(ev.ReplyEnded(reply_id=wanted.reply_id, status=status))
        if heard:
            self.listens()
        return item_id

    def calls(self, call_id, name, arguments, *, reply_id="reply", client_tool=False):
        body = arguments if isinstance(arguments, str) else json.dumps(arguments)
        self.do(
            ev.CallRequested(
                reply_id=reply_id,
                call_id=call_id,
                tool=name,
                arguments_json=body,
                item_id=f"item_{call_id}",
                client_tool=client_tool,
            )
        )

    def speaks(self, words=None, *, heard=True, status="completed"):
        """Say our own words as asked (or other ones), and let the caller hear them."""
        wanted = self.one(fx.RequestSpeech)
        words = wanted.text if words is None else words
        item_id = f"item_{wanted.speech_id[-8:]}"
        named = {"item_id": item_id, "response_id": f"resp_{wanted.speech_id[-8:]}"}
        self.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=words, **named))
        released = [e for e in self.new(fx.ReleaseSpeech) if e.speech_id == wanted.speech_id]
        if released or not wanted.hold:
            self.sends_audio(item_id, words, kind=wanted.kind, in_model=False)
        self.do(ev.SpeechEnded(speech_id=wanted.speech_id, status=status))
        if heard and (released or not wanted.hold):
            self.listens()
        return wanted

    def port_speaks(self, *, heard=True, status="completed"):
        """Text to speech says what it was asked for, or does not."""
        wanted = self.one(fx.SpeakByPort)
        item_id = f"item_{wanted.speech_id[-8:]}"
        if status == "completed":
            self.do(ev.SpeechText(speech_id=wanted.speech_id, transcript=wanted.text, item_id=item_id))
            self.sends_audio(item_id, wanted.text, kind=wanted.kind, in_model=False)
        self.do(ev.SpeechEnded(speech_id=wanted.speech_id, status=status))
        if heard and status == "completed":
            self.listens()
        return wanted

    def sends_audio(self, item_id, words, *, kind, in_model):
        samples = len(words) * MS_PER_CHAR * SAMPLES_PER_MS
        self.do(ev.AudioSent(item_id=item_id, samples=samples, text=words, kind=kind, in_model=in_model))

    def listens(self):
        """The caller hears everything that was sent."""
        self.pass_ms(max(0, self.state.playback.ends_at // SAMPLES_PER_MS - (self.now_ms - START_MS)) + 2)

    # Policy, tools, the record.

    def question(self, gate="action"):
        """The question about an action, or at another gate, that policy has not answered yet."""
        found = [e for e in self._fresh if isinstance(e, fx.AskPolicy) and e.gate == gate]
        assert len(found) == 1, f"one question about an {gate} expected, got {found}"
        self._fresh.remove(found[0])
        return found[0]

    def decides(self, effect, **more):
        question = self.question()
        if effect is Effect.CONFIRM:
            more.setdefault("read_back", read_back(question.subject["arguments_digest"]))
        if effect is Effect.ALLOW:
            more.setdefault("proof", PROOF)
        self.do(ev.Decided(decision_id=question.decision_id, effect=effect, **more))
        return question

    def question_about_facts(self, *needs):
        """Policy wants facts first; returns the action's id."""
        question = self.question()
        needs = needs or (
            ev.FactNeed(
                name="reservation", tool="get_reservation", arguments_json='{"reservation":"482915"}'
            ),
        )
        self.do(ev.Decided(decision_id=question.decision_id, effect=Effect.ALLOW, needs_facts=needs))
        return question.subject["action_id"]

    def policy_is_away(self):
        self.do(ev.Decided(decision_id=self.question().decision_id, source="fallback", reason="UNAVAILABLE"))

    def reads(self, reading):
        asked = self.one(fx.ReadConsent)
        self.do(ev.ConsentRead(consent_id=asked.consent_id, reading=reading, item_id=asked.item_id))
        return asked

    def journals(self):
        asked = self.one(fx.Journal)
        self.do(ev.Journalled(action_id=asked.action_id))

    def runs(self, status="ok", **more):
        asked = self.one(fx.Execute)
        if status == "ok":
            more.setdefault("data_json", '{"message":"Done."}')
        self.do(ev.ActionResult(action_id=asked.action_id, status=status, **more))
        return asked

    # Longer ways.

    def asks_to_cancel(self, reservation="482915", *, call_id="call_1", tool="cancel_reservation"):
        """The caller asks, the model calls: policy has been asked about it."""
        self.says(f"Please cancel {reservation}.")
        self.reply("", calls=[(call_id, tool, {"reservation": reservation})])

    def is_read_back(self, **speech):
        """… and policy wants a yes, and the caller hears what to."""
        self.asks_to_cancel()
        self.decides(Effect.CONFIRM)
        return self.speaks(**speech)

    def consent(self):
        return next(iter(self.state.consents.values()))

    def action(self):
        return next(iter(self.state.actions.values()))

    def results(self):
        """What the model was told of its calls: call_id → output."""
        told = {}
        for effect in self.effects:
            if isinstance(effect, fx.ReturnResult):
                assert effect.call_id not in told, f"{effect.call_id} was answered twice"
                told[effect.call_id] = json.loads(effect.output_json)
        return told
