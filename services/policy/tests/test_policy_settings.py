"""What the environment may say."""

import pytest
from ringback_errors import ConfigError
from ringback_policy.settings import read_settings


def test_the_keys_file_is_needed_and_named():
    with pytest.raises(ConfigError, match="RINGBACK_MAC_KEYS_FILE"):
        read_settings({})


def test_everything_else_has_a_safe_default(tmp_path):
    settings = read_settings({"RINGBACK_MAC_KEYS_FILE": str(tmp_path / "mac.json")})
    assert (settings.host, settings.port, settings.nats_url) == ("127.0.0.1", 0, "nats://127.0.0.1:4222")


def test_a_wrong_port_is_refused_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match="RINGBACK_PORT: expected a whole number"):
        read_settings({"RINGBACK_MAC_KEYS_FILE": "x", "RINGBACK_PORT": "many"})
