"""The subjects on the bus: built and taken apart in this one place, every token checked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ringback_errors import InvalidInput

__all__ = [
    "ALL_AUDIT",
    "ALL_CONTROL",
    "ALL_EVENTS",
    "ALL_FACTS",
    "ALL_PARKED",
    "EventSubject",
    "FactSubject",
    "audit_subject",
    "check_subject",
    "control_subject",
    "decisions_subject",
    "event_subject",
    "fact_subject",
    "job_subject",
    "parked_subject",
    "parse_event_subject",
    "parse_fact_subject",
    "recorded_decisions",
    "replica_subject",
    "session_decisions",
    "session_events",
    "session_facts",
    "tenant_decisions",
    "tenant_events",
]

ALL_EVENTS = "ringback.events.>"
ALL_FACTS = "ringback.facts.>"
ALL_CONTROL = "ringback.control.>"
ALL_AUDIT = "ringback.audit.>"
ALL_PARKED = "ringback.parked.>"

TOKEN_CHARS_MAX = 128
SUBJECT_CHARS_MAX = 512

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_FILTER_TOKEN = re.compile(r"(?:[A-Za-z0-9_=/$-]{1,128}|\*)\Z")


@dataclass(frozen=True, slots=True)
class EventSubject:
    """The parts of `ringback.events.<tenant>.<session_id>.<kind>`."""

    tenant: str
    session_id: str
    kind: str


@dataclass(frozen=True, slots=True)
class FactSubject:
    """The parts of `ringback.facts.<service>.<tenant>.<session_id>`."""

    service: str
    tenant: str
    session_id: str


def event_subject(tenant: str, session_id: str, kind: str) -> str:
    """Return the subject of one kind of fact of one session."""
    return (
        f"ringback.events.{_token('tenant', tenant)}.{_token('session_id', session_id)}"
        f".{_token('kind', kind)}"
    )


def fact_subject(service: str, tenant: str, session_id: str) -> str:
    """Return the subject of late facts that `service` publishes about a session."""
    return (
        f"ringback.facts.{_token('service', service)}.{_token('tenant', tenant)}"
        f".{_token('session_id', session_id)}"
    )


def control_subject(kind: str) -> str:
    """Return the subject of a fact of no session."""
    return f"ringback.control.{_token('kind', kind)}"


def job_subject(service: str, tenant: str) -> str:
    """Return the subject of background work that `service` took on for a tenant."""
    return f"ringback.jobs.{_token('service', service)}.{_token('tenant', tenant)}"


def replica_subject(service: str) -> str:
    """Return the subject on which the replicas of `service` tell each other of work in hand."""
    return f"ringback.replicas.{_token('service', service)}"


def audit_subject(tenant: str, kind: str) -> str:
    """Return the subject of an audit entry."""
    return f"ringback.audit.{_token('tenant', tenant)}.{_token('kind', kind)}"


def decisions_subject(tenant: str, pack: str, session_id: str) -> str:
    """Return the subject of recorded questions of one session about one pack."""
    return (
        f"ringback.decisions.{_token('tenant', tenant)}.{_token('pack', pack)}"
        f".{_token('session_id', session_id)}"
    )


def recorded_decisions(pack: str) -> str:
    """Return the filter for the recorded questions about one pack, of all tenants."""
    return f"ringback.decisions.*.{_token('pack', pack)}.*"


def session_decisions(tenant: str, session_id: str) -> str:
    """Return the filter for the recorded questions of one session, whichever pack they are about."""
    return f"ringback.decisions.{_token('tenant', tenant)}.*.{_token('session_id', session_id)}"


def tenant_decisions(tenant: str) -> str:
    """Return the filter for recorded questions of several sessions in one message, as they once lay."""
    return f"ringback.decisions.{_token('tenant', tenant)}.*"


def parked_subject(stream: str, durable: str) -> str:
    """Return where messages go that the consumer `durable` of `stream` could not handle."""
    return f"ringback.parked.{_token('stream', stream)}.{_token('durable', durable)}"


def session_events(tenant: str, session_id: str) -> str:
    """Return the filter for all facts of one session."""
    return f"ringback.events.{_token('tenant', tenant)}.{_token('session_id', session_id)}.>"


def tenant_events(tenant: str, kind: str) -> str:
    """Return the filter for one kind of fact of all sessions of a tenant."""
    return f"ringback.events.{_token('tenant', tenant)}.*.{_token('kind', kind)}"


def session_facts(tenant: str, session_id: str) -> str:
    """Return the filter for the late facts of one session, whichever service published them."""
    return f"ringback.facts.*.{_token('tenant', tenant)}.{_token('session_id', session_id)}"


def parse_event_subject(subject: str) -> EventSubject:
    """Take an event's subject apart; InvalidInput if it is not one."""
    return EventSubject(*_parts(subject, "events", "ringback.events.<tenant>.<session_id>.<kind>"))


def parse_fact_subject(subject: str) -> FactSubject:
    """Take a late fact's subject apart; InvalidInput if it is not one."""
    return FactSubject(*_parts(subject, "facts", "ringback.facts.<service>.<tenant>.<session_id>"))


def check_subject(subject: str, *, wildcards: bool = False) -> str:
    """Return `subject` if NATS would take it (`*`, `>` only with `wildcards`), else InvalidInput."""
    tokens = subject.split(".")
    if len(subject) > SUBJECT_CHARS_MAX:
        raise InvalidInput(f"subject: at most {SUBJECT_CHARS_MAX} characters expected", field="subject")
    if wildcards and tokens[-1] == ">":
        tokens = tokens[:-1] or ["*"]
    for token in tokens:
        if not _FILTER_TOKEN.match(token) or (token == "*" and not wildcards):
            raise InvalidInput(
                f"subject: tokens of letters, digits, '_' and '-' expected, got {token[:40]!r}",
                field="subject",
            )
    return subject


def _token(field: str, value: str) -> str:
    if not _TOKEN.match(value):
        raise InvalidInput(
            f"{field}: 1 to {TOKEN_CHARS_MAX} letters, digits, '_' or '-' expected, got {value[:40]!r}",
            field=field,
        )
    return value


def _parts(subject: str, family: str, form: str) -> tuple[str, str, str]:
    tokens = subject.split(".")
    if len(tokens) != 5 or tokens[:2] != ["ringback", family]:
        raise InvalidInput(f"subject: {form} expected, got {subject[:80]!r}", field="subject")
    return tokens[2], tokens[3], tokens[4]
