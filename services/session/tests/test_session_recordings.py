"""Recorded calls: replayed bit for bit, or the first step that differs; bounded; without secrets and audio."""

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import orjson
import pytest
from msgspec.structs import replace
from ringback_session.adapters.recordings_file import SUFFIX, FileRecorder, recorders
from ringback_session.domain import inputs as ev
from ringback_session.domain.inputs import At
from ringback_session.domain.rules import TurnRules
from ringback_session.recordings import BadRecordingError, read, replay
from session_call_kit import World, append, client_event
from session_core_kit import PROOF, START_MS, CoreCall, new_state

TOKEN = b"resume-me-not"
SAMPLE = Path(__file__).parent / "data" / f"cancellation{SUFFIX}"


async def recorded_call(folder):
    """A cancellation with a read-back, a barge-in and a typed turn; returns its lines."""
    world = World()
    world.recorder = recorders(folder)
    calls = world.replica("session-0")
    call, _client = await world.start(calls=calls, token=TOKEN)
    call.client_frame(append())
    up = world.upstream
    up.hears("Cancel 482915.")
    await world.settle()
    up.replies("", calls=[("cancel_reservation", {"reservation": "482915"})])
    await world.settle()
    up.speaks()
    await world.settle()
    for _ in range(50):
        call.client_frame(append())
    up.hears("Yes.")
    await world.settle()
    up.replies("It is cancelled.", chunks=9)
    up.hears("Thanks.")
    await world.settle()
    call.client_frame(client_event("response.create"))
    call.end("client_closed")
    await world.settle()
    await world.close()
    (path,) = folder.glob(f"*{SUFFIX}")
    return path, path.read_bytes().splitlines()


async def test_a_recorded_call_is_replayed_bit_for_bit(tmp_path):
    path, lines = await recorded_call(tmp_path / "recordings")
    replayed = replay(read(lines))
    assert replayed.difference is None, str(replayed.difference)
    assert replayed.whole
    assert replayed.steps == len(lines) - 2 > 40
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


async def test_a_recording_holds_neither_audio_nor_secrets(tmp_path):
    _, lines = await recorded_call(tmp_path)
    text = b"\n".join(lines).decode()
    assert PROOF["mac"] == "00ff"
    assert '"mac":"00ff"' not in text
    assert '"mac":"sha256:' in text
    assert "AAEAAQAB" not in text, "the caller's audio"
    for form in (TOKEN.decode(), TOKEN.hex(), b64encode(TOKEN).decode()):
        assert form not in text


def test_the_recording_that_ships_can_be_read_and_replayed_to_its_end_or_to_a_difference():
    """A later core may do something else: then the difference can be told, and record_sample makes a new one."""
    recording = read(SAMPLE.read_bytes().splitlines())
    assert recording.session_id == "sess_1"
    replayed = replay(recording)
    assert replayed.steps
    assert replayed.difference is None or "differs" in str(replayed.difference)


def test_the_first_step_that_differs_is_told_with_a_diff():
    recording = read(SAMPLE.read_bytes().splitlines())
    step = next(step for step in recording.steps if isinstance(step.event, ev.UtteranceHeard))
    at = recording.steps.index(step)
    other = replace(step, event=replace(step.event, text="Something else."))
    changed = replace(recording, steps=(*recording.steps[:at], other, *recording.steps[at + 1 :]))
    replayed = replay(changed)
    assert replayed.difference is not None
    assert replayed.steps <= at + 1
    if replayed.steps == at + 1:
        told = str(replayed.difference)
        assert f"step {at + 1} (line {step.line}) differs" in told
        assert "Something else." in told
        assert any(line.strip().startswith("+") for line in replayed.difference.diff)


def recorder(tmp_path, **bounds):
    path = tmp_path / f"one{SUFFIX}"
    state = new_state(rules=TurnRules())
    return path, state, FileRecorder(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), state, **bounds)


def test_a_recording_is_cut_at_its_bound_and_says_so(tmp_path):
    path, state, recording = recorder(tmp_path, bytes_max=6_000)
    call = CoreCall(state=state, started=False)
    for number in range(200):
        event, at = ev.TimerFired(name=f"no such timer {number}"), At(now_ms=START_MS + number)
        recording.step(event, at, call.do(event))
    recording.close()
    assert path.stat().st_size < 6_200
    read_again = read(path.read_bytes().splitlines())
    assert read_again.end is not None
    assert not read_again.end.state
    replayed = replay(read_again)
    assert (replayed.difference, replayed.whole) == (None, False)
    assert 0 < replayed.steps < 200


def test_a_recording_whose_writer_died_is_replayed_as_far_as_it_goes(tmp_path):
    path, state, recording = recorder(tmp_path)
    call = CoreCall(state=state, started=False)
    recording.step(ev.CallStarted(), At(now_ms=START_MS), call.do(ev.CallStarted()))
    replayed = replay(read(path.read_bytes().splitlines()))
    assert (replayed.steps, replayed.difference, replayed.whole) == (1, None, False)
    recording.close()


def test_another_state_at_the_end_is_a_difference(tmp_path):
    lines = SAMPLE.read_bytes().splitlines()
    end = orjson.loads(lines[-1])
    end["end"]["state"] = "0" * 64
    replayed = replay(read([*lines[:-1], orjson.dumps(end)]))
    assert replayed.difference is not None


def test_the_oldest_recordings_go_when_there_are_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr("ringback_session.adapters.recordings_file.FILES_MAX", 3)
    make = recorders(tmp_path)
    for number in range(5):
        make(new_state(session_id=f"sess_{number}")).close()
    kept = {path.name.partition(".")[0] for path in tmp_path.glob(f"*{SUFFIX}")}
    assert len(kept) == 3
    assert "sess_4" in kept


def test_a_folder_that_cannot_be_written_to_costs_the_recording_and_not_the_call(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    recording = recorders(tmp_path / "file")(new_state())
    recording.step(ev.CallStarted(), At(now_ms=START_MS), [])
    recording.close()


HEADER = SAMPLE.read_bytes().splitlines()[0] if SAMPLE.exists() else b"{}"


@pytest.mark.parametrize(
    ("lines", "line", "what"),
    [
        ([], 1, "not the JSON of a recording's header"),
        ([b"RIFF\x00\x00"], 1, "not the JSON of a recording's header"),
        ([b'{"type":"session.update"}'], 1, '"format": "ringback.call" expected'),
        ([HEADER.replace(b'"version":1', b'"version":9')], 1, "version 1 expected, got 9"),
        ([HEADER.replace(b'"core":1', b'"core":99')], 1, "made by a newer core (99"),
        (
            [b'{"format":"ringback.call","version":1,"core":1,"session_id":"s","snapshot":"AAAA"}'],
            1,
            "snapshot",
        ),
        ([HEADER, b'{"at":[1,2],"input":{"type":"NoSuchInput"},"effects":[]}'], 2, "NoSuchInput"),
        ([HEADER, b"", b'{"at":[1,2]}'], 3, "input"),
        ([HEADER, b'{"at":[1,2],"input":{"type":"CallStarted"},"eff'], 2, "truncated"),
        ([HEADER, b'{"end":{"steps":0}}', b'{"end":{"steps":0}}'], 3, "nothing expected after the end"),
        ([HEADER, b'{"end":{"steps":7}}'], 2, "7 steps expected"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_line(lines, line, what):
    with pytest.raises(BadRecordingError) as error:
        read(lines)
    assert error.value.line == line
    assert what in str(error.value)


def test_the_program_says_identical_what_differs_or_what_is_wrong(tmp_path):
    def run(path):
        done = subprocess.run(
            [sys.executable, "-m", "ringback_session.recordings", str(path)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    path, _, recording = recorder(tmp_path)
    recording.close()
    assert run(path) == (0, "sess_test: 0 steps, identical\n")
    path.write_bytes(path.read_bytes().replace(b'"state":"', b'"state":"f'))
    code, told = run(path)
    assert code == 1
    assert "differs" in told
    path.write_bytes(b"\n\nnothing\n")
    code, told = run(path)
    assert code == 2
    assert "line 3: " in told
    assert run(tmp_path / "missing")[0] == 2
