"""Replays a recorded call: `python -m ringback_session.recordings FILE`.

Exit code 0: identical, 1: something differs, 2: not a recording.
"""

import sys
from pathlib import Path

from ringback_session.recordings import BadRecordingError, read, replay


def main(path: str) -> int:
    try:
        recording = read(Path(path).read_bytes().splitlines())
    except (OSError, BadRecordingError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    replayed = replay(recording)
    if replayed.difference is not None:
        print(replayed.difference)
        return 1
    end = "" if replayed.whole else " (the recording has no end: it was cut, or its writer died)"
    print(f"{recording.session_id}: {replayed.steps} steps, identical{end}")
    return 0


sys.exit(main(*sys.argv[1:2]) if len(sys.argv) == 2 else "usage: python -m ringback_session.recordings FILE")
