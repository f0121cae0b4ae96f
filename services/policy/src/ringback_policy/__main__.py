"""Runs policy; with arguments, the author's command: check, test or explain a bundle."""

import sys

from ringback_serving import run
from ringback_telemetry import setup_logging

from ringback_policy.bootstrap import author, serve_policy
from ringback_policy.settings import read_settings


async def main() -> None:
    """Serve until told to stop."""
    settings = read_settings()
    setup_logging("policy", settings.log_level, instance=settings.instance)
    await serve_policy(settings)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(author(sys.argv[1:]))
    run(main)
