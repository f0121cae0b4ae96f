"""The gRPC face."""

from ringback_tools.server.servicer import SERVICE_NAME, ToolsServicer, register

__all__ = ["SERVICE_NAME", "ToolsServicer", "register"]
