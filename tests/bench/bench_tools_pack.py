"""The pack of the tools bench: a no-op write, a tool of a healthy dependency, and reads and writes of an ill one."""

from __future__ import annotations

__all__ = ["PACK", "TOOLS"]

PACK = """
name: benchtools
version: 1.0.0
agents: [{name: desk, role: I help., tools: [noop, well, ill, pay, book]}]
"""
TOOL = """
  - name: %(name)s
    version: 1.0
    description: For measuring.
    side_effect: %(side_effect)s
    parameters: {type: object, additionalProperties: false, properties: {service: {type: string}}}
    dependency: %(dependency)s
    connector: {kind: grpc, target_ref: %(dependency)s, method: grpc.health.v1.Health/Check%(asked)s}
    deadline_ms: 4000
    attempt_timeout_ms: 1000
    concurrency_max: 16
    %(more)s
"""
ILL = (
    "retry: {attempts_max: 3, base_ms: 50, max_ms: 500}\n"
    "    breaker: {failures_max: 5, rate_max: 0.5, rate_calls_min: 20, window_ms: 10000, open_ms: 2000}"
)
KEY = "\n    idempotency: {kind: key, header: Idempotency-Key}"
CHECK = """
    check:
      connector: {kind: grpc, target_ref: bad, method: grpc.health.v1.Health/Check, request: {service: "{action_id}"}}
      done_when: {path: status, equals: SERVING}
      not_done_when: {path: status, equals: NOT_SERVING}
      settle_ms: 500
"""
BOOKED = ', request: {service: "book:{action_id}"}'
TOOLS = "tools:" + "".join(
    TOOL % ({"asked": ""} | values)
    for values in (
        {
            "name": "noop",
            "side_effect": "write",
            "dependency": "good",
            "more": "idempotency: {kind: key, header: Idempotency-Key}",
        },
        {"name": "well", "side_effect": "read", "dependency": "good", "more": "retry: {attempts_max: 3}"},
        {
            "name": "ill",
            "side_effect": "read",
            "dependency": "bad",
            "more": ILL,
        },
        {"name": "pay", "side_effect": "write", "dependency": "bad", "more": ILL + KEY + CHECK},
        {"name": "book", "side_effect": "write", "dependency": "bad", "more": ILL + CHECK, "asked": BOOKED},
    )
)
