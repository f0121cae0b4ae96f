"""Owns the choice of loopback ports."""

import random
import socket

from ringback_errors import ConfigError, Unavailable

__all__ = ["free_ports", "require_free"]

# Below the range that kernels give to outgoing connections (Linux: 32768 and up), so that nobody takes a port between
# its choice and its use by chance.
_FIRST, _LAST = 18_000, 32_000
_ATTEMPTS_MAX = 400


def free_ports(count: int, *, host: str = "127.0.0.1") -> list[int]:
    """Return `count` different ports that nobody listens on now."""
    found: list[int] = []
    for _ in range(_ATTEMPTS_MAX):
        if len(found) == count:
            return found
        port = random.randrange(_FIRST, _LAST)
        if port not in found and _is_free(host, port):
            found.append(port)
    raise Unavailable(f"no {count} free ports between {_FIRST} and {_LAST} on {host}")


def require_free(port: int, *, host: str = "127.0.0.1") -> None:
    """Raise ConfigError, with what to do, when somebody listens on the port."""
    if not _is_free(host, port):
        raise ConfigError(
            f"port {port} on {host} is in use; stop what listens there or choose another: make up PORT={port + 1}"
        )


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
