"""Starts session: `python -m ringback_session`."""

from ringback_serving import run

from ringback_session.bootstrap import run_session
from ringback_session.settings import load


async def main() -> None:
    await run_session(load())


if __name__ == "__main__":
    run(main)
