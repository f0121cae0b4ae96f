"""Run one service: settings, gRPC server, health, deadlines, errors as statuses, drain.

A service hands its servicers to `serve`; it builds no server, health, signal handling or interceptors of its
own.
"""

from ringback_serving.deadline import deadline_ms, detach
from ringback_serving.health import Health
from ringback_serving.run import run, settle
from ringback_serving.serve import announce, serve
from ringback_serving.settings import CommonSettings, Env, ServingSettings, TlsFiles

__all__ = [
    "CommonSettings",
    "Env",
    "Health",
    "ServingSettings",
    "TlsFiles",
    "announce",
    "deadline_ms",
    "detach",
    "run",
    "serve",
    "settle",
]
