"""Runs tools."""

import os

from ringback_serving import run
from ringback_telemetry import setup_logging

from ringback_tools.bootstrap import serve_tools
from ringback_tools.settings import ToolsSettings


async def main() -> None:
    """Serve until told to stop."""
    settings = ToolsSettings.from_env(os.environ)
    setup_logging("tools", settings.log_level, instance=settings.instance)
    await serve_tools(settings)


if __name__ == "__main__":
    run(main)
