"""A caller who barges in or cancels, and a model that repeats itself or is lost, at every moment of an action.

A moment is a step of the loop, counted from the first frame of the model's function call to the outcome that it
is told; each case runs the whole call again with the disturbance at one of them.
"""

import asyncio
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ringback_session.domain.inputs import ActionProgressed
from ringback_session.domain.state import ActionPhase, ConsentPhase
from ringback_testkit.scripted_model import Answer, ModelFrames
from session_call_kit import PolicyTwin, ToolsTwin, World, append, check_chain, client_event

ARGUMENTS = {"reservation": "482915"}
READ, WRITE, IRREVERSIBLE = "get_reservation", "add_note", "cancel_reservation"
TOLD, REMARK = "It is done.", "I am still here."
# Steps that every part of a call takes at most; a call that does not come to rest within them is stuck.
STEPS_MAX = 400
ROUNDS_MAX = 40
DISTURBANCES = ("noise", "cleared", "speech", "cancel", "repeat", "twice", "lost")


class SlowPolicy(PolicyTwin):
    """Answers as its twin, some steps of the loop later."""

    async def decide(self, question, pinned):
        await _steps(3)
        return await super().decide(question, pinned)

    async def read_consent(self, question, pinned):
        await _steps(2)
        return await super().read_consent(question, pinned)


class SlowTools(ToolsTwin):
    """Tells how it goes, and has its result some steps of the loop later; keeps what it was asked to start."""

    async def execute(self, action, pinned):
        await _steps(2)
        yield ActionProgressed(action_id=action.action_id, stage="started")
        await _steps(2)
        yield ActionProgressed(action_id=action.action_id, stage="slow")
        await _steps(2)
        async for event in super().execute(action, pinned):
            yield event


async def _steps(count):
    for _ in range(count):
        await asyncio.sleep(0)


@dataclass
class Play:
    """One call: a caller who wants one thing, and a model that asks for it once, or again when told to."""

    world: World
    tool: str
    repeats: int = 0
    told: set = field(default_factory=set)
    tellings: int = 0
    remarks: int = 0
    utterances: int = 0
    _cursor: int = 0
    _asked: bool = False
    _patience: int = 0

    async def begin(self):
        self.call, self.client = await self.world.start()
        self.call.client_frame(append(4))
        self.up = self.world.upstream
        self.up.hears("Please do it for 482915.")
        await self.world.settle()
        self._frames = []
        frames = ModelFrames(self._frames.append, seed="function-call")
        frames.answers(Answer("", [(self.tool, ARGUMENTS)]), {"ringback": self.up.own_id()})
        self._frames.reverse()
        self._cursor = len(self.up.sent)

    async def step(self):
        """One moment: a frame of the function call while there are any, and one step of the loop."""
        if self._frames:
            self.up.emit(self._frames.pop())
            if not self._frames:
                self._asked = True
        else:
            self._goes_on()
        await asyncio.sleep(0)

    @property
    def ended(self):
        """The action has its outcome, and the model knows."""
        return self._asked and bool(self.outputs())

    def disturb(self, kind):
        match kind:
            case "noise":
                self.utterances += 1
                self.up.hears("")
            case "cleared":
                self.utterances += 1
                self.up.say("input_audio_buffer.speech_started", item_id="item_noise", audio_start_ms=900)
                self.up.say("input_audio_buffer.cleared")
            case "speech":
                self.utterances += 1
                self.up.hears("Hello, are you there?")
            case "cancel":
                self.call.client_frame(client_event("response.cancel"))
            case "repeat":
                self.repeats += 1
                self.utterances += 1
                self.up.hears("Please do it for 482915.")
            case "twice":
                # Without having been asked: a response of its own, as a model does after a rotation.
                self.up.function_call("resp_again", self.tool, ARGUMENTS)
            case "lost":
                # What it was about to say it is asked for again on the next connection.
                self.utterances += 1
                self.up.lose()

    def _goes_on(self):
        """The caller and the model answer whatever waits for them."""
        while self._cursor < len(self.up.sent):
            event = self.up.sent[self._cursor]
            self._cursor += 1
            if event["type"] == "response.create":
                self._answers(event["response"])
        self._patience -= 1
        asked = any(each.phase is ConsentPhase.WAITING for each in self.call.state.consents.values())
        if asked and self._patience < 0:
            # A caller who has answered does not say it again at once.
            self._patience = ROUNDS_MAX // 2
            self.call.client_frame(append(100))
            self.up.hears("Yes.")

    def _cancelled(self):
        """Was what is asked for here taken back before the model got to it?"""
        later = [event["type"] for event in self.up.sent[self._cursor :]]
        return "response.cancel" in itertools.takewhile(lambda kind: kind != "response.create", later)

    def _answers(self, asked):
        own_id = asked["metadata"]["ringback"]
        if self._cancelled():
            self.up.ends(self.up.begins(own_id), status="cancelled")
            return
        words = asked.get("instructions") or ""
        if words.startswith('Say exactly: "'):
            self.up.replies(words.removeprefix('Say exactly: "').removesuffix('"'), own_id=own_id)
        elif self.repeats or not self.call.state.actions:
            # Also when it was cut off before its call was whole: what the caller wanted is still open.
            self.repeats = max(0, self.repeats - 1)
            self.up.replies("", calls=[(self.tool, ARGUMENTS)], own_id=own_id)
        else:
            news = self.news() - self.told
            self.told |= news
            self.tellings += bool(news)
            self.remarks += not news
            self.up.replies(TOLD if news else REMARK, own_id=own_id)
        self.call.client_frame(append(100))

    # What came of it.

    def outputs(self):
        return _outputs(self.up.sent)

    def news(self):
        """Outcomes that the model learnt, each by its action: a call that only repeats says so itself."""
        told = [item for item in self.outputs() if "already_done" not in json.loads(item["output"])]
        owner = {
            call_id: action.action_id
            for action in self.call.state.actions.values()
            for call_id in action.call_ids
        }
        # What came behind the caller's word is answered, too, but was never an action.
        return {owner[item["call_id"]] for item in told if item["call_id"] in owner}

    async def comes_to_rest(self):
        quiet = 0
        for _ in range(STEPS_MAX):
            before = len(self.up.sent)
            await self.step()
            busy = self._frames or self.call.state.open_actions() or len(self.up.sent) != before
            quiet = 0 if busy else quiet + 1
            if quiet > ROUNDS_MAX:
                return
        raise AssertionError("the call does not come to rest")


def _outputs(sent):
    items = [event["item"] for event in sent if event["type"] == "conversation.item.create"]
    return [item for item in items if item["type"] == "function_call_output"]


async def _world():
    world = World()
    world.policy, world.tools = SlowPolicy(), SlowTools()
    world.calls = world.replica("session-0")
    return world


async def _moments(tool):
    """How many moments lie between the function call's first frame and the outcome, when nothing disturbs."""
    play = Play(await _world(), tool)
    await play.begin()
    for moment in range(STEPS_MAX):
        if play.ended:
            await play.world.close()
            return moment
        await play.step()
    raise AssertionError(f"{tool} never ends")


async def _played(tool, disturbances):
    """A call with disturbances at moments ({moment: kind}), at rest."""
    play = Play(await _world(), tool)
    await play.begin()
    for moment in range(max(disturbances) + 1):
        if kind := disturbances.get(moment):
            play.disturb(kind)
        await play.step()
    await play.comes_to_rest()
    return play


def _check(play, tool, at):
    started = Counter(
        action.action_id for action, _pinned in play.world.tools.executed if not action.attach_only
    )
    assert all(count == 1 for count in started.values()), f"{at}: an action was started twice: {started}"
    if tool != READ:
        assert len(started) == 1, f"{at}: one effect was asked for, {len(started)} were started"
    # A new connection gets the conversation as it stands; on none of them is a call answered twice.
    for socket in play.up.sockets:
        answered = Counter(item["call_id"] for item in _outputs(socket.sent))
        assert all(count == 1 for count in answered.values()), f"{at}: a call was answered twice: {answered}"
    actions = play.call.state.actions.values()
    assert all(action.phase is ActionPhase.DONE for action in actions), f"{at}: an action is still open"
    asked = {call_id for action in actions for call_id in action.call_ids}
    left = asked - {item["call_id"] for item in play.outputs()}
    assert not left, f"{at}: not answered: {left}"
    finished = Counter(fact.action_finished.action_id for fact in play.world.facts("action_finished"))
    assert finished == started, f"{at}: finished {finished}, started {started}"
    assert play.told == set(started), f"{at}: told of {play.told}, started {started}"
    # Nothing but outcomes, what the caller said and calls that only repeat makes the agent speak.
    repeated = sum("already_done" in item["output"] for item in play.outputs())
    assert 1 <= play.tellings <= len(started), f"{at}: told {play.tellings} times"
    assert play.remarks <= play.utterances + repeated, f"{at}: spoke {play.remarks} times more for no reason"
    assert not play.world.tracing.errors, f"{at}: {play.world.tracing.errors}"
    check_chain(play.client.frames)


@pytest.mark.parametrize("kind", DISTURBANCES)
@pytest.mark.parametrize("tool", [READ, WRITE, IRREVERSIBLE])
async def test_whatever_comes_between_a_call_and_its_outcome_it_runs_once_and_is_told_once(tool, kind):
    moments = await _moments(tool)
    assert moments > 10
    for moment in range(moments + 1):
        play = await _played(tool, {moment: kind})
        _check(play, tool, f"{tool}, {kind} at {moment} of {moments}")
        await play.world.close()


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    tool=st.sampled_from([READ, WRITE, IRREVERSIBLE]),
    disturbances=st.dictionaries(
        st.integers(0, 40), st.sampled_from(DISTURBANCES[:-1]), min_size=2, max_size=5
    ),
)
def test_any_mix_of_them_at_any_moments_leaves_one_effect_told_once(tool, disturbances):
    async def whole():
        play = await _played(tool, disturbances)
        _check(play, tool, f"{tool}, {disturbances}")
        await play.world.close()

    asyncio.run(whole())
