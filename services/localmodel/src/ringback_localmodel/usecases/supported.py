"""What of the protocol this server cannot do yet, said as errors before anything changes."""

from ringback_realtime import ResponseParams, SessionConfig, Tool, invalid_value

__all__ = ["check_response", "check_session"]


def check_session(config: SessionConfig) -> None:
    """Raises ProtocolError for a configuration that is valid but not supported here."""
    _check_tools(config.tools, param="session.tools")
    if config.speed != 1.0:
        raise invalid_value("session.audio.output.speed", "this server speaks at speed 1.0 only")


def check_response(params: ResponseParams) -> None:
    """Raises ProtocolError for a response that is valid but not supported here."""
    _check_tools(params.tools, param="response.tools")


def _check_tools(tools: tuple[Tool, ...], *, param: str) -> None:
    for index, tool in enumerate(tools):
        if tool["type"] != "function":
            raise invalid_value(f"{param}[{index}].type", "this server calls functions only, no mcp tools")
