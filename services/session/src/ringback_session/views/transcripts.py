"""What a transcription event of the model tells beyond its words."""

from __future__ import annotations

import math

__all__ = ["confidence_of"]


def confidence_of(logprobs: object) -> float | None:
    """Geometric mean of the tokens' probabilities, 0 to 1; None when the provider gives none."""
    if not isinstance(logprobs, list) or not logprobs:
        return None
    values = [entry.get("logprob") for entry in logprobs if isinstance(entry, dict)]
    numbers = [value for value in values if isinstance(value, (int, float))]
    return math.exp(sum(numbers) / len(numbers)) if numbers else None
