"""Words and tools that several checks use."""

from __future__ import annotations

from typing import Any

__all__ = ["LONG", "WEATHER", "WEATHER_QUESTION"]

# About half a minute of speech: long enough for a response to be met half way.
LONG = (
    "This is a long story about a small boat on a wide river. It left the harbour early in the morning, when the fog "
    "was still lying on the water. An old fisherman stood at the oars, and next to him sat a grey cat. They passed "
    "the mill, the bridge and the last houses of the village. In the evening they came to the sea, and there they "
    "stayed for the night. The next day the wind had turned, and the way home was twice as long as the way there."
)
WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "Get the weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "City name", "enum": ["Paris", "Rome"]}},
        "required": ["city"],
    },
}
WEATHER_QUESTION = "What is the weather in Paris?"
