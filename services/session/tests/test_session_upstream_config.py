"""Which upstreams there are: read from a file that names line and field of what is wrong, credentials by reference."""

import os
from pathlib import Path

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from ringback_errors import ConfigError
from ringback_session.adapters.upstream_endpoints import Endpoints
from ringback_session.adapters.upstream_secrets import Secret
from ringback_session.adapters.upstream_source import UpstreamSource, configured_upstreams
from ringback_session.adapters.upstream_spec import SecretRef, Upstream, read_upstreams, single_upstream
from ringback_session.settings import SessionSettings
from ringback_testkit.scripted_model import ScriptedModel
from session_upstream_kit import Listener, models_of

KEY = "sk-not-to-be-seen"
WHOLE = """\
upstreams:
  - name: main
    kind: openai
    model: gpt-realtime-2.1
    models: {gpt-realtime-mini: gpt-realtime-2.1-mini}
    key: {env: OPENAI_KEY}
    organization: org-1
    dial: {timeout_ms: 3000, attempts: 3}
    session: {ms_max: 1800000, rotate_before_ms: 400000, rotate_at_last_ms: 200000}
    breaker: {failures_max: 5, open_ms: 20000}
    pool: {size: 4, age_ms_max: 60000}
  - name: azure
    kind: azure
    url: https://r.openai.azure.com
    model: deployed
    token: {file: token}
  - name: own
    kind: local
    url: ws://127.0.0.1:8090/v1/realtime
"""
ENVIRON = {
    "RINGBACK_POLICY_ADDR": "h:1",
    "RINGBACK_TOOLS_ADDR": "h:2",
    "RINGBACK_MEMORY_ADDR": "h:3",
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "upstreams.yaml"
    path.write_text(WHOLE)
    (tmp_path / "token").write_text("entra\n")
    return path


def replace(path, text):
    """As a mounted file changes: another one in its place, with another time."""
    new = path.with_name("new")
    new.write_text(text)
    os.utime(new, ns=(1, path.stat().st_mtime_ns + 1_000_000))
    new.rename(path)


def test_a_whole_file_is_read_in_its_order(file):
    main, azure, own = read_upstreams(file)
    assert (main.name, main.kind, main.url) == ("main", "openai", "https://api.openai.com/v1")
    assert (main.model_for("gpt-realtime-mini"), main.model_for("x")) == (
        "gpt-realtime-2.1-mini",
        "gpt-realtime-2.1",
    )
    assert (main.dial_timeout_ms, main.dial_attempts, main.failures_max, main.open_ms) == (
        3_000,
        3,
        5,
        20_000,
    )
    assert (main.session_ms_max, main.rotate_before_ms, main.rotate_at_last_ms) == (
        1_800_000,
        400_000,
        200_000,
    )
    assert (main.pool_size, azure.pool_size, own.pool_size) == (4, 0, 2), (
        "what may cost waits only if asked to"
    )
    assert (azure.token, azure.key.file) == (True, file.parent / "token")
    assert (azure.session_ms_max, azure.rotate_before_ms, azure.rotate_at_last_ms) == (
        3_600_000,
        600_000,
        300_000,
    )


def test_the_example_of_the_docs_is_read(tmp_path):
    page = Path(__file__).parents[3] / "docs" / "upstreams.md"
    example = page.read_text().partition("```yaml\n")[2].partition("```")[0]
    path = tmp_path / "upstreams.yaml"
    path.write_text(example)
    found = read_upstreams(path)
    assert [upstream.kind for upstream in found] == ["openai", "azure", "compatible"]
    defaults = {"name": "own", "kind": "compatible", "url": "wss://voice.example/v1/realtime"}
    assert found[2] == Upstream(**defaults), "what the page shows are the defaults"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            "kind: openai",
            "kind: opnai",
            3,
            "upstreams[0].kind: one of openai, azure, compatible, local expected",
        ),
        ("    model: deployed\n", "", 12, "upstreams[1]: 'model' expected"),
        ("timeout_ms: 3000", "timeout_ms: soon", 8, "upstreams[0].dial.timeout_ms: a whole number from 100"),
        ("attempts: 3", "atempts: 3", 8, "upstreams[0].dial.atempts: unknown key (did you mean 'attempts'?)"),
        ("{env: OPENAI_KEY}", "sk-secret", 6, "upstreams[0].key: either {env: NAME}"),
        (
            "{env: OPENAI_KEY}",
            "{env: sk-secret}",
            6,
            "upstreams[0].key.env: the name of an environment variable",
        ),
        ("{env: OPENAI_KEY}", "{}", 6, "upstreams[0].key: either {env: NAME}"),
        ("    key: {env: OPENAI_KEY}\n", "", 2, "upstreams[0]: 'key' expected, it is missing"),
        ("key: {env: OPENAI_KEY}", "token: {env: T}", 6, "upstreams[0].token: a token is for kind azure"),
        (
            "https://r.openai",
            "ftp://r.openai",
            14,
            "upstreams[1].url: a URL beginning with https:// expected",
        ),
        ("https://r.", "https://user:pw@r.", 14, "upstreams[1].url: a URL beginning with https:// expected"),
        (
            "    kind: azure",
            "    kind: azure\n    organization: o",
            14,
            "only for kind openai, this one is azure",
        ),
        ("name: azure", "name: main", 12, "upstreams[1].name: each name once expected"),
        (
            "rotate_before_ms: 400000",
            "rotate_before_ms: 1800000",
            9,
            "upstreams[0].session: expected rotate_at",
        ),
        ("size: 4", "size: 65", 11, "upstreams[0].pool.size: a whole number from 0 to 64"),
        (
            "gpt-realtime-2.1-mini}",
            "[a]}",
            5,
            "upstreams[0].models.gpt-realtime-mini: a model's name expected",
        ),
    ],
)
def test_what_is_wrong_is_one_line_with_file_line_and_field(file, old, new, line, said):
    assert old in WHOLE
    file.write_text(WHOLE.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        read_upstreams(file)
    assert str(caught.value).startswith(f"{file}:{line}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert "user:pw" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "upstreams: []", "- a", "upstreams: [", "upstreams: {a: 1}", "other: 1"]
)
def test_a_file_without_upstreams_is_refused(file, text):
    file.write_text(text)
    with pytest.raises(ConfigError):
        read_upstreams(file)


def test_a_missing_file_is_named_with_its_variable(tmp_path):
    with pytest.raises(ConfigError, match=r"RINGBACK_UPSTREAMS_FILE: .*cannot be read"):
        read_upstreams(tmp_path / "none.yaml")


async def test_a_changed_file_is_followed_and_what_stayed_keeps_what_it_learnt(tmp_path):
    async with ScriptedModel() as first, ScriptedModel() as second:
        path = tmp_path / "upstreams.yaml"
        one = f"upstreams:\n- {{name: one, kind: compatible, url: '{first.url}'}}\n"
        two = f"- {{name: two, kind: compatible, url: '{second.url}'}}\n"
        path.write_text(one)
        models = models_of()
        models._source = UpstreamSource(path)
        await Listener().connect(models)
        lane = models.lanes[0]
        replace(path, f"upstreams:\n{two}- {{name: one, kind: compatible, url: '{first.url}'}}\n")
        await Listener().connect(models)
        assert (len(first.connections), len(second.connections)) == (1, 1)
        assert models.lanes[1] is lane
        replace(path, "upstreams: [half")
        await Listener().connect(models)
        assert len(second.connections) == 2, "what cannot be read changes nothing"


def ref(**where):
    return SecretRef(where="here", **where)


def test_a_credential_is_fresh_as_its_file_and_outlives_its_absence(tmp_path, caplog):
    path = tmp_path / "key"
    path.write_text("first\n")
    secret = Secret(ref(file=path), lambda name: "")
    assert secret.value() == "first"
    replace(path, "second")
    assert secret.value() == "second"
    replace(path, "two lines\nof it")
    assert secret.value() == "second"
    path.unlink()
    assert secret.value() == "second"
    assert "second" not in repr(secret) + caplog.text


@pytest.mark.parametrize("value", ["", "  ", "with space", "line\nbreak", "ü", "x" * 17_000])
def test_what_can_be_no_credential_is_refused_without_being_shown(tmp_path, value):
    path = tmp_path / "key"
    path.write_text(value)
    for asked in (ref(file=path), ref(variable="NAME")):
        with pytest.raises(ConfigError, match="here: expected") as caught:
            Secret(asked, lambda name: value)
        assert len(str(caught.value)) < 300
        assert not value.strip() or value.strip() not in str(caught.value)


def endpoint(model, **fields):
    token = fields.get("token", False)
    upstream = Upstream(name="u", **fields)
    return Endpoints(upstream, Secret(ref(variable="KEY"), lambda name: KEY)).of(model), token


async def package_dials(client, model):
    """What the package itself asks the server for."""
    async with client.realtime.connect(model=model):
        pass


AUTH = ("authorization", "api-key", "openai-organization", "openai-project")


def shown(headers):
    return {name: value for name, value in headers.items() if name.lower() in AUTH}


async def test_openai_is_dialled_and_shown_exactly_what_the_package_would():
    async with ScriptedModel() as server:
        base = server.url.replace("ws:", "http:").removesuffix("/realtime")
        client = AsyncOpenAI(api_key=KEY, base_url=base, organization="org-1", project="proj-1")
        await package_dials(client, "gpt-realtime-2.1")
        path, headers = server.asked[0]
        named = {"organization": "org-1", "project": "proj-1"}
        ours, _ = endpoint("gpt-realtime-2.1", kind="openai", url=base, **named)
        assert ours.url == server.url.removesuffix("/v1/realtime") + path
        assert {name.lower(): value for name, value in ours.headers.items()} == shown(headers)


@pytest.mark.parametrize("token", [False, True])
async def test_azures_preview_is_dialled_and_shown_exactly_what_the_package_would(token):
    async with ScriptedModel() as server:
        base = server.url.removesuffix("/v1/realtime")
        client = AsyncAzureOpenAI(
            azure_endpoint=base.replace("ws:", "http:"),
            websocket_base_url=f"{base}/openai",
            api_version="2025-04-01-preview",
            **({"azure_ad_token": KEY} if token else {"api_key": KEY}),
        )
        await package_dials(client, "deployed")
        path, headers = server.asked[0]
        fields = {"kind": "azure", "api_version": "2025-04-01-preview", "token": token}
        ours, _ = endpoint("deployed", url=base.replace("ws:", "http:"), **fields)
        assert sorted(ours.url.removeprefix(base).partition("?")[2].split("&")) == sorted(
            path.partition("?")[2].split("&")
        )
        assert ours.url.removeprefix(base).partition("?")[0] == path.partition("?")[0]
        assert {name.lower(): value for name, value in ours.headers.items()} == shown(headers)


@pytest.mark.parametrize(
    ("token", "header"), [(False, ("api-key", KEY)), (True, ("Authorization", f"Bearer {KEY}"))]
)
def test_azures_released_endpoint_takes_the_deployment_as_the_model(token, header):
    ours, _ = endpoint("deployed", kind="azure", url="https://r.openai.azure.com/", token=token)
    assert ours.url == "wss://r.openai.azure.com/openai/v1/realtime?model=deployed"
    assert dict([header]) == ours.headers
    assert KEY not in repr(ours)


def test_variables_of_the_package_change_nothing(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://elsewhere.example/v1")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-other")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    monkeypatch.setenv("AZURE_OPENAI_AD_TOKEN", "other")
    ours, _ = endpoint("m", kind="openai", url="https://api.openai.com/v1")
    assert (ours.url, ours.headers) == (
        "wss://api.openai.com/v1/realtime?model=m",
        {"Authorization": f"Bearer {KEY}"},
    )
    ours, _ = endpoint("m", kind="azure", url="https://r.openai.azure.com")
    assert ours.headers == {"api-key": KEY}


async def test_a_new_key_is_shown_from_the_next_dial_on(tmp_path):
    path = tmp_path / "key"
    path.write_text("first")
    async with ScriptedModel() as server:
        models = models_of(single_upstream(server.url, key_file=path))
        await Listener().connect(models)
        replace(path, "second")
        await Listener().connect(models)
        assert [headers["authorization"] for _, headers in server.asked] == ["Bearer first", "Bearer second"]


# The variables.


def settings(**environ):
    given = {f"RINGBACK_{name}": str(value) for name, value in environ.items()}
    return SessionSettings.from_env(ENVIRON | given, service="session")


def test_one_upstream_is_described_by_variables_alone():
    found = settings(UPSTREAM_URL="ws://h/v1/realtime", UPSTREAM_MODEL="m", UPSTREAM_KEY=KEY)
    (upstream,) = configured_upstreams(found).current()
    assert (upstream.kind, upstream.url, upstream.model) == ("compatible", "ws://h/v1/realtime", "m")
    assert upstream.key.variable == "RINGBACK_UPSTREAM_KEY"
    assert (upstream.pool_size, KEY in repr(found)) == (0, False)


def test_a_local_one_is_kept_warm(tmp_path):
    found = settings(UPSTREAM_URL="ws://h/v1", UPSTREAM_KIND="local", UPSTREAM_KEY_FILE=tmp_path / "key")
    (upstream,) = configured_upstreams(found).current()
    assert (upstream.kind, upstream.pool_size, upstream.key.file) == ("local", 2, tmp_path / "key")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "RINGBACK_UPSTREAM_URL: expected"),
        ({"UPSTREAM_URL": "ws://h", "UPSTREAMS_FILE": "f"}, "RINGBACK_UPSTREAM_URL: expected to be absent"),
        ({"UPSTREAM_URL": "ws://h", "UPSTREAM_KIND": "azure"}, "RINGBACK_UPSTREAM_KIND: expected one of"),
        (
            {"UPSTREAM_URL": "ws://h", "UPSTREAM_KEY": "k", "UPSTREAM_KEY_FILE": "f"},
            "RINGBACK_UPSTREAM_KEY_FILE: expected to be absent",
        ),
    ],
)
def test_variables_that_contradict_each_other_are_named(environ, said):
    with pytest.raises(ConfigError, match=said):
        configured_upstreams(settings(**environ))


def test_a_list_may_take_the_place_of_the_variables(file):
    assert len(configured_upstreams(settings(UPSTREAMS_FILE=file)).current()) == 3
