"""Loading a pack: what is read, what is refused, and how it is told."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ringback_packs import Finding, HttpConnector, PackError, load_files, load_pack, pack_digest

SAMPLE = Path(__file__).parent / "sample"


def files_of(folder: Path = SAMPLE) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.yaml")}


def edited(file: str, old: str, new: str) -> dict[str, bytes]:
    files = files_of()
    text = files[file].decode()
    assert text.count(old) >= 1, old
    return {**files, file: text.replace(old, new, 1).encode()}


def findings_of(files: dict[str, bytes]) -> tuple[Finding, ...]:
    with pytest.raises(PackError) as caught:
        load_files(files, label="sample")
    return tuple(found for found in caught.value.findings if found.severity == "error")


def test_the_sample_loads_whole() -> None:
    pack = load_pack(SAMPLE)
    assert (pack.name, pack.version, pack.default_agent) == ("sample", "0.1.0", "desk")
    assert pack.warnings == ()
    assert [(tool.name, tool.version) for tool in pack.tools] == [
        ("read_note", "1.0"),
        ("read_note", "1.10"),
        ("write_note", "2.0"),
        ("audit_notes", "1.0"),
    ]
    assert (pack.client.tools, pack.allow_client_tools, pack.allow_client_instructions) == (
        "confirm",
        True,
        True,
    )
    assert sorted(pack.bundle_files) == ["actions.yaml", "domain.yaml", "interaction.yaml", "safety.yaml"]
    agent = pack.agent()
    assert agent is not None
    assert agent.role.splitlines()[0] == "I keep notes for you."
    assert agent.handoffs[0].to == "archive"


def test_a_tool_is_found_by_name_and_version() -> None:
    pack = load_pack(SAMPLE)
    newest = pack.tool("read_note")
    assert newest is not None
    assert newest.version == "1.10"
    assert newest.major_version == 1
    pinned = pack.tool("read_note@1.0")
    assert pinned is not None
    assert pinned == pack.tool("read_note", "1.0")
    assert pack.tool("nothing") is None
    assert pack.tool("read_note", "9.9") is None
    assert [tool.version for tool in pack.tools_of("archive")] == ["1.0"]
    assert [tool.name for tool in pack.tools_of()] == ["read_note", "write_note"]
    assert pack.tools_of("nobody") == ()


def test_a_tool_keeps_what_it_declares() -> None:
    tool = load_pack(SAMPLE).tool("write_note")
    assert tool is not None
    assert isinstance(tool.connector, HttpConnector)
    assert tool.connector.body == {"text": "{arguments.text}", "id": "{action_id}"}
    assert (tool.idempotency.kind, tool.idempotency.header) == ("key", "Idempotency-Key")
    assert tool.check is not None
    assert tool.check.done_when.status == (200,)
    assert (tool.check.done_when.path, tool.check.done_when.equals) == ("state", ("written",))
    assert tool.check.not_done_when is not None
    assert not tool.attempted_once
    read = load_pack(SAMPLE).tool("read_note", "1.0")
    assert read is not None
    assert isinstance(read.connector, HttpConnector)
    assert read.connector.errors["404"].code == "not_found"
    assert read.ok_messages[0].when == {"text": ""}
    assert read.error_messages == {"timeout": "I could not read note {arguments.note_id} in time."}


@pytest.mark.parametrize("name", ["airline", "passthrough"])
def test_the_packs_that_ship_load(name: str) -> None:
    pack = load_pack(Path(__file__).parents[3] / "packs" / name)
    assert pack.name == name


def test_the_passthrough_pack_has_nothing_of_its_own() -> None:
    pack = load_pack(Path(__file__).parents[3] / "packs" / "passthrough")
    assert (pack.agents, pack.tools, pack.default_agent) == ((), (), "")
    assert (pack.client.tools, pack.client.instructions) == ("allow", True)


CASES = [
    # file, old, new, field, message
    ("pack.yaml", "name: sample", "name: Sample Pack", "name", "a name of lower-case"),
    ("pack.yaml", "version: 0.1.0", "version: one", "version", "a version MAJOR.MINOR or"),
    ("pack.yaml", "default_agent: desk", "default_agent: dask", "default_agent", "did you mean 'desk'?"),
    (
        "pack.yaml",
        "default_agent: desk",
        "defualt_agent: desk",
        "defualt_agent",
        "did you mean 'default_agent'?",
    ),
    ("pack.yaml", "write_note]", "wite_note]", "agents[0].tools", "did you mean 'write_note'?"),
    ("pack.yaml", "write_note]", "audit_notes]", "agents[0].tools", "is internal"),
    (
        "pack.yaml",
        "to: archive",
        "to: attic",
        "agents[0].handoffs",
        "another agent of this pack expected",
    ),
    ("pack.yaml", "name: archive", "name: desk", "agents[1].name", "each agent once expected"),
    ("pack.yaml", "tools: confirm", "tools: alow", "client.tools", "did you mean 'allow'?"),
    (
        "pack.yaml",
        "instructions: true",
        "instructions: yes",
        "client.instructions",
        "true or false expected",
    ),
    (
        "tools.yaml",
        "    version: 1.0",
        "    version: v1",
        "tools[0].version",
        "a version MAJOR.MINOR expected",
    ),
    (
        "tools.yaml",
        "side_effect: read",
        "side_effect: reed",
        "tools[0].side_effect",
        "did you mean 'read'?",
    ),
    (
        "tools.yaml",
        "type: object",
        "type: objet",
        "tools[0].parameters.type",
        "valid JSON Schema expected",
    ),
    ("tools.yaml", "type: object", "type: string", "tools[0].parameters", "'type: object' expected"),
    ("tools.yaml", "type: object", '$ref: "http://x/y"', "tools[0].parameters", "a reference inside"),
    ("tools.yaml", "kind: http", "kind: htp", "tools[0].connector.kind", "did you mean 'http'?"),
    ("tools.yaml", "url: /notes", "url: notes", "tools[0].connector.url", "a path beginning with '/'"),
    (
        "tools.yaml",
        "arguments.note_id}",
        "arguments.noteid}",
        "tools[0].connector.url",
        "did you mean 'note_id'?",
    ),
    ("tools.yaml", "arguments.note_id}", "argument.note_id}", "tools[0].connector.url", "'arguments'?"),
    ("tools.yaml", "{arguments.note_id}", "${BASE}", "tools[0].connector.url", "base_url_ref"),
    ("tools.yaml", "404:", "4044:", "tools[0].connector.errors.4044", "an HTTP status"),
    ("tools.yaml", "code: not_found", "code: lost", "tools[0].connector.errors.404.code", "one of"),
    (
        "tools.yaml",
        "|digits",
        "|digit",
        "tools[0].connector.errors.404.message",
        "did you mean 'digits'?",
    ),
    ("tools.yaml", "attempts_max: 3", "attempts_max: 0", "tools[0].retry.attempts_max", "from 1 to 10"),
    ("tools.yaml", "base_ms: 50", "base_ms: 5000", "tools[0].retry", "base_ms at most max_ms"),
    ("tools.yaml", "[timeout, tool", "[not_found, tool", "tools[0].retry.retry_on", "codes among"),
    ("tools.yaml", "attempts_max: 3", "attempt_max: 3", "tools[0].retry.attempt_max", "'attempts_max'?"),
    ("tools.yaml", '{text: ""}', '{txt: ""}', "tools[0].messages.ok[0].when.txt", "did you mean 'text'?"),
    (
        "tools.yaml",
        "{result.text}",
        "{result.txt}",
        "tools[0].messages.ok[1].say",
        "did you mean 'text'?",
    ),
    ("tools.yaml", "timeout: I could", "time_out: I could", "tools[0].messages.time_out", "'timeout'?"),
    (
        "tools.yaml",
        "name: read_note\n    version: 1.10",
        "name: read_note\n    version: 1.0",
        "tools[1].name",
        "each name and version once",
    ),
    (
        "tools.yaml",
        "notes.tools:read",
        "notes.tools.read",
        "tools[1].connector.entry_point",
        "module:function",
    ),
    ("tools.yaml", "kind: key", "kind: none", "tools[2].idempotency.header", "no header expected"),
    ("tools.yaml", "{status: 404}", "{}", "tools[2].check.not_done_when", "'status', or 'path'"),
    ("tools.yaml", "path: state, ", "", "tools[2].check.done_when", "belong together"),
    (
        "tools.yaml",
        '{kind: http, base_url_ref: notes, url: "/notes/by-key/{action_id}"}',
        "{kind: mcp, server_ref: notes, tool: find}",
        "tools[2].check.connector.kind",
        "http, function, grpc, nats",
    ),
    ("tools.yaml", "{status: 404}", "{code: timeout}", "tools[2].check.not_done_when.code", "not_found"),
    (
        "tools.yaml",
        "{status: 404}",
        "{status: 404, code: not_found}",
        "tools[2].check.not_done_when.code",
        "alone",
    ),
    (
        "tools.yaml",
        "kind: callback, message: I made a note of it.",
        "kind: callback",
        "tools[2].fallback",
        "'message'",
    ),
    ("tools.yaml", "kind: callback", "kind: cached", "tools[2].fallback", "cannot fall back"),
    (
        "tools.yaml",
        "    connector: {kind: nats",
        "    credential: notes_key\n    connector: {kind: nats",
        "tools[3].credential",
        "a worker holds its own secrets",
    ),
    (
        "tools.yaml",
        "      body: {text",
        "      credential_header: X-Key\n      body: {text",
        "tools[2].connector.credential_header",
        "only with the tool's 'credential'",
    ),
    ("tools.yaml", "internal: true", "internl: true", "tools[3].internl", "did you mean 'internal'?"),
    ("tools.yaml", "schema_version: 1", "schema_version: 7", "schema_version", "from 1 to 1 expected"),
    (
        "tools.yaml",
        "    connector: {kind: function",
        "    breaker: {failures_max: 2}\n    connector: {kind: function",
        "tools[1].breaker",
        "the same breaker",
    ),
    ("tools.yaml", "tools:", "tools: !!python/object:os.system", "", "tags are not allowed"),
    ("tools.yaml", "type: object", "type: &a object", "", "anchors"),
    ("tools.yaml", "type: object", "type: *a", "", "aliases"),
    ("tools.yaml", "description: Read a note.", "name: read_note", "name", "each key once"),
    ("tools.yaml", "side_effect: read", "side_effect: read: x", "", "YAML"),
]


@pytest.mark.parametrize(("file", "old", "new", "field", "message"), CASES)
def test_what_is_wrong_is_told_with_file_line_field_and_what_was_expected(
    file: str, old: str, new: str, field: str, message: str
) -> None:
    found = findings_of(edited(file, old, new))
    fitting = [one for one in found if message in one.message]
    assert fitting, [str(one) for one in found]
    assert fitting[0].file == file
    text = files_of()[file].decode()
    assert fitting[0].line == text[: text.index(old)].count("\n") + 1
    if field:
        assert fitting[0].field == field


def test_all_findings_come_at_once_and_in_order() -> None:
    files = edited("tools.yaml", "side_effect: read", "side_effect: reed")
    files["tools.yaml"] = files["tools.yaml"].replace(b"attempts_max: 3", b"attempts_max: many")
    files["pack.yaml"] = files["pack.yaml"].replace(b"0.1.0", b"x")
    found = findings_of(files)
    assert [one.file for one in found] == ["pack.yaml", "tools.yaml", "tools.yaml"]
    with pytest.raises(PackError, match=r"pack sample: 3 errors\n  pack.yaml:2: version: "):
        load_files(files)


def test_a_write_with_neither_key_nor_check_loads_with_a_warning() -> None:
    text = files_of()["tools.yaml"].decode()
    begin, end = text.index("    idempotency:"), text.index("    fallback: {kind: callback")
    pack = load_files({**files_of(), "tools.yaml": (text[:begin] + text[end:]).encode()})
    assert [warning.field for warning in pack.warnings] == ["tools[2]"]
    assert "attempted once" in pack.warnings[0].message
    tool = pack.tool("write_note")
    assert tool is not None
    assert tool.attempted_once


def test_a_missing_layer_is_a_warning_and_a_strange_file_an_error() -> None:
    files = files_of()
    del files["bundle/safety.yaml"]
    assert [str(warning) for warning in load_files(files).warnings] == [
        "bundle/safety.yaml: missing: this layer of the policy has no rules"
    ]
    found = findings_of({**files, "bundle/saftey.yaml": b"a: 1"})
    assert "did you mean 'bundle/safety.yaml'?" in found[0].message


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="the folder of a pack expected"):
        load_pack(tmp_path / "nothing")
    with pytest.raises(
        PackError, match=r"(?s)pack.yaml: a file of this name.*tools.yaml: a file of this name"
    ):
        load_pack(tmp_path)


def test_files_beside_the_pack_are_not_part_of_it(tmp_path: Path) -> None:
    for name, data in files_of().items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "one.yaml").write_text("x")
    assert load_pack(tmp_path).digest == load_pack(SAMPLE).digest


def test_the_digest_is_over_names_and_contents() -> None:
    files = files_of()
    digest = pack_digest(files)
    assert digest == pack_digest(dict(reversed(files.items())))
    assert digest.startswith("sha256:")
    assert len(digest) == 71
    assert pack_digest({"a": b"bc"}) != pack_digest({"ab": b"c"})
    assert pack_digest({"a": b"", "b": b"x"}) != pack_digest({"a": b"x", "b": b""})
    assert load_files(files).digest == digest
    assert load_files(edited("pack.yaml", "A pack", "The pack")).digest != digest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 300_000, "at most 262144 bytes expected"),
        (b"a: " + b"[" * 5_000, "at most 32 levels"),
        (b"tools: [" + b"1," * 30_000 + b"]", "at most 20000 values"),
        (b"\xff\xfe\x00", "UTF-8 text expected"),
        (b"", "the file is empty"),
        (b"a: 1\n---\nb: 2", "one YAML document"),
        (b"[1, 2]", "a mapping expected, got a list"),
        (b"? {a: b}\n: c", "a key must be text"),
        (b"a: &x [*x, *x]", "anchors"),
        (b"\x00", "YAML"),
    ],
)
def test_hostile_yaml_is_bounded_and_told(data: bytes, message: str) -> None:
    found = findings_of({**files_of(), "tools.yaml": data})
    assert any(message in one.message for one in found), [str(one) for one in found]


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_garbage_never_raises_anything_but_a_pack_error(data: bytes) -> None:
    _never_crashes({"pack.yaml": data, "tools.yaml": data})


@given(st.text(alphabet="abc:-[]{}&*!|>'\"#%@`? \n\t0129.,~", max_size=300))
@settings(max_examples=400, deadline=None)
def test_yaml_like_garbage_never_raises_anything_but_a_pack_error(text: str) -> None:
    _never_crashes({**files_of(), "tools.yaml": text.encode()})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5_000) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_value_in_the_place_of_any_other_never_raises_anything_but_a_pack_error(
    data: st.DataObject,
) -> None:
    import yaml

    name = data.draw(st.sampled_from(["tools.yaml", "pack.yaml"]))
    tree = yaml.safe_load(files_of()[name])
    spots = [
        (holder, key)
        for holder in _holders(tree)
        for key in (holder if isinstance(holder, dict) else range(len(holder)))
    ]
    holder, key = data.draw(st.sampled_from(spots))
    holder[key] = data.draw(VALUES)
    _never_crashes({**files_of(), name: yaml.safe_dump(tree, allow_unicode=True).encode()})


def _holders(value: object) -> list[dict[str, object] | list[object]]:
    found: list[dict[str, object] | list[object]] = []
    if isinstance(value, dict | list):
        found.append(value)
        for item in value.values() if isinstance(value, dict) else value:
            found += _holders(item)
    return found


def _never_crashes(files: dict[str, bytes]) -> None:
    with contextlib.suppress(PackError):
        load_files(files)


@pytest.mark.parametrize(
    "connector",
    [
        '{kind: function, entry_point: "notes.tools:written"}',
        "{kind: nats, subject: notes.written}",
        '{kind: grpc, target_ref: notes, method: notes.v1.Notes/Find, request: {key: "{action_id}"}}',
    ],
)
def test_a_check_may_be_another_call_of_any_kind_whose_refusals_are_its_own(connector: str) -> None:
    over_http = '{kind: http, base_url_ref: notes, url: "/notes/by-key/{action_id}"}'
    files = edited("tools.yaml", over_http, connector)
    files["tools.yaml"] = files["tools.yaml"].replace(b"{status: 404}", b"{code: [not_found]}")
    tool = load_files(files).tool("write_note")
    assert tool is not None
    assert tool.check is not None
    assert tool.check.not_done_when is not None
    assert tool.check.not_done_when.code == ("not_found",)


def test_the_tools_own_call_is_no_check() -> None:
    own = "{kind: nats, subject: notes.write}"
    text = files_of()["tools.yaml"].decode()
    begin = text.index("    connector:\n      kind: http\n      base_url_ref: notes\n      method: POST")
    end = text.index("    idempotency:")
    text = text[:begin] + f"    connector: {own}\n" + text[end:]
    text = text.replace('{kind: http, base_url_ref: notes, url: "/notes/by-key/{action_id}"}', own)
    found = findings_of({**files_of(), "tools.yaml": text.encode()})
    assert [(one.field, one.message) for one in found] == [
        ("tools[2].check", "another call than the tool's own expected: a check must not change anything")
    ]
