"""The one registry: every span, attribute, event and metric name that this project emits.

Add a constant here with one sentence on it, then use the constant; a name that is not here is refused where
it is used. Attributes follow the OpenTelemetry semantic conventions where these have a name (``rpc.*``,
``messaging.*``, ``gen_ai.*``, ``error.type``); ours start with ``ringback.``. Units stand last in a
constant's name and apart from the metric's name, as OpenTelemetry wants it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeVar

_T = TypeVar("_T")

SPANS: Final[dict[str, str]] = {}
EVENTS: Final[dict[str, str]] = {}
ATTRIBUTES: Final[dict[str, str]] = {}
METRICS: Final[dict[str, MetricName]] = {}

GRPC_PREFIX: Final = "grpc "
"""Spans of calls are named ``grpc <package>.<Service>/<Method>``, one name on both sides of the hop."""


@dataclass(frozen=True, slots=True)
class MetricName:
    """What the registry holds of a metric."""

    kind: Literal["histogram", "counter", "gauge"]
    unit: str
    description: str
    bounds: tuple[float, ...] = ()


def _span(name: str, description: str) -> str:
    return _add(SPANS, name, description)


def _event(name: str, description: str) -> str:
    return _add(EVENTS, name, description)


def _attr(name: str, description: str) -> str:
    return _add(ATTRIBUTES, name, description)


def _histogram(name: str, unit: str, bounds: tuple[float, ...], description: str) -> str:
    return _add(METRICS, name, MetricName("histogram", unit, description, bounds))


def _counter(name: str, unit: str, description: str) -> str:
    return _add(METRICS, name, MetricName("counter", unit, description))


def _gauge(name: str, unit: str, description: str) -> str:
    return _add(METRICS, name, MetricName("gauge", unit, description))


def _add(registry: dict[str, _T], name: str, value: _T) -> str:
    if name in registry:
        raise ValueError(f"{name!r} is in the registry twice")
    registry[name] = value
    return name


class Span:
    """Names of spans. A call's span is `grpc_span`."""

    SESSION: Final = _span("session", "One connection of one session, from accept to close.")
    TURN: Final = _span("turn", "One turn, from the first event that belongs to it to its last effect.")
    SPEAK: Final = _span("speak", "Our own words (greeting, filler, read-back) from request to last audio.")
    JOURNAL_WRITE: Final = _span("journal.write", "The session's record, written by compare-and-set.")
    SESSION_RESUME: Final = _span("session.resume", "Taking over a session at a new epoch.")
    MODEL_CONNECT: Final = _span("model.connect", "Opening a connection to the realtime model.")
    MODEL_ROTATE: Final = _span("model.rotate", "Replacing the model's connection at a turn boundary.")
    ACTION: Final = _span("action", "One action, from the model's call to its result.")
    HANDOFF: Final = _span("handoff", "A hand-over to an agent or a person, from the wish for it to its end.")
    SUPERVISOR_STEP: Final = _span("supervisor.step", "One request to the text model of a consultation.")
    SPEECH_PORT: Final = _span(
        "speech.port", "Our own words from text to speech: the model did not say them."
    )
    POLICY_DECIDE: Final = _span("policy.decide", "One decision, inside policy.")
    POLICY_READ_CONSENT: Final = _span("policy.read_consent", "Reading one answer to a read-back.")
    POLICY_COMPOSE: Final = _span("policy.compose", "Composing an agent's instructions from the layers.")
    TOOLS_EXECUTE: Final = _span("tools.execute", "One execution, from admission to stored outcome.")
    TOOLS_ATTEMPT: Final = _span("tools.attempt", "One attempt of a connector at the system behind a tool.")
    TOOLS_CHECK: Final = _span("tools.check", "Finding out what became of an attempt whose answer was lost.")
    MEMORY_FOLD: Final = _span("memory.fold", "Folding one event into a session's state.")
    MEMORY_CONTEXT: Final = _span("memory.context", "Choosing what fits a token budget.")
    MEMORY_COMPACT: Final = _span("memory.compact", "Folding older turns into the summary.")
    NATS_PUBLISH: Final = _span("nats.publish", "Handing one message to the bus.")
    NATS_PROCESS: Final = _span("nats.process", "Handling one message from the bus.")
    SPEECH_TRANSCRIBE: Final = _span("speech.transcribe", "Speech to text, one utterance.")
    SPEECH_SYNTHESIZE: Final = _span("speech.synthesize", "Text to speech, one reply or sentence.")
    MODEL_REPLY: Final = _span("model.reply", "The local model's reply, from commit to done.")


class Event:
    """Names of events inside a span."""

    FIRST_AUDIO: Final = _event("first_audio", "The first audio byte of the reply left for the caller.")
    INTERRUPTED: Final = _event("interrupted", "The caller spoke over the agent.")
    RETRY: Final = _event("retry", "A call or attempt failed and another one is made.")
    NEEDS_FACTS: Final = _event("needs_facts", "Policy asked for facts before it decides.")
    FILLER: Final = _event("filler", "A filler was spoken.")
    DEGRADED: Final = _event("degraded", "A declared fallback was taken.")


class Attr:
    """Names of attributes, of spans and of metrics."""

    # OpenTelemetry semantic conventions
    SERVICE_NAME: Final = _attr("service.name", "The service.")
    SERVICE_INSTANCE_ID: Final = _attr("service.instance.id", "The replica.")
    SERVICE_VERSION: Final = _attr("service.version", "The release.")
    ERROR_TYPE: Final = _attr("error.type", "The code of the error vocabulary, or an exception's class.")
    RPC_SYSTEM_NAME: Final = _attr("rpc.system.name", "Always grpc.")
    RPC_METHOD: Final = _attr("rpc.method", "The method with its service, package.Service/Method.")
    RPC_RESPONSE_STATUS_CODE: Final = _attr("rpc.response.status_code", "The gRPC status, as a word.")
    SERVER_ADDRESS: Final = _attr("server.address", "Host that is called.")
    SERVER_PORT: Final = _attr("server.port", "Port that is called.")
    MESSAGING_SYSTEM: Final = _attr("messaging.system", "Always nats.")
    MESSAGING_OPERATION_TYPE: Final = _attr("messaging.operation.type", "send or process.")
    MESSAGING_OPERATION_NAME: Final = _attr("messaging.operation.name", "publish or process.")
    MESSAGING_DESTINATION_NAME: Final = _attr("messaging.destination.name", "The subject.")
    MESSAGING_DESTINATION_TEMPLATE: Final = _attr("messaging.destination.template", "The subject's pattern.")
    MESSAGING_MESSAGE_ID: Final = _attr("messaging.message.id", "Nats-Msg-Id.")
    MESSAGING_CONSUMER_GROUP_NAME: Final = _attr("messaging.consumer.group.name", "The durable consumer.")
    GEN_AI_OPERATION_NAME: Final = _attr("gen_ai.operation.name", "chat, execute_tool …")
    GEN_AI_PROVIDER_NAME: Final = _attr("gen_ai.provider.name", "Who serves the model.")
    GEN_AI_REQUEST_MODEL: Final = _attr("gen_ai.request.model", "The model asked for.")
    GEN_AI_RESPONSE_ID: Final = _attr("gen_ai.response.id", "The model's id of the response.")
    GEN_AI_USAGE_INPUT_TOKENS: Final = _attr("gen_ai.usage.input_tokens", "Tokens billed in.")
    GEN_AI_USAGE_OUTPUT_TOKENS: Final = _attr("gen_ai.usage.output_tokens", "Tokens billed out.")
    GEN_AI_CONVERSATION_ID: Final = _attr("gen_ai.conversation.id", "The session, for GenAI tooling.")
    GEN_AI_AGENT_NAME: Final = _attr("gen_ai.agent.name", "The agent that speaks.")
    GEN_AI_TOOL_NAME: Final = _attr("gen_ai.tool.name", "The tool, as the model names it.")
    GEN_AI_TOOL_CALL_ID: Final = _attr("gen_ai.tool.call.id", "The model's id of the function call.")

    # ours: who and what
    TENANT: Final = _attr("ringback.tenant", "The tenant.")
    SESSION_ID: Final = _attr("ringback.session_id", "The session.")
    EPOCH: Final = _attr("ringback.epoch", "The ownership of the session.")
    SEQ: Final = _attr("ringback.seq", "Order of an event within an epoch.")
    TURN_ID: Final = _attr("ringback.turn_id", "The turn.")
    RESPONSE_ID: Final = _attr("ringback.response_id", "The reply.")
    ACTION_ID: Final = _attr("ringback.action_id", "The intended effect.")
    DECISION_ID: Final = _attr("ringback.decision_id", "The decision.")
    CONSENT_ID: Final = _attr("ringback.consent_id", "The read-back and its answer.")
    AGENT: Final = _attr("ringback.agent", "The agent that speaks.")
    TO_AGENT: Final = _attr(
        "ringback.to_agent", "The agent that a hand-over led to; person for none of ours."
    )
    PACK: Final = _attr("ringback.pack", "Name of the agent pack.")
    PACK_DIGEST: Final = _attr("ringback.pack_digest", "Digest of the agent pack.")
    BUNDLE_DIGEST: Final = _attr("ringback.bundle_digest", "Digest of the policy bundle.")

    # ours: what happened
    EVENT_KIND: Final = _attr("ringback.event_kind", "Kind of a fact on the bus.")
    TOOL: Final = _attr("ringback.tool", "The tool.")
    TOOL_VERSION: Final = _attr("ringback.tool_version", "Its version.")
    SIDE_EFFECT: Final = _attr("ringback.side_effect", "read, write or irreversible.")
    CONNECTOR: Final = _attr("ringback.connector", "How the tool is reached.")
    DEPENDENCY: Final = _attr("ringback.dependency", "The system that a call or tool depends on.")
    ATTEMPT: Final = _attr("ringback.attempt", "1 for the first attempt.")
    ATTEMPTS: Final = _attr("ringback.attempts", "Attempts made in all.")
    ALERT: Final = _attr("ringback.alert", "Name of an alert: auth, job_backlog.")
    OUTCOME: Final = _attr("ringback.outcome", "How it ended.")
    GATE: Final = _attr("ringback.gate", "The policy gate.")
    EFFECT: Final = _attr("ringback.effect", "ALLOW, DENY, CONFIRM or ESCALATE.")
    RULE: Final = _attr("ringback.rule", "The rule that decided.")
    LAYER: Final = _attr("ringback.layer", "The policy layer of that rule.")
    RULES: Final = _attr("ringback.rules", "Number of rules evaluated.")
    CONSENT_READING: Final = _attr("ringback.consent_reading", "YES, NO, CORRECTION or UNCLEAR.")
    SOURCE: Final = _attr("ringback.source", "Where a decision or value comes from.")
    REASON: Final = _attr("ringback.reason", "Why, as a short code.")
    SPEAK_KIND: Final = _attr("ringback.speak_kind", "greeting, filler, read_back, bridge …")
    BREAKER_STATE: Final = _attr("ringback.breaker_state", "closed, open or half_open.")
    REDELIVERED: Final = _attr("ringback.redelivered", "Whether a message came before.")
    TOKENS: Final = _attr("ringback.tokens", "Tokens of a context.")
    BYTES: Final = _attr("ringback.bytes", "Bytes.")
    TURNS: Final = _attr("ringback.turns", "Number of turns.")
    TOKEN_KIND: Final = _attr("ringback.token_kind", "text_in, text_cached, text_out, audio_in …")
    SCOPE: Final = _attr("ringback.scope", "Whose budget: session or tenant.")
    LEVEL: Final = _attr("ringback.level", "Which limit: soft or hard.")


_MS: Final = (1, 2.5, 5, 10, 25, 50, 100, 150, 250, 400, 600, 1000, 1500, 2500, 5000, 10_000, 30_000)
_TOKENS: Final = (100, 250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000)
_COUNTS: Final = (0, 1, 2, 5, 10, 25, 50, 100, 250, 1000)


class Metric:
    """Names of metrics; kind, unit and bounds are in `METRICS`."""

    FIRST_AUDIO_MS: Final = _histogram(
        "ringback.turn.first_audio", "ms", _MS, "End of the caller's speech to the first audio of the reply."
    )
    POLICY_WAIT_MS: Final = _histogram("ringback.policy.wait", "ms", _MS, "The wait for a decision.")
    POLICY_DECIDE_MS: Final = _histogram("ringback.policy.decide", "ms", _MS, "A decision, inside policy.")
    TOOL_MS: Final = _histogram("ringback.tool.time", "ms", _MS, "An action, from Execute to its result.")
    TOOL_ATTEMPT_MS: Final = _histogram("ringback.tool.attempt", "ms", _MS, "One attempt of a connector.")
    INTERRUPT_STOP_MS: Final = _histogram(
        "ringback.interruption.stop", "ms", _MS, "The caller's speech over the agent to the last audio sent."
    )
    HANDOFF_MS: Final = _histogram(
        "ringback.handoff.time", "ms", _MS, "From asking for another agent until it holds the call."
    )
    SPEECH_PORT_MS: Final = _histogram(
        "ringback.speech.port",
        "ms",
        _MS,
        "Our own words from text to speech, from request to all of the audio.",
    )
    FILLER_GAP_MS: Final = _histogram(
        "ringback.filler.gap", "ms", _MS, "Longest silence that the caller met while an action ran."
    )
    JOURNAL_WRITE_MS: Final = _histogram("ringback.journal.write", "ms", _MS, "Writing the session's record.")
    CONTEXT_TOKENS: Final = _histogram(
        "ringback.context.tokens", "{token}", _TOKENS, "Tokens of the context given to the model, per turn."
    )
    TOKENS_BILLED: Final = _counter("ringback.tokens.billed", "{token}", "Tokens billed by the model.")
    MODEL_CONNECTS: Final = _counter(
        "ringback.model.connects", "{connection}", "Connections to an upstream: what for, and how it went."
    )
    MODEL_CONNECT_MS: Final = _histogram(
        "ringback.model.connect", "ms", _MS, "Dialling an upstream until its model has greeted."
    )
    COST_USD: Final = _counter("ringback.cost", "USD", "Known cost of what the model used.")
    UNPRICED: Final = _counter(
        "ringback.tokens.unpriced", "{token}", "Tokens, and ms of audio, that no price is known for."
    )
    BUDGETS_CROSSED: Final = _counter("ringback.budgets.crossed", "{limit}", "Limits of budgets reached.")
    FOLD_LAG: Final = _gauge("ringback.memory.fold_lag", "{event}", "Events published, not folded yet.")
    FOLD_MS: Final = _histogram("ringback.memory.fold", "ms", _MS, "Folding one event.")
    BREAKER_STATE: Final = _gauge(
        "ringback.breaker.state", "{state}", "0 closed, 1 half open, 2 open, per dependency."
    )
    SPOOL_DEPTH: Final = _gauge("ringback.spool.depth", "{message}", "Messages waiting for the bus, on disk.")
    PUBLISH_UNACKED: Final = _gauge("ringback.publish.unacked", "{message}", "Messages sent, not yet acked.")
    LOOP_LAG_MS: Final = _histogram("ringback.loop.lag", "ms", _MS, "How late the loop runs its timers.")
    SESSIONS: Final = _gauge("ringback.sessions", "{session}", "Sessions that this replica owns.")
    TURNS: Final = _counter("ringback.turns", "{turn}", "Turns that ended.")
    TURN_SPANS: Final = _histogram("ringback.turn.spans", "{span}", _COUNTS, "Spans made for one turn.")
    TURN_RULES: Final = _counter("ringback.turn.rules", "{rule}", "Turn rules that took effect, by outcome.")
    DECISIONS: Final = _counter("ringback.decisions", "{decision}", "Decisions, by effect and rule.")
    FALLBACKS: Final = _counter("ringback.fallbacks", "{fallback}", "Declared fallbacks taken, by reason.")
    ACTIONS: Final = _counter("ringback.actions", "{action}", "Actions, by outcome.")
    JOBS_WAITING: Final = _gauge("ringback.jobs.waiting", "{job}", "Background work that nobody has begun.")
    JOBS_OLDEST_MS: Final = _gauge("ringback.jobs.oldest", "ms", "How long the oldest of it has waited.")
    ALERTS: Final = _gauge("ringback.alerts", "{alert}", "1 while an alert is open, by name and subject.")
    RETRIES: Final = _counter("ringback.retries", "{retry}", "Further attempts, per dependency.")
    REFUSED: Final = _counter("ringback.refused", "{request}", "Work refused at once, by reason.")


def grpc_span(path: str) -> str:
    """The span name of a gRPC method path, ``/package.Service/Method``."""
    return GRPC_PREFIX + path.lstrip("/")
