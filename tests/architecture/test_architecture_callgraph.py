"""docs/callgraph.txt is what the code does: every gRPC call, stream, bucket, pack and model asked, and no other."""

import ast
import re
from collections.abc import Iterator

from ringback_events import load_topology

TOPOLOGY = load_topology()
STREAMS = {stream.name for stream in TOPOLOGY.streams}
BUCKETS = {bucket.name for bucket in TOPOLOGY.buckets}

# Names of ringback_events.subjects, by what using them with a publish or a consume means.
PUBLISHED = {
    "event_subject": "EVENTS",
    "fact_subject": "FACTS",
    "control_subject": "CONTROL",
    "job_subject": "JOBS",
    "replica_subject": "REPLICAS",
    "audit_subject": "AUDIT",
    "decisions_subject": "DECISIONS",
}
READ = {
    "ALL_EVENTS": "EVENTS",
    "session_events": "EVENTS",
    "session_decisions": "DECISIONS",
    "tenant_decisions": "DECISIONS",
    "ALL_FACTS": "FACTS",
    "session_facts": "FACTS",
    "ALL_CONTROL": "CONTROL",
    "ALL_AUDIT": "AUDIT",
    "recorded_decisions": "DECISIONS",
    "replica_subject": "REPLICAS",
}
# Resources of the openai package's client.
ASKED = {("chat", "completions"): "chat", ("audio", "speech"): "speech"}
# Streams with one writer; of the others each subject is written by the service that it names.
ONLY_WRITER = {
    "EVENTS": "session",
    "AUDIT": "policy",
    "DECISIONS": "policy",
    "JOBS": "tools",
    "REPLICAS": "tools",
}
LINE = re.compile(r"^(\S+) +(\S+) +(\S+)(?: +#.*)?$")


def test_the_call_graph_is_what_the_code_does(repository):
    written = _written((repository.root / "docs" / "callgraph.txt").read_text())
    found = {
        arrow
        for package in (*repository.services, *(p for p in repository.packages if p.name == "cli"))
        for module in package.modules
        for arrow in _arrows(package.name, module.tree)
    }
    new = sorted(found - written)
    gone = sorted(written - found)
    assert not new, (
        f"write these arrows into docs/callgraph.txt, if they are meant: {[' '.join(a) for a in new]}"
    )
    assert not gone, f"no code does this; remove it from docs/callgraph.txt: {[' '.join(a) for a in gone]}"


def test_streams_with_one_writer_have_one(repository):
    written = _written((repository.root / "docs" / "callgraph.txt").read_text())
    wrong = [
        f"{who} publishes {what}"
        for who, verb, what in written
        if verb == "publishes" and ONLY_WRITER.get(what, who) != who
    ]
    assert not wrong, wrong


def test_a_bucket_is_kept_by_its_owner_alone(repository):
    written = _written((repository.root / "docs" / "callgraph.txt").read_text())
    wrong = [
        f"{who} keeps {what}"
        for who, verb, what in written
        if verb == "keeps" and TOPOLOGY.bucket(what).owner != who
    ]
    assert not wrong, wrong


def test_policy_calls_nobody(repository):
    written = _written((repository.root / "docs" / "callgraph.txt").read_text())
    assert not [arrow for arrow in written if arrow[0] == "policy" and arrow[1] in ("calls", "dials")]


def _written(text: str) -> set[tuple[str, str, str]]:
    arrows = set()
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            found = LINE.match(line)
            assert found, f"docs/callgraph.txt: <who> <verb> <what> expected, got {line!r}"
            arrows.add((found[1], found[2], found[3]))
    return arrows


def _arrows(who: str, tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    names = _names(tree)
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    called = {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    yield from _grpc_arrows(who, tree)
    if called & {"consume", "ephemeral"} or "read_stream" in names:
        yield from (
            (who, "reads", stream) for stream in (texts & STREAMS) | {READ[n] for n in names & READ.keys()}
        )
    if called & {"publish", "publish_now"}:
        yield from ((who, "publishes", PUBLISHED[name]) for name in names & PUBLISHED.keys())
    if "bucket" in called:
        yield from ((who, "keeps", bucket) for bucket in texts & BUCKETS)
    if "PackStore" in names:
        yield who, "loads", "packs"
    if "publish_pack" in names:
        yield who, "writes", "packs"
    if "AsyncOpenAI" in names:
        yield from ((who, "asks", ASKED[chain]) for chain in _chains(tree) & ASKED.keys())
    if "dial" in names:
        yield who, "dials", "realtime"


def _grpc_arrows(who: str, tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    """Stubs are calls, servicers that are subclassed are served; health is on every service and needs no line."""
    services = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (
            found := re.match(r"ringback\.(\w+)\.v\d+$", node.module or "")
        ):
            services |= {alias.asname or alias.name: found[1] for alias in node.names}
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=module), attr=attr)) if attr.endswith("Stub"):
                if module in services:
                    yield who, "calls", f"{services[module]}.{attr.removesuffix('Stub')}"
            case ast.ClassDef(bases=bases):
                for base in bases:
                    match base:
                        case ast.Attribute(value=ast.Name(id=module), attr=attr) if attr.endswith("Servicer"):
                            yield who, "serves", f"{services[module]}.{attr.removesuffix('Servicer')}"


def _names(tree: ast.Module) -> set[str]:
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return used | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def _chains(tree: ast.Module) -> set[tuple[str, str]]:
    """Attributes of attributes, as `client.audio.speech`."""
    return {
        (node.value.attr, node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute)
    }
