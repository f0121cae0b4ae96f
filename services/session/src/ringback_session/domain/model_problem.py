"""What can be wrong with a model that was to serve a call, in words that may be shown to the client.

RingbackError
└── Unavailable
    └── ModelProblem    it is known what is wrong: `problem` is its code
"""

from __future__ import annotations

from typing import Literal

from ringback_errors import Unavailable

__all__ = ["ModelProblem", "Problem"]

Problem = Literal[
    "upstream_unreachable",
    "upstream_auth_refused",
    "upstream_rate_limited",
    "upstream_quota_exhausted",
    "upstream_model_unknown",
    "upstream_busy",
    "upstream_refused",
]


class ModelProblem(Unavailable):
    """The model can not serve. The message names the upstream and never shows a key or a stack."""

    def __init__(self, message: str, *, problem: Problem, retry_after_ms: int | None = None) -> None:
        super().__init__(message, retry_after_ms=retry_after_ms)
        self.problem = problem

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (self.message, self.problem, self.retry_after_ms))


def _rebuild(message: str, problem: Problem, retry_after_ms: int | None) -> ModelProblem:
    return ModelProblem(message, problem=problem, retry_after_ms=retry_after_ms)
