"""A call over a real WebSocket, faster than real time, against a server that hears by energy."""

import wave

import pytest
from ringback_cli.caller import Call, ScriptFailed, StereoRecording, play_script
from ringback_cli.caller.script import Expect, Script, Step, WaitFor
from ringback_errors import Unauthenticated, Unavailable

SPEED = 20


def script(*steps: Step) -> Script:
    return Script(name="test", title="A test", pack="airline", steps=list(steps))


async def test_a_script_is_spoken_and_the_answers_are_heard(start_agent, answer, tone):
    agent = await start_agent(
        answer("Which reservation?"), answer("It is cancelled."), greeting=answer("Hello.")
    )
    async with Call(agent.url, "rb_test", speed=SPEED) as call:
        await play_script(
            script(
                Step(wait_for=WaitFor(agent="finished")),
                Step(expect=Expect(heard="hello")),
                Step(say="Cancel it."),
                Step(wait_for=WaitFor(heard="which reservation")),
                Step(say="The first."),
                Step(wait_for=WaitFor(heard="is cancelled")),
                Step(expect=Expect(not_heard="which")),
            ),
            call,
            speak=lambda _: tone(200),
        )
    assert [(line.speaker, line.text) for line in call.lines] == [
        ("agent", "Hello."),
        ("caller", "Cancel it."),
        ("agent", "Which reservation?"),
        ("caller", "The first."),
        ("agent", "It is cancelled."),
    ]
    assert agent.events("conversation.item.truncate") == []
    assert agent.frames >= call.clock_ms // 40 - 1


async def test_speaking_into_the_agents_words_truncates_them_to_what_was_played(start_agent, answer, tone):
    agent = await start_agent(
        answer("Fine."), greeting=answer("A very long greeting indeed.", audio_ms=5_000)
    )
    async with Call(agent.url, "rb_test", speed=SPEED) as call:
        await play_script(
            script(Step(say="Stop.", interrupt_after_ms=800), Step(wait_for=WaitFor(heard="fine"))),
            call,
            speak=lambda _: tone(200),
        )
    (truncate,) = agent.events("conversation.item.truncate")
    assert truncate["item_id"] == "item_1"
    assert 800 <= truncate["audio_end_ms"] < 2_000
    assert call.lines[0].heard == "Stop."
    cut = next(line for line in call.lines if line.text.startswith("A very long"))
    assert cut.heard != cut.text


async def test_silence_is_measured_until_the_agent_speaks_again(start_agent, answer, tone):
    agent = await start_agent(answer("Fine."), greeting=answer("Hello."))
    async with Call(agent.url, "rb_test", speed=SPEED) as call:
        await play_script(
            script(Step(say="Hello."), Step(wait_for=WaitFor(heard="fine")), Step(pause_ms=3_000)),
            call,
            speak=lambda _: tone(200),
        )
    # The server hears the end of speech after five silent frames; the caller's own pause at the end is no wait.
    assert 200 <= call.longest_silence_ms < 3_000


async def test_a_wait_that_is_not_met_fails_with_what_was_heard_instead(start_agent, answer, tone):
    agent = await start_agent(answer("No."), greeting=answer("Hello."))
    async with Call(agent.url, "rb_test", speed=SPEED) as call:
        with pytest.raises(ScriptFailed, match=r"step 2 .*'yes'.*heard instead: 'No\.'"):
            await play_script(
                script(Step(say="Yes?"), Step(wait_for=WaitFor(heard="yes", within_s=5))),
                call,
                speak=lambda _: tone(200),
            )


async def test_a_probe_of_the_outside_world_must_agree(start_agent, answer, tone):
    agent = await start_agent(greeting=answer("Hello."))

    async def refunds() -> int:
        return 1

    async with Call(agent.url, "rb_test", speed=SPEED) as call:
        with pytest.raises(ScriptFailed, match="refunds is 1, 0 expected"):
            await play_script(
                script(Step(expect=Expect(probe="refunds", equals=0))),
                call,
                speak=lambda _: tone(200),
                probes={"refunds": refunds},
            )


async def test_a_lost_connection_names_what_was_still_awaited(start_agent, answer, tone):
    agent = await start_agent(greeting=answer("Hello."))
    async with Call(agent.url, "rb_test", speed=SPEED) as call:
        waiting = script(Step(wait_for=WaitFor(heard="hello")), Step(wait_for=WaitFor(heard="never")))

        def drop(event):
            if event["type"] == "response.done":
                agent.connections[0].transport.disconnect(graceful=False)

        call.on_event = drop
        agent.connections[0].say(answer("More."))
        with pytest.raises(Exception, match="the call ended"):
            await play_script(waiting, call, speak=lambda _: tone(200))


async def test_the_recording_holds_both_sides_on_their_own_channel(start_agent, answer, tone, tmp_path):
    agent = await start_agent(answer("Fine."))
    path = tmp_path / "call.wav"
    async with Call(agent.url, "rb_test", speed=SPEED, recording=StereoRecording(path)) as call:
        await play_script(
            script(Step(say="Hello."), Step(wait_for=WaitFor(agent="finished"))),
            call,
            speak=lambda _: tone(200),
        )
    with wave.open(str(path)) as recorded:
        assert (recorded.getnchannels(), recorded.getframerate(), recorded.getsampwidth()) == (2, 24_000, 2)
        assert recorded.getnframes() == call.playback.clock
        frames = recorded.readframes(recorded.getnframes())
    left = [frames[at : at + 2] for at in range(0, len(frames), 4)]
    right = [frames[at + 2 : at + 4] for at in range(0, len(frames), 4)]
    assert left.count(b"\x00\x30") == 200 * 24
    assert right.count(b"\x10\x20") == 400 * 24


async def test_a_wrong_key_is_said_in_one_line(start_agent):
    agent = await start_agent()
    with pytest.raises(Unauthenticated, match="no tenant has this key"):
        async with Call(agent.url, "wrong"):
            pass


async def test_nobody_listening_is_said_in_one_line():
    with pytest.raises(Unavailable, match="cannot connect"):
        async with Call("ws://127.0.0.1:9/v1/realtime", "rb_test"):
            pass
