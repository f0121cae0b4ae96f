"""Settings: safe defaults, and one clear line for what is wrong."""

import pytest
from ringback_errors import ConfigError
from ringback_memory.settings import MemorySettings


def test_nothing_set_is_a_valid_setting():
    settings = MemorySettings.from_env({}, service="memory")
    assert settings.rules.above_tokens == 1_600
    assert settings.port == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RINGBACK_COMPACT_ABOVE_TOKENS", "many"),
        ("RINGBACK_COMPACT_KEEP_TURNS", "1"),
        ("RINGBACK_SESSIONS_HELD_MAX", "0"),
        ("RINGBACK_COMPACT_KEEP_TOKENS", "5000"),
        ("RINGBACK_NATS_URL", "http://x"),
    ],
)
def test_a_wrong_setting_names_its_variable(name, value):
    with pytest.raises(ConfigError, match=name):
        MemorySettings.from_env({name: value}, service="memory")


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"RINGBACK_SUMMARY_URL": "http://127.0.0.1:1/v1"}, "RINGBACK_SUMMARY_MODEL"),
        ({"RINGBACK_SUMMARY_URL": "ftp://x", "RINGBACK_SUMMARY_MODEL": "m"}, "RINGBACK_SUMMARY_URL"),
        ({"RINGBACK_CALLERS_RETENTION_DAYS": "0"}, "RINGBACK_CALLERS_RETENTION_DAYS"),
    ],
)
def test_a_summary_model_is_named_in_full(values, name):
    with pytest.raises(ConfigError, match=name):
        MemorySettings.from_env(values, service="memory")


def test_the_key_of_the_text_model_does_not_show():
    settings = MemorySettings.from_env({"RINGBACK_SUMMARY_API_KEY": "secret-1"}, service="memory")
    assert "secret-1" not in repr(settings)
