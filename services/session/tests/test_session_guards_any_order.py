"""The hold of the output gate, whatever the pieces and whatever the order of decisions: no leak, no loss, no change."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_realtime import EventIds, ItemList, ServerEvents, peek
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.conversation import step
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import Effect, TurnRules
from ringback_session.domain.state import restore, snapshot
from ringback_session.views.out import Out
from ringback_session.views.responses import Responses
from ringback_session.views.route import Wanted
from ringback_testkit.scripted_model import ModelFrames
from session_core_kit import START_MS, new_state

SENTENCES = st.lists(
    st.sampled_from(
        ["It is on time.", "Really?", "Dr. Ray pays 3.50 a day!", "No", "你好。", "Yes.\n", "So…"]
    ),
    min_size=1,
    max_size=5,
)


class Held:
    """The core and the view of one judged reply, joined without a loop."""

    def __init__(self, **rules):
        rules = {"output_gate": "blocking", "input_gate": "off"} | rules
        self.state = new_state(rules=TurnRules(**rules))
        self.asked = []
        self.shown = []
        self.sent_audio = []
        self.sent_words = []
        self.cancelled = False
        self.requested = None
        events = ServerEvents(EventIds("client"))
        self.responses = Responses(
            events=events,
            items=ItemList(),
            conversation_id="conv_1",
            is_client_tool=lambda name: False,
            client_tools_pass=lambda: False,
        )
        self.model = ModelFrames(self.frame)
        self.core(ev.CallStarted(), ev.ReplyWanted(request_key="req_1"))
        self.response = self.model.begins({"ringback": self.requested.reply_id})
        self.item = self.model.opens_message(self.response)

    def frame(self, frame):
        out, head = Out(), peek(frame)
        if not head.type.startswith("response."):
            return
        if head.type.endswith("audio.delta"):
            self.responses.audio(head, frame, out)
        else:
            self.responses.event(head, frame, out)
        self.flush(out)

    def flush(self, out):
        self.shown += out.client
        self.core(*out.inputs)

    def core(self, *inputs):
        for event in inputs:
            for effect in step(self.state, event, At(now_ms=START_MS)):
                self.perform(effect)
            assert restore(snapshot(self.state)) == self.state

    def perform(self, effect):
        out = Out()
        match effect:
            case fx.AskPolicy():
                self.asked.append(effect)
            case fx.RequestReply():
                self.requested = effect
                wanted = Wanted("reply", effect.reply_id, shut=effect.shut, watch=effect.watch)
                self.responses.want(wanted)
            case fx.PassWords() | fx.LapseHold() | fx.OpenReply() | fx.MuteReply():
                self.responses.show(effect, out)
            case fx.CancelReply():
                self.cancelled = True
                self.responses.cancel(effect.reply_id, effect.reason, out)
        self.flush(out)

    def says(self, text):
        where = {"item_id": self.item, "output_index": 0}
        frame = self.model.events.transcript_delta(self.response, delta=text, **where)
        self.sent_words.append(frame)
        self.frame(frame)

    def sounds(self):
        number = len(self.sent_audio)
        where = {"item_id": self.item, "output_index": 0}
        audio = number.to_bytes(2, "big") * 8
        frame = self.model.events.audio_delta(self.response, audio=audio, **where)
        self.sent_audio.append(frame)
        self.frame(frame)

    def ends(self, text):
        where = {"item_id": self.item, "output_index": 0}
        events = self.model.events
        self.frame(events.audio_done(self.response, **where))
        self.frame(events.transcript_done(self.response, transcript=text, **where))
        self.frame(events.part_done(self.response, part={"type": "audio", "transcript": text}, **where))
        content = [{"type": "output_audio", "transcript": text}]
        done = {"id": self.item, "type": "message", "role": "assistant", "status": "completed"}
        self.frame(events.output_item_done(self.response, output_index=0, item=done | {"content": content}))
        self.model.ends(self.response)

    def decide(self, number, effect):
        question = self.asked.pop(number)
        self.core(ev.Decided(decision_id=question.decision_id, effect=effect))

    def got(self, type):
        return [frame for frame in self.shown if json.loads(frame)["type"] == type]

    @property
    def audio(self):
        return self.got("response.output_audio.delta")

    @property
    def words(self):
        return self.got("response.output_audio_transcript.delta")


def pieces(data, text):
    """The text in any pieces, with audio between them; a piece of audio is known by its place."""
    at, made = 0, []
    while at < len(text):
        size = data.draw(st.integers(1, 9))
        made.append(text[at : at + size])
        at += size
        made += [None] * data.draw(st.integers(0, 2))
    return made


def play(data, text, *, refused="", **rules):
    """Everything in any order; after each step nothing is shown that has not passed. Returns how it ended."""
    held = Held(**rules)
    script = [*pieces(data, text), "END"]
    known, places = 0, []
    while script or held.asked:
        if held.asked and (not script or data.draw(st.booleans())):
            number = data.draw(st.integers(0, len(held.asked) - 1))
            no = bool(refused) and refused in held.asked[number].subject["text"]
            held.decide(number, Effect.DENY if no else Effect.ALLOW)
        else:
            piece = script.pop(0)
            if piece == "END":
                held.ends(text)
            elif piece is None:
                places.append(known)
                held.sounds()
            else:
                known += len(piece)
                held.says(piece)
        if refused:
            limit = text.index(refused)
            assert all(place <= limit for place in places[: len(held.audio)]), "a refused word was heard"
            assert sum(len(json.loads(frame)["delta"]) for frame in held.words) <= limit
            assert refused not in b"".join(held.shown).decode()
        assert held.audio == held.sent_audio[: len(held.audio)], "byte for byte, in order"
        assert held.words == held.sent_words[: len(held.words)]
    return held


@settings(max_examples=150, deadline=None)
@given(sentences=SENTENCES, data=st.data())
def test_everything_that_passed_is_shown_once_in_order_and_byte_for_byte(sentences, data):
    held = play(data, " ".join(sentences))
    assert held.audio == held.sent_audio
    assert held.words == held.sent_words
    assert json.loads(held.shown[-1])["type"] == "response.done"
    assert held.state.reply is None


@settings(max_examples=150, deadline=None)
@given(before=SENTENCES, after=SENTENCES, data=st.data())
def test_nothing_of_a_refused_sentence_and_nothing_behind_it_is_ever_shown(before, after, data):
    held = play(data, " ".join([*before, "SUE THEM.", *after]), refused="SUE")
    assert held.cancelled
    assert [speech.text for speech in held.state.speeches]


@settings(max_examples=80, deadline=None)
@given(sentences=SENTENCES, data=st.data())
def test_while_nothing_is_decided_nothing_is_shown(sentences, data):
    held = Held()
    text = " ".join(sentences)
    for piece in pieces(data, text):
        held.sounds() if piece is None else held.says(piece)
    held.ends(text)
    assert held.shown == []
    assert held.state.reply is not None


@settings(max_examples=80, deadline=None)
@given(sentences=SENTENCES, data=st.data())
def test_what_lapses_is_shown_and_nothing_is_shown_twice(sentences, data):
    held = Held(output_gate="parallel", hold_audio_ms=200)
    text = " ".join(sentences)
    for piece in pieces(data, text):
        held.sounds() if piece is None else held.says(piece)
        if data.draw(st.booleans()):
            held.core(ev.TimerFired(name="held"))
            assert held.audio == held.sent_audio
    held.ends(text)
    held.core(ev.TimerFired(name="held"))
    assert held.audio == held.sent_audio
    assert held.words == held.sent_words
    while held.asked:
        held.decide(0, Effect.ALLOW)
    assert held.audio == held.sent_audio
