"""Settings are read once, checked, and wrong ones are explained in one line without their value."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ringback_errors import ConfigError
from ringback_serving import CommonSettings, Env, ServingSettings, TlsFiles


@dataclass(frozen=True, kw_only=True)
class OwnSettings(CommonSettings):
    memory_addr: str
    turns_max: int = 8

    @classmethod
    def read(cls, env: Env) -> dict[str, Any]:
        return {**super().read(env), "memory_addr": env.address("MEMORY_ADDR")}


def test_every_common_setting_has_a_safe_default():
    found = CommonSettings.from_env({}, service="policy")
    assert found == CommonSettings(service="policy", state_dir=Path("var/state/policy"))
    assert (found.host, found.port, found.otlp_endpoint, found.tls) == ("127.0.0.1", 0, None, None)


def test_every_common_setting_can_be_given():
    found = CommonSettings.from_env(
        {
            "RINGBACK_HOST": "0.0.0.0",
            "RINGBACK_PORT": "7001",
            "RINGBACK_READY_FILE": "/run/p",
            "RINGBACK_NATS_URL": "tls://nats:4222",
            "RINGBACK_OTLP_ENDPOINT": "http://otel:4317",
            "RINGBACK_INSTANCE": "p0",
            "RINGBACK_LOG_LEVEL": "DEBUG",
            "RINGBACK_STATE_DIR": "/state",
            "RINGBACK_DRAIN_MS": "5",
            "RINGBACK_TLS_CERT_FILE": "c",
            "RINGBACK_TLS_KEY_FILE": "k",
            "RINGBACK_TLS_CA_FILE": "a",
        }
    )
    tls = TlsFiles(cert=Path("c"), key=Path("k"), ca=Path("a"))
    assert found == CommonSettings(
        host="0.0.0.0",
        port=7001,
        ready_file=Path("/run/p"),
        nats_url="tls://nats:4222",
        otlp_endpoint="http://otel:4317",
        instance="p0",
        log_level="debug",
        state_dir=Path("/state"),
        drain_ms=5,
        tls=tls,
    )
    assert found.serving == ServingSettings(
        host="0.0.0.0", port=7001, drain_ms=5, tls=tls, ready_file=Path("/run/p")
    )


def test_a_service_adds_its_own():
    found = OwnSettings.from_env({"RINGBACK_MEMORY_ADDR": "memory:7003"}, service="session")
    assert (found.memory_addr, found.turns_max, found.service) == ("memory:7003", 8, "session")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "http", "a whole number from 0 to 65535"),
        ("PORT", "65536", "a whole number from 0 to 65535"),
        ("PORT", "-1", "a whole number from 0 to 65535"),
        ("NATS_URL", "http://x", "a URL beginning with nats:// or tls://"),
        ("NATS_URL", "nats://", "a URL beginning with nats:// or tls://"),
        ("LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("OTLP_ENDPOINT", "otel", "host:port"),
        ("OTLP_ENDPOINT", "ftp://otel:1", "host:port"),
        ("OTLP_ENDPOINT", "otel:0", "host:port"),
        ("TLS_CERT_FILE", "c", "RINGBACK_TLS_KEY_FILE: expected a path"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(name, value, expected):
    with pytest.raises(ConfigError) as caught:
        CommonSettings.from_env({f"RINGBACK_{name}": value})
    assert expected in str(caught.value)
    assert "RINGBACK_" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_setting_without_default_is_named():
    with pytest.raises(ConfigError, match="RINGBACK_MEMORY_ADDR: expected host:port, but it is not set"):
        OwnSettings.from_env({"RINGBACK_MEMORY_ADDR": " "})


def test_a_value_never_shows_in_an_error():
    with pytest.raises(ConfigError) as caught:
        Env({"RINGBACK_KEY": "hunter2"}).integer("KEY", least=0, most=9)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False), ("FALSE", False)])
def test_truth_is_read_in_several_words(text, value):
    assert Env({"RINGBACK_X": text}).boolean("X") is value


def test_numbers_truths_and_addresses_are_checked():
    env = Env({"RINGBACK_X": "maybe", "RINGBACK_Y": "0.5", "RINGBACK_Z": "[::1]:80", "RINGBACK_N": "nan"})
    assert env.number("Y", least=0, most=1) == 0.5
    assert env.address("Z") == "[::1]:80"
    for read in (
        lambda: env.boolean("X"),
        lambda: env.number("X", least=0, most=1),
        lambda: env.number("N", least=0, most=1),
        lambda: env.address("X"),
    ):
        with pytest.raises(ConfigError):
            read()


@pytest.mark.parametrize(
    "wrong", [{"port": 70_000}, {"drain_ms": -1}, {"rpcs_max": 0}, {"max_message_bytes": 1}]
)
def test_serving_settings_are_checked(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ServingSettings(**wrong)
