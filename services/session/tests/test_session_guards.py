"""The output gate: the caller hears no word before policy has passed it, and every word that it has."""

import asyncio
import base64
import json

import pytest
from ringback_session.domain import effects as fx
from ringback_session.domain import inputs as ev
from ringback_session.domain.effects import PlayAgain
from ringback_session.domain.guarded import SentenceMade, WordsHeld
from ringback_session.domain.inputs import Decided
from ringback_session.domain.rules import Effect, GateFallback, TurnRules
from session_call_kit import CHUNK, client_event
from session_core_kit import CoreCall

CREATE = client_event("response.create")
AUDIO = "response.output_audio.delta"
WORDS = "response.output_audio_transcript.delta"


class Judge:
    """Policy that answers about speech when, and as, a test wants it to."""

    def __init__(self, world):
        self.world = world
        self.asked = []
        self.timeouts = []
        self._others = world.policy.decide
        world.policy.decide = self.decide

    async def decide(self, question, pinned):
        if question.gate != "output":
            return await self._others(question, pinned)
        answer = asyncio.get_running_loop().create_future()
        self.asked.append((question.subject["text"], question.subject["final"], answer, question))
        return await answer

    @property
    def texts(self):
        return [(text.strip(), final) for text, final, _, _ in self.asked]

    async def says(self, effect=Effect.ALLOW, *, number=0, **more):
        """Answer the open question of this number."""
        open_ones = [entry for entry in self.asked if not entry[2].done()]
        _, _, answer, question = open_ones[number]
        decided = Decided(decision_id=question.decision_id, effect=effect, **{"rule": "judge"} | more)
        answer.set_result(decided)
        await self.world.settle()

    async def allows_all(self):
        while any(not entry[2].done() for entry in self.asked):
            await self.says()


async def guarded(world, **rules):
    """A call whose replies are judged, and whose client has just asked for one."""
    rules = {"output_gate": "blocking", "input_gate": "off", "say_unavailable": "I can't say."} | rules
    world.policy.rules = TurnRules(client_tools="allow", client_instructions=True, **rules)
    judge = Judge(world)
    call, client = await world.start()
    call.client_frame(CREATE)
    await world.settle()
    client.news()
    return call, client, judge


class Speaker:
    """The model, word by word."""

    def __init__(self, world):
        self.model = world.upstream
        self.response = self.model.begins()
        self.item = self.model.opens_message(self.response)
        self.where = {"item_id": self.item, "output_index": 0}
        self.said = ""

    def words(self, text):
        self.said += text
        self.model.emit(self.model.events.transcript_delta(self.response, delta=text, **self.where))
        return self

    def audio(self, byte=1):
        sound = bytes([byte]) * len(CHUNK)
        self.model.emit(self.model.events.audio_delta(self.response, audio=sound, **self.where))
        return self

    def ends(self, transcript=None):
        model, said = self.model, self.said if transcript is None else transcript
        model.emit(model.events.audio_done(self.response, **self.where))
        model.emit(model.events.transcript_done(self.response, transcript=said, **self.where))
        part = {"type": "audio", "transcript": said}
        model.emit(model.events.part_done(self.response, part=part, **self.where))
        content = [{"type": "output_audio", "transcript": said}]
        done = {
            "id": self.item,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": content,
        }
        model.emit(model.events.output_item_done(self.response, output_index=0, item=done))
        model.ends(self.response)
        return self


async def test_no_audio_and_no_words_of_a_sentence_are_heard_before_it_has_passed(world):
    _call, client, judge = await guarded(world)
    speaker = Speaker(world).words("It is on").audio(1).words(" time.").audio(2)
    await world.settle()
    assert judge.texts == [("It is on time.", False)]
    assert client.types() == []
    await judge.says()
    assert client.types() == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        WORDS,
        AUDIO,
        WORDS,
        AUDIO,
    ]
    speaker.words(" Anything else?").audio(3)
    await world.settle()
    assert client.types() == []
    await judge.says()
    assert client.types() == [WORDS, AUDIO]
    speaker.ends()
    await world.settle()
    assert judge.texts[-1] == ("It is on time. Anything else?", True)
    assert client.types() == []
    await judge.says()
    assert client.types()[-1] == "response.done"


async def test_a_bundle_without_an_output_gate_asks_nothing_and_holds_nothing(world):
    _call, client, judge = await guarded(world, output_gate="off")
    Speaker(world).words("It is").audio()
    assert client.types()[-1] == AUDIO
    await world.settle()
    assert judge.asked == []


async def test_a_sentence_that_is_refused_is_never_heard_and_the_declared_words_are(world):
    _call, client, judge = await guarded(world)
    speaker = Speaker(world).words("Hello.").audio(1).words(" You should sue.").audio(2)
    await world.settle()
    await judge.says()
    await judge.says(Effect.DENY, say="I cannot advise you on that.")
    assert len(client.of(AUDIO)) == 1
    assert "sue" not in json.dumps(client.frames)
    done = client.of("response.done")[0]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "content_filter")
    assert world.upstream.got("response.cancel")
    world.upstream.ends(speaker.response, status="cancelled")
    await world.settle()
    world.upstream.speaks()
    assert client.of(WORDS)[-1]["delta"] == "I cannot advise you on that."
    cut = world.upstream.got("conversation.item.truncate")[0]
    assert (cut["item_id"], cut["audio_end_ms"]) == (speaker.item, 160)
    decided = [fact.action_decided for fact in world.facts("action_decided")]
    assert [(fact.gate, fact.effect, fact.rule) for fact in decided] == [("OUTPUT", "DENY", "judge")]


async def test_nothing_of_a_reply_that_is_refused_whole_appears_and_the_model_forgets_it(world):
    _call, client, judge = await guarded(world)
    speaker = Speaker(world).words("You should sue.").audio()
    await world.settle()
    await judge.says(Effect.DENY)
    assert client.types() == ["response.created", "response.done"], "the client asked for one"
    done = client.of("response.done")[0]["response"]
    assert (done["output"], done["status"]) == ([], "incomplete")
    assert done["status_details"]["reason"] == "content_filter"
    world.upstream.ends(speaker.response, status="cancelled")
    await world.settle()
    assert [frame["item_id"] for frame in world.upstream.got("conversation.item.delete")] == [speaker.item]
    world.upstream.speaks()
    assert client.of(WORDS)[-1]["delta"] == "I can't say."


async def test_what_is_to_be_taken_out_is_said_in_our_own_words_with_all_that_follows(world):
    _call, client, judge = await guarded(world)
    card = "Your card 4111 1111 1111 1111 is charged."
    speaker = Speaker(world).words("Good news.").audio(1)
    await world.settle()
    await judge.says()
    speaker.words(" " + card).audio(2).words(" Anything else?").audio(3).ends()
    await world.settle()
    start = judge.asked[1][0].index("4111")
    await judge.says(redact=((start, start + 19),))
    await judge.allows_all()
    assert "4111" not in json.dumps(client.frames)
    assert len(client.of(AUDIO)) == 1
    done = client.of("response.done")[0]["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("incomplete", "content_filter")
    world.upstream.speaks()
    assert client.of(WORDS)[-1]["delta"] == "Your card [redacted] is charged. Anything else?"
    said = " ".join(fact.agent_turn_ended.said for fact in world.facts("agent_turn_ended"))
    assert "4111" not in said


@pytest.mark.parametrize(("effect", "heard"), [(Effect.ALLOW, 1), (Effect.DENY, 0)])
async def test_with_policy_away_the_gate_fails_as_its_layer_declares_and_a_fact_says_so(world, effect, heard):
    fallback = {"output": GateFallback(effect=effect, layer="safety")}
    _call, client, judge = await guarded(world, gate_fallbacks=fallback)
    Speaker(world).words("It is on time.").audio()
    await world.settle()
    await judge.says(None, source="fallback", rule="session.policy_away", reason="UNAVAILABLE")
    assert len(client.of(AUDIO)) == heard
    [fact] = [fact.action_decided for fact in world.facts("action_decided")]
    assert (fact.gate, fact.effect, fact.layer, fact.source) == ("OUTPUT", effect.upper(), "safety", 2)


async def test_a_bounded_hold_ends_in_time_is_counted_and_a_late_no_still_cuts(world):
    _call, client, judge = await guarded(world, output_gate="parallel", hold_audio_ms=250)
    speaker = Speaker(world).words("You should sue.").audio(1)
    await world.settle()
    assert client.types() == []
    world.clock.advance(250)
    await world.settle()
    assert client.types()[-1] == AUDIO
    [fact] = [fact.action_decided for fact in world.facts("action_decided")]
    assert (fact.rule, fact.effect, fact.source) == ("session.hold_audio_ms", "ALLOW", 2)
    speaker.words(" Today.").audio(2)
    await world.settle()
    await judge.says(Effect.DENY, say="I cannot advise you on that.")
    assert len(client.of(AUDIO)) == 1
    assert client.of("response.done")[0]["response"]["status"] == "incomplete"


async def test_a_gate_in_parallel_without_a_hold_lets_audio_flow_and_cuts_it_off(world):
    _call, client, judge = await guarded(world, output_gate="parallel")
    speaker = Speaker(world).words("You should sue.").audio(1)
    assert client.types()[-1] == AUDIO
    await world.settle()
    await judge.says(Effect.DENY, say="I cannot advise you on that.")
    assert client.of("response.done")[0]["response"]["status_details"]["reason"] == "content_filter"
    speaker.audio(2)
    assert len(client.of(AUDIO)) == 1


async def test_a_no_after_the_reply_was_heard_is_put_right(world):
    _call, client, judge = await guarded(world, output_gate="parallel")
    Speaker(world).words("You should sue.").audio(1).ends()
    await world.settle()
    await judge.says(Effect.DENY, say="I cannot advise you on that.")
    world.upstream.speaks()
    assert client.of(WORDS)[-1]["delta"] == "I cannot advise you on that."


async def test_words_that_call_for_a_person_bring_one(world):
    _call, client, judge = await guarded(world)
    Speaker(world).words("I will hurt you.").audio()
    await world.settle()
    await judge.says(Effect.ESCALATE, escalate="the agent made a threat", say="One moment.")
    assert client.of(AUDIO) == []
    await world.until(lambda: world.facts("escalated_to_person"))
    assert world.facts("escalated_to_person")[0].escalated_to_person.reason == "the agent made a threat"


async def test_a_barge_in_drops_what_waits_at_once_whatever_policy_does(world):
    _call, client, judge = await guarded(world)
    speaker = Speaker(world).words("It is on time.").audio()
    await world.settle()
    world.upstream.emit(world.upstream.events.speech_started("item_u", audio_start_ms=0))
    assert client.types() == ["input_audio_buffer.speech_started", "response.created", "response.done"]
    assert client.of("response.done")[0]["response"]["output"] == []
    await judge.allows_all()
    world.upstream.ends(speaker.response, status="cancelled")
    await world.settle()
    assert client.types() == []
    assert world.upstream.got("conversation.item.delete")[0]["item_id"] == speaker.item


async def test_a_call_behind_words_waits_for_them_and_is_not_made_if_they_are_refused(world):
    _call, _client, judge = await guarded(world)
    speaker = Speaker(world).words("Let me look.").audio()
    world.upstream.function_call(speaker.response, "get_reservation", {"reservation": "482915"}, 1)
    await world.settle()
    await judge.says(Effect.DENY)
    assert world.tools.executed == []


async def test_a_call_that_waits_behind_words_when_the_caller_cuts_in_is_answered_as_not_begun(world):
    call, _client, _judge = await guarded(world)
    speaker = Speaker(world).words("Let me look.").audio()
    world.upstream.function_call(speaker.response, "get_reservation", {"reservation": "482915"}, 1)
    await world.settle()
    world.upstream.emit(world.upstream.events.speech_started("item_u", audio_start_ms=0))
    world.upstream.ends(speaker.response, status="cancelled")
    await world.settle()
    assert world.tools.executed == []
    kinds = [entry.kind for entry in call.state.history]
    assert kinds == ["function_call", "function_call_output"]
    told = [event["item"] for event in world.upstream.got("conversation.item.create")]
    assert "interrupted" in next(item for item in told if item["type"] == "function_call_output")["output"]


async def test_audio_that_comes_before_its_words_waits_for_the_words_after_it_too(world):
    _call, client, judge = await guarded(world)
    speaker = Speaker(world).audio(1).words("Hello.").audio(2)
    await world.settle()
    await judge.says()
    assert len(client.of(AUDIO)) == 1
    speaker.words(" You should sue.").audio(3)
    await world.settle()
    await judge.says(Effect.DENY)
    assert len(client.of(AUDIO)) == 1


async def test_audio_that_has_no_words_at_all_cannot_pass_a_gate_that_fails_closed(world):
    fallback = {"output": GateFallback(effect=Effect.DENY, layer="safety")}
    _call, client, judge = await guarded(world, gate_fallbacks=fallback)
    Speaker(world).audio().ends(transcript="")
    await world.settle()
    assert judge.asked == []
    assert client.of(AUDIO) == []


async def test_a_transcript_that_ends_otherwise_than_it_came_is_judged_as_it_ends(world):
    _call, client, judge = await guarded(world)
    Speaker(world).words("Hello.").audio().ends(transcript="Hello. You should sue.")
    await world.settle()
    await judge.says()
    assert judge.texts[-1] == ("Hello. You should sue.", True)
    await judge.says(Effect.DENY)
    assert "sue" not in json.dumps(client.frames)


async def test_a_reply_that_the_model_breaks_off_is_judged_as_far_as_it_goes(world):
    _call, client, judge = await guarded(world)
    speaker = Speaker(world).words("It is on").audio()
    world.upstream.ends(speaker.response, status="incomplete")
    await world.settle()
    assert judge.texts == [("It is on", True)]
    await judge.says()
    assert len(client.of(AUDIO)) == 1
    assert client.of("response.done")[0]["response"]["status"] == "incomplete"


async def test_more_than_may_wait_is_not_heard(world, monkeypatch):
    monkeypatch.setattr("ringback_session.views.holding.HELD_BYTES_MAX", 40_000)
    _call, client, _judge = await guarded(world)
    speaker = Speaker(world).words("Well")
    for _ in range(6):
        speaker.audio()
    await world.settle()
    assert client.of(AUDIO) == []
    assert world.upstream.got("response.cancel")
    [fact] = [fact.action_decided for fact in world.facts("action_decided")]
    assert (fact.rule, fact.effect) == ("session.hold_bytes_max", "DENY")


async def test_the_clients_own_out_of_band_response_passes_the_gate_too(world):
    call, client, judge = await guarded(world)
    Speaker(world).words("Hi.").ends()
    await world.settle()
    await judge.allows_all()
    client.news()
    call.client_frame(client_event("response.create", response={"conversation": "none"}))
    await world.settle()
    speaker = Speaker(world).words("You should sue.").audio()
    await world.settle()
    await judge.says(Effect.DENY)
    assert client.of(AUDIO) == []
    assert world.upstream.got("response.cancel")[-1]["response_id"] == speaker.response


async def test_what_waits_is_not_kept_for_going_on_after_an_interruption(world):
    call, client, judge = await guarded(world, resume_within_ms=2_000)
    speaker = Speaker(world).words("Hello.").audio(1).words(" You should sue.").audio(2)
    await world.settle()
    await judge.says()
    again = PlayAgain(speech_id="speech_1", item_id=speaker.item, from_ms=0, text="Hello.")
    frames = [json.loads(frame) for frame in call.view.on_the_floor(again).client]
    audio = b"".join(base64.b64decode(frame["delta"]) for frame in frames if frame["type"] == AUDIO)
    assert set(audio) == {1}
    assert len(client.of(AUDIO)) == 1


@pytest.mark.parametrize("by", ["policy", "caller"])
async def test_a_reply_that_the_model_has_ended_already_is_over_when_it_is_cut(world, by):
    call, client, judge = await guarded(world)
    speaker = Speaker(world).words("You should sue.").audio().ends()
    await world.settle()
    if by == "policy":
        await judge.says(Effect.DENY)
    else:
        world.upstream.emit(world.upstream.events.speech_started("item_u", audio_start_ms=0))
        await world.settle()
    assert call.state.reply is None
    assert not world.upstream.got("response.cancel")
    assert world.upstream.got("conversation.item.delete")[0]["item_id"] == speaker.item
    assert client.of(AUDIO) == []


def replying(**rules):
    """A reply of the model's is under way; nothing of it has been said."""
    call = CoreCall(input_gate="off", **rules)
    call.says("Hello?", gate=None)
    wanted = call.one(fx.RequestReply)
    call.do(ev.ReplyStarted(reply_id=wanted.reply_id, response_id="resp_1"))
    return call, wanted.reply_id


def test_what_must_pass_first_does_not_lapse_however_long_it_waits():
    call, reply_id = replying(output_gate="blocking", hold_audio_ms=500)
    call.do(WordsHeld(reply_id=reply_id))
    call.pass_ms(5_000)
    assert not call.new(fx.LapseHold)


@pytest.mark.parametrize(("final", "cuts"), [(False, 1), (True, 0)])
def test_a_limit_of_words_cuts_off_what_follows_and_nothing_that_is_said(final, cuts):
    call, reply_id = replying(output_gate="blocking")
    call.do(SentenceMade(reply_id=reply_id, item_id="item_m", text="It is late.", ends_at=11, final=final))
    call.do(Decided(decision_id=call.question("output").decision_id, effect=Effect.ALLOW, words_max=3))
    assert len(call.new(fx.CancelReply)) == cuts


def test_a_new_owner_waits_for_no_word_on_what_the_owner_before_had_asked_about():
    call, reply_id = replying(output_gate="blocking")
    call.do(SentenceMade(reply_id=reply_id, item_id="item_m", text="It is late.", ends_at=11))
    assert call.state.checks
    call.do(ev.Resumed(epoch=2, owner="session-1"))
    assert not call.state.checks
