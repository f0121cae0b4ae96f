"""Who may call: tenants.yaml, read again when it changes, and what is wrong with it said with its place."""

import os

import pytest
from ringback_errors import ConfigError, Unauthenticated
from ringback_identity import hash_key
from ringback_session.adapters.tenants_file import TenantsInFile

KEY = "rb_secret"
GOOD = f"""
tenants:
  - tenant: local
    key_hashes: ["{hash_key(KEY)}"]
    packs: [airline, passthrough]
    default_pack: airline
    quotas: {{sessions_max: 3}}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tenants.yaml"
    path.write_text(GOOD)
    return path


def test_a_key_belongs_to_its_tenant(file):
    caller = TenantsInFile(file).authenticate(KEY)
    assert (caller.tenant, caller.packs, caller.default_pack, caller.sessions_max) == (
        "local",
        ("airline", "passthrough"),
        "airline",
        3,
    )


def test_another_key_is_nobodys_and_is_not_repeated(file):
    with pytest.raises(Unauthenticated) as caught:
        TenantsInFile(file).authenticate("rb_wrong")
    assert "rb_wrong" not in str(caught.value)


def test_a_key_that_was_added_works_without_a_restart(file):
    tenants = TenantsInFile(file)
    file.write_text(GOOD.replace(hash_key(KEY), hash_key("rb_other")))
    os.utime(file, ns=(1, 1))
    assert tenants.authenticate("rb_other").tenant == "local"
    with pytest.raises(Unauthenticated):
        tenants.authenticate(KEY)


@pytest.mark.parametrize("spoilt", ["tenants: 5", "tenants: [", "", "tenants:\n  - tenant: 5"])
def test_a_file_that_is_spoilt_while_running_keeps_the_keys_that_there_were(file, spoilt):
    tenants = TenantsInFile(file)
    file.write_text(spoilt)
    os.utime(file, ns=(1, 1))
    assert tenants.authenticate(KEY).tenant == "local"


def test_a_file_that_goes_away_while_running_keeps_the_keys_that_there_were(file):
    tenants = TenantsInFile(file)
    file.unlink()
    assert tenants.authenticate(KEY).tenant == "local"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "tenants: expected a list"),
        ("tenants: {}", "tenants: expected a list"),
        ("a: [", "expected YAML"),
        ("tenants: [5]", "tenants[0].tenant: expected a slug"),
        ("tenants: [{tenant: x}]", "packs: expected a list"),
        ("tenants: [{tenant: x, packs: [a], default_pack: b}]", "tenants[0].default_pack: expected one of"),
        ("tenants: [{tenant: x, packs: [a]}]", "key_hashes: expected a list"),
        (
            "tenants: [{tenant: x, packs: [a], key_hashes: [], quotas: {sessions_max: many}}]",
            "tenants[0].quotas.sessions_max: expected a number",
        ),
        (
            "tenants: [{tenant: x, packs: [a], key_hashes: [], quotas: 5}]",
            "tenants[0].quotas: expected a mapping",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, text, said):
    path = tmp_path / "tenants.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        TenantsInFile(path)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named_with_its_variable(tmp_path):
    with pytest.raises(ConfigError, match="RINGBACK_TENANTS_FILE"):
        TenantsInFile(tmp_path / "nowhere.yaml")
