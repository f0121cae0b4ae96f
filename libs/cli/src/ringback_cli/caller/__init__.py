"""A caller that speaks: a Realtime client with a microphone, a loudspeaker and a clock that counts samples.

`Call` is one call over one connection; `play_script` lets a script drive it. Tests use both, faster than real time.
"""

from ringback_cli.caller.audio import FRAME_MS, FRAME_SAMPLES, SAMPLE_RATE, StereoRecording
from ringback_cli.caller.call import Call, CallEnded, CallLine
from ringback_cli.caller.client import RealtimeClient, realtime_url
from ringback_cli.caller.playback import Cut, Playback, SpokenItem
from ringback_cli.caller.player import ScriptFailed, play_script
from ringback_cli.caller.script import Script, load_script
from ringback_cli.caller.voice import CallerVoice

__all__ = [
    "FRAME_MS",
    "FRAME_SAMPLES",
    "SAMPLE_RATE",
    "Call",
    "CallEnded",
    "CallLine",
    "CallerVoice",
    "Cut",
    "Playback",
    "RealtimeClient",
    "Script",
    "ScriptFailed",
    "SpokenItem",
    "StereoRecording",
    "load_script",
    "play_script",
    "realtime_url",
]
