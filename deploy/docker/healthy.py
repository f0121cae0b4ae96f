"""Asks the program in this container whether it can be used; exit code 0 says yes.

healthy.py grpc PORT: grpc.health.v1, whose answer includes what the service depends on.
healthy.py http PORT: GET /healthz.
"""

import sys

TIMEOUT_S = 3.0
# HealthCheckResponse{status: SERVING} on the wire; without the generated code the probe starts in half the time.
SERVING = b"\x08\x01"


def ask_grpc(port: int) -> bool:
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes]
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        try:
            return check(b"", timeout=TIMEOUT_S) == SERVING
        except grpc.RpcError:
            return False


def ask_http(port: int) -> bool:
    import socket

    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S) as connection:
            connection.sendall(request)
            return connection.recv(64).split(b" ", 2)[1:2] == [b"200"]
    except OSError:
        return False


if __name__ == "__main__":
    ask = {"grpc": ask_grpc, "http": ask_http}[sys.argv[1]]
    sys.exit(0 if ask(int(sys.argv[2])) else 1)
