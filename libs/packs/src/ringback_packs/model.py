"""What a pack holds, once it has passed validation. The keys of the YAML files are the fields here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from ringback_packs.findings import Finding

__all__ = [
    "Agent",
    "Breaker",
    "Check",
    "ClientRules",
    "Condition",
    "Connector",
    "Consult",
    "Fallback",
    "FunctionConnector",
    "GrpcConnector",
    "Handoff",
    "HttpConnector",
    "HttpError",
    "Idempotency",
    "McpConnector",
    "MessageRule",
    "Mode",
    "NatsConnector",
    "Pack",
    "Retry",
    "SideEffect",
    "ToolSpec",
    "Upgrade",
]

SideEffect = Literal["read", "write", "irreversible"]
Mode = Literal["live", "background"]
ClientTools = Literal["allow", "confirm", "deny"]
AgentKind = Literal["voice", "text"]


class HttpError(msgspec.Struct, frozen=True, kw_only=True):
    """What an HTTP status means: a code of the closed list, and words that are safe to speak."""

    code: str
    message: str = ""


class HttpConnector(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="http"):
    """An HTTP call from templates.

    Placeholders: `{arguments.x}`, `{action_id}`, `{session_id}`, `{tenant}`; in `result` and in error
    messages `{body.x.y}` and `{status}`; a form for the ear may follow a bar, `{body.amount|money}`. In
    `url` and `query` values are percent-encoded. A text that is one placeholder and nothing else keeps the
    value's type; an optional argument that is absent drops its query or body entry.
    """

    # Names an address in the tools service's settings; `url` is then a path below it.
    base_url_ref: str = ""
    method: str = "GET"
    url: str
    query: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    body: Any = None
    # Shape of the tool's result from the answer; None: the answer's JSON body as it is.
    result: Any = None
    # By HTTP status (400 to 599), or "4xx" / "5xx" for the rest of a class.
    errors: Mapping[str, HttpError] = {}
    # How the tool's credential is sent: "<scheme> <secret>" in this header.
    credential_header: str = "Authorization"
    credential_scheme: str = "Bearer"


class FunctionConnector(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="function"):
    """A Python function, `module:function`."""

    entry_point: str


class GrpcConnector(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="grpc"):
    """A unary gRPC method."""

    target_ref: str
    method: str
    # A file of the pack that holds the method's types; empty: the server tells them by reflection.
    descriptor: str = ""
    request: Any = None
    result: Any = None


class NatsConnector(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="nats"):
    """A request to a team's own worker."""

    subject: str


class McpConnector(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="mcp"):
    """A tool of an MCP server."""

    server_ref: str
    tool: str
    # How the tool's credential is sent to a server over HTTP: "<scheme> <secret>" in this header.
    credential_header: str = "Authorization"
    credential_scheme: str = "Bearer"
    # Where a server that is started over stdio finds it: the name of a variable of its environment.
    credential_env: str = ""


Connector = HttpConnector | FunctionConnector | GrpcConnector | NatsConnector | McpConnector


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """How often, how patiently and on which error codes; one attempt if nothing is said."""

    attempts_max: int = 1
    base_ms: int = 100
    max_ms: int = 2_000
    retry_on: tuple[str, ...] = ("timeout", "tool_unavailable", "overloaded", "rate_limited")


class Idempotency(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the backend itself drops a repetition: `key` sends the action's id in a header of that name."""

    kind: Literal["none", "key"] = "none"
    header: str = ""


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A test of an answer: its status is one of `status` (if any), and the value at `path` is one of `equals`.

    `code` instead is a test of a refusal: the system's own no, with one of these error codes.
    """

    status: tuple[int, ...] = ()
    code: tuple[str, ...] = ()
    # Dotted path into the JSON body; empty: the body is not looked at.
    path: str = ""
    equals: tuple[Any, ...] = ()


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """How to learn whether the effect of an attempt in doubt happened.

    Neither `done_when` nor `not_done_when`: still in doubt, asked again later.
    """

    connector: HttpConnector | FunctionConnector | GrpcConnector | NatsConnector
    done_when: Condition
    not_done_when: Condition | None = None
    timeout_ms: int = 2_000
    # "Not done" counts only this long after the attempt's deadline: until then a late request may arrive.
    settle_ms: int = 3_000


class Fallback(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller gets when the tool cannot answer."""

    kind: Literal["none", "cached", "static", "callback", "person"] = "none"
    # Safe to speak.
    message: str = ""
    # static: the answer.
    data: Any = None
    # cached: the oldest answer that may be given.
    age_max_ms: int = 300_000


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """When calls to the dependency stop, by any of three signs, and how they begin again."""

    # Failed attempts in a row.
    failures_max: int = 5
    # Share of failed attempts within the window, over at least so many.
    rate_max: float = 0.6
    rate_calls_min: int = 20
    window_ms: int = 30_000
    # An attempt that takes longer counts as failed; 0: time does not matter.
    slow_ms: int = 0
    # How long it stays open before probes are let through.
    open_ms: int = 15_000
    half_open_probes: int = 1


class MessageRule(msgspec.Struct, frozen=True, kw_only=True):
    """A sentence for results whose fields have these values; without a condition, for all."""

    say: str
    when: Mapping[str, Any] = {}


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """How arguments that were made for an older version become arguments of this one: rename, drop, then set."""

    # MAJOR.MINOR, older than the tool's own.
    from_version: str
    rename: Mapping[str, str] = {}
    drop: tuple[str, ...] = ()
    # Given to arguments that are absent after renaming.
    set: Mapping[str, Any] = {}


class ToolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one tool."""

    name: str
    # MAJOR.MINOR
    version: str
    description: str
    # JSON Schema (draft 2020-12) of the arguments: an object.
    parameters: Mapping[str, Any]
    # JSON Schema of the result; None: any JSON.
    result: Mapping[str, Any] | None = None
    side_effect: SideEffect
    connector: Connector
    # For the whole action, attempts and waits included.
    deadline_ms: int = 10_000
    attempt_timeout_ms: int = 3_000
    # After this long Execute says that it is slow.
    slow_after_ms: int = 1_500
    retry: Retry = Retry()
    idempotency: Idempotency = Idempotency()
    check: Check | None = None
    # How many run at once on one replica, the floor below which measured slowness does not push that, and how
    # many may wait.
    concurrency_max: int = 16
    concurrency_min: int = 1
    queue_max: int = 32
    fallback: Fallback = Fallback()
    scopes: tuple[str, ...] = ()
    # Names a secret in the tools service's settings; empty: none.
    credential: str = ""
    # What fails together shares a breaker; the tool's name if nothing is said.
    dependency: str = ""
    breaker: Breaker = Breaker()
    # background: Execute answers that the work was taken on; its result follows as a fact.
    mode: Mode = "live"
    # background: no work is taken on while the oldest that waits has waited longer; the fallback is given.
    backlog_window_ms: int = 60_000
    upgrades: tuple[Upgrade, ...] = ()
    # Only for facts and the platform; not offered to the model.
    internal: bool = False
    result_bytes_max: int = 64 * 1024
    # What a result says, first match first: sentences with `{arguments.x}` and `{result.x}`, safe to speak.
    ok_messages: tuple[MessageRule, ...] = ()
    # By error code, or `not_done` for a write that a check found without effect.
    error_messages: Mapping[str, str] = {}

    @property
    def major_version(self) -> int:
        """The part of the version that is in an action's identity."""
        return int(self.version.partition(".")[0])

    @property
    def version_key(self) -> tuple[int, int]:
        """For ordering versions."""
        major, _, minor = self.version.partition(".")
        return int(major), int(minor)

    @property
    def attempted_once(self) -> bool:
        """Whether an attempt in doubt can neither be repeated nor looked up."""
        return self.side_effect != "read" and self.idempotency.kind == "none" and self.check is None


class Handoff(msgspec.Struct, frozen=True, kw_only=True):
    """Another agent, when to hand over to it (words for the model), and what it must be told.

    A reason and a summary are always handed over; `slots` are the contract's values by name, each with the JSON
    Schema of its value, and without the `required` ones the hand-over is not made.
    """

    to: str
    when: str
    slots: Mapping[str, Mapping[str, Any]] = {}
    required: tuple[str, ...] = ()


class Consult(msgspec.Struct, frozen=True, kw_only=True):
    """A text agent that a voice agent may ask, and what happens when no answer comes."""

    agent: str
    # Words for the model.
    when: str
    # Requests to the text model for one answer; the last one is made without tools.
    steps_max: int = 6
    # For the whole answer, its tools included; waiting for the caller's yes does not count.
    deadline_ms: int = 15_000
    # say: the words below; person: the call is handed to a person, with these words.
    fallback: Literal["say", "person"] = "say"
    say: str


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One voice on the line. The role's first line is speakable."""

    name: str
    role: str
    greeting: str = ""
    # Names of tools, `name` (the newest version) or `name@MAJOR.MINOR`.
    tools: tuple[str, ...] = ()
    handoffs: tuple[Handoff, ...] = ()
    voice: str = ""
    # text: no voice on the line, only consulted.
    kind: AgentKind = "voice"
    # Said when the call is handed to it; without it the greeting, unless the agent had the call before.
    takeover: str = ""
    # Whether the model may note values for the call's memory.
    notes: bool = False
    consult: Consult | None = None


class ClientRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a client may bring along."""

    tools: ClientTools = "deny"
    instructions: bool = False


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A validated agent pack."""

    name: str
    version: str
    description: str = ""
    digest: str
    agents: tuple[Agent, ...]
    # Empty if there are no agents.
    default_agent: str = ""
    # Takes the call when a hand-over cannot be made; the default agent if nothing is said.
    generalist: str = ""
    # Agents that may be nested, each handed the call by the one before; handing back unwinds.
    handoff_depth_max: int = 4
    tools: tuple[ToolSpec, ...]
    client: ClientRules = ClientRules()
    # Every file of the pack by its path, `pack.yaml`, `tools.yaml`, `bundle/actions.yaml` …
    files: Mapping[str, bytes]
    warnings: tuple[Finding, ...] = ()

    @property
    def bundle_files(self) -> dict[str, bytes]:
        """The files of the policy bundle, by their name in `bundle/`."""
        prefix = "bundle/"
        return {name[len(prefix) :]: data for name, data in self.files.items() if name.startswith(prefix)}

    @property
    def allow_client_tools(self) -> bool:
        """Whether a client's own tools are let through (perhaps after a confirmation)."""
        return self.client.tools != "deny"

    @property
    def allow_client_instructions(self) -> bool:
        """Whether a client's own instructions are let through."""
        return self.client.instructions

    def agent(self, name: str = "") -> Agent | None:
        """The agent of that name, the default one without a name; None if there is none."""
        wanted = name or self.default_agent
        return next((agent for agent in self.agents if agent.name == wanted), None)

    def tool(self, name: str, version: str = "") -> ToolSpec | None:
        """The tool of that name (`name@MAJOR.MINOR` works too), the newest if no version is given; else None."""
        name, _, pinned = name.partition("@")
        wanted = version or pinned
        found = [tool for tool in self.tools if tool.name == name and wanted in ("", tool.version)]
        return max(found, key=lambda tool: tool.version_key, default=None)

    def tools_of(self, agent: str = "") -> tuple[ToolSpec, ...]:
        """What an agent may use, in the order in which it lists them."""
        found = self.agent(agent)
        specs = (self.tool(reference) for reference in (found.tools if found else ()))
        return tuple(spec for spec in specs if spec is not None)
