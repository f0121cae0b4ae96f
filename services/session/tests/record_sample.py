"""Makes the recorded call that ships with the tests: `python services/session/tests/record_sample.py`."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))


async def main():
    from test_session_recordings import SAMPLE, recorded_call

    with tempfile.TemporaryDirectory() as folder:
        path, _lines = await recorded_call(Path(folder))
        SAMPLE.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, SAMPLE)


if __name__ == "__main__":
    asyncio.run(main())
