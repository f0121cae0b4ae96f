"""Runs tools."""

from ringback_serving import run
from ringback_telemetry import setup_logging

from ringback_tools.bootstrap import serve_tools
from ringback_tools.settings import read_settings


async def main() -> None:
    """Serve until told to stop."""
    settings = read_settings()
    setup_logging("tools", settings.log_level, instance=settings.instance)
    await serve_tools(settings)


if __name__ == "__main__":
    run(main)
