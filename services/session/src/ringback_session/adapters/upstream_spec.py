"""What is configured of the realtime models upstream, read from `upstreams.yaml`; README.md has the whole shape."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import urlsplit

from ringback_errors import ConfigError
from ringback_packs.fields import REQUIRED, Fields
from ringback_packs.fields import Place as Where
from ringback_packs.findings import Report
from ringback_packs.yaml_tree import MappingNode, Scalar, parse_yaml

__all__ = ["Kind", "SecretRef", "Upstream", "read_upstreams", "single_upstream"]

Kind = Literal["openai", "azure", "compatible", "local"]
KINDS: Final[tuple[Kind, ...]] = ("openai", "azure", "compatible", "local")
UPSTREAMS_MAX: Final = 16
MODELS_MAX: Final = 64
OPENAI_URL: Final = "https://api.openai.com/v1"
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
LOCAL_POOL: Final = 2
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}\Z")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_MODEL: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,128}\Z")
_VERSION: Final = re.compile(r"[A-Za-z0-9.-]{1,40}\Z")
_LABEL: Final = re.compile(r"[\x21-\x7e]{1,128}\Z")


@dataclass(frozen=True, kw_only=True)
class SecretRef:
    """Where a credential is; never the credential. `where` names the setting, for errors."""

    variable: str = ""
    file: Path | None = None
    where: str = ""


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """One server of the Realtime protocol that calls may be put through to.

    `model` is what every client gets, unless `models` maps the name that it asked for. Times in ms.
    """

    name: str
    kind: Kind
    url: str
    model: str = ""
    models: dict[str, str] = field(default_factory=dict)
    key: SecretRef | None = None
    # Azure: a Microsoft Entra token takes the place of the key.
    token: bool = False
    api_version: str = ""
    organization: str = ""
    project: str = ""
    greets: bool = True
    dial_timeout_ms: int = 5_000
    dial_attempts: int = 2
    ping_idle_ms: int = 10_000
    pong_wait_ms: int = 10_000
    session_ms_max: int = HOUR_MS
    rotate_before_ms: int = HOUR_MS // 6
    rotate_at_last_ms: int = HOUR_MS // 12
    failures_max: int = 3
    open_ms: int = 10_000
    pool_size: int = 0
    pool_age_ms_max: int = HOUR_MS // 6

    def model_for(self, asked: str) -> str:
        """The upstream's own name of the model for a client that asked for `asked`."""
        return self.models.get(asked, self.model)


def single_upstream(
    url: str,
    *,
    kind: str = "compatible",
    model: str = "",
    key_variable: str = "",
    key_file: Path | None = None,
) -> Upstream:
    """The one upstream that variables describe. Raises ConfigError."""
    if key_variable and key_file is not None:
        raise ConfigError(
            "RINGBACK_UPSTREAM_KEY_FILE: expected to be absent, as RINGBACK_UPSTREAM_KEY is set"
        )
    ref = SecretRef(
        variable=key_variable,
        file=key_file,
        where="RINGBACK_UPSTREAM_KEY_FILE" if key_file is not None else key_variable,
    )
    return Upstream(
        name="model",
        kind="local" if kind == "local" else "compatible",
        url=url,
        model=model,
        key=ref if key_variable or key_file is not None else None,
        pool_size=LOCAL_POOL if kind == "local" else 0,
    )


def read_upstreams(path: Path) -> tuple[Upstream, ...]:
    """The upstreams of a file, in the order in which they are tried. Raises ConfigError: file, line, field."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"RINGBACK_UPSTREAMS_FILE: {path} cannot be read ({error.strerror}); expected a YAML file"
        ) from None
    report = Report()
    found = _upstreams(data, path, report)
    errors = [finding for finding in report.findings if finding.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ConfigError(f"{errors[0]}{more}")
    return found


def _upstreams(data: bytes, path: Path, report: Report) -> tuple[Upstream, ...]:
    tree = parse_yaml(data, file=str(path), report=report)
    top = Where(tree, file=str(path), path="", report=report).fields() if tree is not None else None
    if top is None:
        return ()
    listed = top.get("upstreams", required=True)
    top.done()
    found: list[Upstream] = []
    for place in listed.items(count_max=UPSTREAMS_MAX) if listed is not None else ():
        fields = place.fields()
        if fields is not None:
            upstream = _upstream(fields, path.parent)
            if upstream.name in {other.name for other in found}:
                fields.at("name").error(f"each name once expected, got {upstream.name!r} twice")
            found.append(upstream)
    if listed is not None and not found and not report.failed:
        listed.error("at least one upstream expected")
    return tuple(found)


def _upstream(fields: Fields, folder: Path) -> Upstream:
    name = fields.text("name", pattern=_NAME, form="a short name (a-z, 0-9, -)")
    kind = cast(Kind, fields.choice("kind", KINDS))
    # OpenAI and Azure bill by model: what a client asks for is never passed on unasked.
    model = fields.text(
        "model", REQUIRED if kind in ("openai", "azure") else "", pattern=_MODEL, form="a model's name"
    )
    key, token = _credential(fields, kind, folder)
    upstream = Upstream(
        name=name,
        kind=kind,
        url=_url(fields, kind),
        model=model,
        models=_models(fields),
        key=key,
        token=token,
        api_version=_of_kind(fields, "api_version", kind, "azure", _VERSION, "a version such as 2025-04-01"),
        organization=_of_kind(fields, "organization", kind, "openai", _LABEL, "an organization's id"),
        project=_of_kind(fields, "project", kind, "openai", _LABEL, "a project's id"),
        greets=fields.flag("greets", True),
        **_dial(fields),
        **_session(fields),
        **_breaker(fields),
        **_pool(fields, kind),
    )
    fields.done()
    return upstream


def _url(fields: Fields, kind: Kind) -> str:
    schemes = ("https", "http") if kind in ("openai", "azure") else ("wss", "ws")
    default = OPENAI_URL if kind == "openai" else REQUIRED
    url = fields.text("url", default, chars_max=500)
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and parts.hostname and "@" not in parts.netloc and not parts.fragment
    except ValueError:
        sound = False
    if url and not sound:
        # Not shown: somebody may have put a key into it.
        fields.at("url").error(
            f"a URL beginning with {schemes[0]}:// expected, with a host and without a user"
        )
    return url


def _models(fields: Fields) -> dict[str, str]:
    below = fields.below("models")
    found: dict[str, str] = {}
    for asked, place in below.entries() if below is not None else ():
        value = getattr(place.node, "value", None)
        if not isinstance(value, str) or not _MODEL.match(value):
            place.error("a model's name expected")
        elif len(found) >= MODELS_MAX:
            place.error(f"at most {MODELS_MAX} models expected")
        else:
            found[asked] = value
    return found


def _credential(fields: Fields, kind: Kind, folder: Path) -> tuple[SecretRef | None, bool]:
    key, token = _secret(fields, "key", folder), _secret(fields, "token", folder)
    if token is not None and kind != "azure":
        fields.at("token").error("a token is for kind azure (Microsoft Entra); expected key")
    if key is not None and token is not None:
        fields.at("token").error("either key or token expected, got both")
    if key is None and token is None and kind in ("openai", "azure"):
        fields.place.error("'key' expected, it is missing: {env: NAME} or {file: PATH}")
    return key or token, token is not None


def _secret(fields: Fields, name: str, folder: Path) -> SecretRef | None:
    """A reference. What stands in its place is never shown: it may be the credential itself."""
    place = fields.get(name)
    if place is None:
        return None
    entries = place.node.entries if isinstance(place.node, MappingNode) else {}
    if len(entries) != 1 or not entries.keys() <= {"env", "file"}:
        place.error("either {env: NAME} or {file: PATH} expected")
        return SecretRef()
    ((by, (line, node)),) = entries.items()
    value = node.value if isinstance(node, Scalar) and isinstance(node.value, str) else ""
    where = f"{place.file}:{line}: {place.path}.{by}"
    if by == "env":
        if not _VARIABLE.match(value):
            place.below(node, by).error("the name of an environment variable expected")
        return SecretRef(variable=value, where=where)
    if not value:
        place.below(node, by).error("a path expected")
    return SecretRef(file=folder / value, where=where)


def _of_kind(fields: Fields, name: str, kind: Kind, only: Kind, pattern: re.Pattern[str], form: str) -> str:
    value = fields.text(name, "", pattern=pattern, form=form)
    if value and kind != only:
        fields.at(name).error(f"only for kind {only}, this one is {kind}")
    return value


def _dial(fields: Fields) -> dict[str, int]:
    below = fields.below("dial")
    if below is None:
        return {}
    found = {
        "dial_timeout_ms": below.integer("timeout_ms", 5_000, low=100, high=60_000),
        "dial_attempts": below.integer("attempts", 2, low=1, high=5),
        "ping_idle_ms": below.integer("ping_idle_ms", 10_000, low=100, high=120_000),
        "pong_wait_ms": below.integer("pong_wait_ms", 10_000, low=100, high=120_000),
    }
    below.done()
    return found


def _session(fields: Fields) -> dict[str, int]:
    below = fields.below("session")
    if below is None:
        return {}
    longest = below.integer("ms_max", HOUR_MS, low=1_000, high=DAY_MS)
    found = {
        "session_ms_max": longest,
        "rotate_before_ms": below.integer("rotate_before_ms", longest // 6, low=1, high=DAY_MS),
        "rotate_at_last_ms": below.integer("rotate_at_last_ms", longest // 12, low=0, high=DAY_MS),
    }
    if not found["rotate_at_last_ms"] <= found["rotate_before_ms"] < longest:
        below.place.error("expected rotate_at_last_ms ≤ rotate_before_ms < ms_max")
    below.done()
    return found


def _breaker(fields: Fields) -> dict[str, int]:
    below = fields.below("breaker")
    if below is None:
        return {}
    found = {
        "failures_max": below.integer("failures_max", 3, low=1, high=100),
        "open_ms": below.integer("open_ms", 10_000, low=10, high=600_000),
    }
    below.done()
    return found


def _pool(fields: Fields, kind: Kind) -> dict[str, int]:
    # An idle session at a provider may cost; one on this machine does not.
    size = LOCAL_POOL if kind == "local" else 0
    below = fields.below("pool")
    if below is None:
        return {"pool_size": size}
    found = {
        "pool_size": below.integer("size", size, low=0, high=64),
        "pool_age_ms_max": below.integer("age_ms_max", HOUR_MS // 6, low=100, high=DAY_MS),
    }
    below.done()
    return found
