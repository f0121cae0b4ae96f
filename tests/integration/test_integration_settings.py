"""Bad settings: exit code 2 and one line that says what, where and what was expected; never a stack trace."""

from __future__ import annotations

import json

import pytest

# One case per service and kind of mistake; the rest is with each service's own tests of its settings.
MISSING = [
    ("policy", "RINGBACK_MAC_KEYS_FILE"),
    ("tools", "RINGBACK_MAC_KEYS_FILE"),
    ("session", "RINGBACK_UPSTREAM_URL"),
]
BAD = [
    ("policy", "RINGBACK_MAC_KEYS_FILE", "/nowhere/mac.json", "readable file"),
    ("tools", "RINGBACK_CONNECTOR_AIRLINE_RESERVATIONS", "127.0.0.1", "address"),
    ("memory", "RINGBACK_NATS_URL", "http://127.0.0.1:4222", "nats://"),
    ("session", "RINGBACK_POLICY_ADDR", "policy", "host:port"),
    ("session", "RINGBACK_TENANTS_FILE", "/nowhere/tenants.yaml", "tenants.yaml"),
    ("localmodel", "RINGBACK_LOG_LEVEL", "loud", "one of"),
]


def refusal(process):
    """The one line with which a process refused to start."""
    process.launch()
    assert process.wait(timeout_s=30) == 2, process.tail()
    lines = process.log.strip().splitlines()
    # Lines of the log are JSON; the refusal is for people.
    said = [line for line in lines if not line.startswith("{")]
    assert len(said) == 1, process.tail()
    assert said[0].startswith("cannot start: ")
    assert all(json.loads(line) for line in lines if line.startswith("{"))
    return said[0]


@pytest.mark.parametrize(("service", "variable"), MISSING)
def test_a_variable_that_is_needed_is_named(services, service, variable):
    line = refusal(services.make(service, without=variable))
    assert variable in line
    assert "not set" in line


@pytest.mark.parametrize(("service", "variable", "value", "words"), BAD)
def test_a_bad_value_is_refused_with_what_was_expected(services, service, variable, value, words):
    line = refusal(services.make(service, **{variable: value}))
    assert words in line
    assert variable in line or value in line


@pytest.mark.parametrize("service", ["policy", "localmodel"])
def test_a_port_in_use_is_named(services, bound_port, service):
    line = refusal(services.make(service, RINGBACK_PORT=str(bound_port)))
    assert f"127.0.0.1:{bound_port}" in line
    assert "RINGBACK_PORT" in line


def test_nats_that_does_not_come_is_named_with_its_address(services):
    line = refusal(services.make("memory", RINGBACK_NATS_WAIT_MS="300"))
    assert "RINGBACK_NATS_URL" in line
    assert f"nats://127.0.0.1:{services.nats_port}" in line
    assert "not reachable within 300 ms" in line


def test_a_key_file_that_others_may_read_is_refused(services):
    keys = services.folder / "open.json"
    keys.write_text((services.folder / "mac.json").read_text())
    keys.chmod(0o644)
    line = refusal(services.make("policy", RINGBACK_MAC_KEYS_FILE=str(keys)))
    assert "0600" in line
    assert str(keys) in line


def test_a_tenants_file_that_makes_no_sense_is_named_by_its_entry(services):
    tenants = services.folder / "broken.yaml"
    tenants.write_text("tenants: [{tenant: local, key_hashes: [], packs: [airline], default_pack: telco}]\n")
    line = refusal(services.make("session", RINGBACK_TENANTS_FILE=str(tenants)))
    assert "tenants[0].default_pack" in line


def test_a_speech_model_that_is_missing_is_named_with_what_to_run(services):
    hidden = services.folder / "shadow" / "moonshine_voice"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").touch()
    line = refusal(services.make("localmodel", PYTHONPATH=str(hidden.parent)))
    assert "speech model" in line
    assert str(hidden) in line, "it says where it looked"
    assert "make setup" in line
