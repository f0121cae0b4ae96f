"""The clients and the scenes that every one of them plays."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["CLIENTS", "SCENES", "Client", "Row", "Scene"]

HERE = Path(__file__).parent
VAR = Path(__file__).resolve().parents[3] / "var" / "clients"
# Long enough to be cut, in words that are said only when the agent is asked what it can do.
ABILITIES = (
    "You are the harbour office.\n"
    "I can tell you about every boat that lies in the harbour, when it came in and where it is bound for, which of "
    "the piers are free this week and what a night there costs, and how the wind and the tide will be tomorrow "
    "morning, at noon and in the late evening."
)
WEATHER: dict[str, Any] = {
    "schema": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "description": "City name", "enum": ["Paris", "Rome"]}},
            "required": ["city"],
        },
    },
    "answer": {"message": "It is sunny in Paris."},
}


@dataclass(frozen=True)
class Client:
    """A released client: how its driver is started, and the environment that it lives in."""

    name: str
    environment: str
    driver: str
    package: str
    text_only: bool = False

    @property
    def folder(self) -> Path:
        return VAR / self.environment

    @property
    def is_there(self) -> bool:
        return (self.folder / ".ready").exists()

    @property
    def is_node(self) -> bool:
        return self.driver.endswith(".mjs")

    @property
    def interpreter(self) -> str:
        return shutil.which("node") or "node" if self.is_node else str(self.folder / "bin" / "python")

    def command(self) -> list[str]:
        """How its driver is run. Node looks for packages beside the file that imports them."""
        if self.is_node:
            shutil.copy(HERE / "node" / self.driver, self.folder / self.driver)
            return [self.interpreter, str(self.folder / self.driver)]
        return [self.interpreter, str(HERE / "drivers" / self.driver)]

    @property
    def version(self) -> str:
        """Of the package that is installed; "-" if none is."""
        if not self.is_there:
            return "-"
        if self.is_node:
            about = self.folder / "node_modules" / self.package / "package.json"
            return str(json.loads(about.read_text())["version"])
        name = self.package.replace("-", "_")
        [folder] = self.folder.glob(f"lib/python*/site-packages/{name}-*.dist-info")
        return folder.name.removesuffix(".dist-info").rsplit("-", 1)[1]


@dataclass(frozen=True)
class Scene:
    """What the user says, and what must come of it. `speak` and `cut_in` are lines that the caller's voice says."""

    name: str
    pack: str
    until: str
    say: str = ""
    speak: str = ""
    cut_in: str = ""
    cut_in_after_ms: int = 0
    instructions: str = ""
    text_only: bool = False
    tool: dict[str, Any] | None = field(default=None, hash=False)

    def task(self, client: Client, *, host: str, key: str, speech: Callable[[str], Path]) -> dict[str, Any]:
        """What the driver is told."""
        return {
            "host": host,
            "path": f"/p/{self.pack}/v1",
            "key": key,
            "until": self.until,
            "instructions": self.instructions,
            "say": self.say,
            "speak": str(speech(self.speak)) if self.speak else "",
            "cut_in": str(speech(self.cut_in)) if self.cut_in else "",
            "cut_in_after_ms": self.cut_in_after_ms,
            "text_only": self.text_only and client.text_only,
            "tool": self.tool,
        }


@dataclass(frozen=True)
class Row:
    """One line of the table of results."""

    client: str
    version: str
    scene: str
    outcome: str
    events: int
    errors: int
    seconds: float


CLIENTS = [
    Client("openai (async)", "openai", "drive_openai_async.py", "openai", text_only=True),
    Client("openai (sync)", "openai", "drive_openai_sync.py", "openai", text_only=True),
    Client("openai-agents", "openai-agents", "drive_openai_agents.py", "openai-agents"),
    Client("pipecat", "pipecat", "drive_pipecat.py", "pipecat-ai"),
    Client("livekit", "livekit", "drive_livekit.py", "livekit-plugins-openai"),
    Client("agents-js", "agents-js", "drive_agents_js.mjs", "@openai/agents-realtime"),
]

SCENES = [
    Scene("text", "passthrough", r"\w", say="Hello there", text_only=True),
    Scene(
        "spoken turn",
        "passthrough",
        "boats",
        speak="Hello, how can you help me?",
        instructions="You are the harbour office.\nI can tell you which boats lie in the harbour.",
    ),
    Scene("own tool", "passthrough", "sunny", say="What is the weather in Paris?", tool=WEATHER),
    Scene("server tool", "airline", "boston", say="Please look up reservation 482915."),
    Scene(
        "spoken tool",
        "airline",
        "boston",
        speak="Please look up reservation four eight two, nine one five.",
    ),
    Scene(
        "barge-in",
        "passthrough",
        "welcome",
        say="What can you do?",
        cut_in="Thank you very much, that is all.",
        cut_in_after_ms=1500,
        instructions=ABILITIES,
    ),
    Scene(
        "agent cut",
        "airline",
        "welcome",
        say="Please look up reservation 482915.",
        cut_in="Thank you very much, that is all.",
        cut_in_after_ms=1500,
    ),
]
