"""Call one gRPC service: deadline, retry, breaker, trace, statuses as errors.

The first attempt pays for none of the machinery of retries; that starts where an attempt failed and may be
repeated.
"""

from ringback_calling.breaker import Breaker, BreakerState
from ringback_calling.breaker_gauge import show_breaker
from ringback_calling.budget import Budget, monotonic_ms
from ringback_calling.channel import Channel
from ringback_calling.leaving import reply_of
from ringback_calling.retry import RetryBudget
from ringback_calling.statuses import to_error

__all__ = [
    "Breaker",
    "BreakerState",
    "Budget",
    "Channel",
    "RetryBudget",
    "monotonic_ms",
    "reply_of",
    "show_breaker",
    "to_error",
]
