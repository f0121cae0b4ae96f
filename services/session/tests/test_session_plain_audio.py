"""The caller's audio that is only counted and passed on comes to the same as audio that is looked at frame by frame."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_session.domain.rules import TurnRules
from session_call_kit import CHUNK, TracingTwin, World, append, client_event

NARROW = {"type": "audio/pcmu"}
WIDE = {"type": "audio/pcm", "rate": 24_000}


class Spoken:
    """One call, and a caller who does what a list of words says."""

    def __init__(self, world, call, client, *, plainly):
        self.world, self.call, self.client, self.up = world, call, client, world.upstream
        self._plainly = plainly
        self.answered = 0

    async def does(self, word):
        if not self._plainly:
            # Anything that happens in the call lets the next frame go the long way; this is nothing at all.
            self.call.feed()
        getattr(self, word)()
        await self.world.settle(6)

    def speaks(self):
        self.call.client_frame(append())

    def says_no_audio(self):
        self.call.client_frame(client_event("input_audio_buffer.append"))

    def sends_rubbish(self):
        self.call.client_frame(b'{"type":"input_audio_buffer.append","audio":"AAAA')

    def commits(self):
        self.call.client_frame(client_event("input_audio_buffer.commit"))

    def telephones(self):
        self._configures(NARROW)

    def comes_to_the_microphone(self):
        self._configures(WIDE)

    def mutes(self):
        self.world.clock.advance(2_000)

    def is_heard(self):
        self.up.emit(self.up.events.speech_started("item_caller", audio_start_ms=100))

    def asks(self):
        self.call.client_frame(client_event("response.create"))

    def is_answered(self):
        """The agent begins to say something long, of which the caller may hear any part."""
        asked = len(self.up.got("response.create"))
        if asked > self.answered:
            self.answered = asked
            response_id = self.up.begins()
            where = {"item_id": self.up.opens_message(response_id), "output_index": 0}
            for _ in range(20):
                self.up.emit(self.up.events.audio_delta(response_id, audio=CHUNK, **where))

    def loses_the_model(self):
        if self.up.open:
            self.up.lose()

    def _configures(self, format):
        session = {"type": "realtime", "audio": {"input": {"format": format}}}
        self.call.client_frame(client_event("session.update", session=session))


WORDS = [word for word in vars(Spoken) if not word.startswith("_") and word != "does"]


async def _spoken(words, *, plainly, rules):
    world = World()
    world.policy.rules = rules
    try:
        call, client = await world.start(pack="passthrough")
        spoken = Spoken(world, call, client, plainly=plainly)
        for word in ("speaks", *words):
            await spoken.does(word)
        await world.settle()
        assert not TracingTwin.errors
        return client.raw, spoken.up.sent, spoken.up.appended, call._caller.at(), call.snapshot()
    finally:
        await world.close()


@given(
    st.lists(st.sampled_from(["speaks", "speaks", "speaks", *WORDS]), max_size=16), st.sampled_from([0, 300])
)
@settings(max_examples=60, deadline=None)
def test_the_client_the_model_and_the_core_know_no_difference(words, backchannel_window_ms):
    rules = TurnRules(input_gate="off", backchannel_window_ms=backchannel_window_ms)
    plainly = asyncio.run(_spoken(words, plainly=True, rules=rules))
    assert plainly == asyncio.run(_spoken(words, plainly=False, rules=rules))


async def test_a_caller_who_may_be_heard_over_the_agent_is_listened_to_frame_by_frame():
    rules = TurnRules(input_gate="off", backchannel_window_ms=300)
    words = ["asks", "is_answered", *["speaks"] * 8, "is_heard", *["speaks"] * 8]
    plainly = await _spoken(words, plainly=True, rules=rules)
    assert plainly == await _spoken(words, plainly=False, rules=rules)


async def test_a_frame_is_plain_again_once_one_has_been_looked_at():
    world = World()
    try:
        call, _ = await world.start(pack="passthrough")
        taken = []
        for _ in range(3):
            taken.append(call._caller.plain)
            call.client_frame(append())
        assert taken == [False, True, True]
        call.client_frame(client_event("response.create"))
        assert not call._caller.plain
    finally:
        await world.close()
