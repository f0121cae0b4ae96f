"""`ringback provision`: keys for containers, each kind in a folder of its own, made once."""

import pytest
import yaml
from ringback_cli.commands.provision import provision
from ringback_errors import ConfigError
from ringback_identity import MacKeys, hash_key


def test_keys_are_made_once_and_only_their_owner_may_read_them(tmp_path, capsys):
    provision(secrets=tmp_path)
    files = {path.relative_to(tmp_path).as_posix(): path for path in tmp_path.glob("*/*")}
    assert set(files) == {"proof/mac-keys.json", "tenants/tenants.yaml", "caller/local.key"}
    assert {path.stat().st_mode & 0o777 for path in files.values()} == {0o600}
    before = {name: path.read_text() for name, path in files.items()}

    provision(secrets=tmp_path)

    assert {name: path.read_text() for name, path in files.items()} == before
    assert before["caller/local.key"].strip() not in capsys.readouterr().out


def test_the_tenants_file_knows_the_hash_of_the_key_alone(tmp_path):
    provision(secrets=tmp_path)
    key = (tmp_path / "caller/local.key").read_text().strip()
    text = (tmp_path / "tenants/tenants.yaml").read_text()
    assert key not in text
    assert yaml.safe_load(text)["tenants"][0]["key_hashes"] == [hash_key(key)]
    MacKeys.load(tmp_path / "proof/mac-keys.json")


@pytest.mark.parametrize("options", [{}, {"nats": "nats://127.0.0.1:4222"}, {"policy": "127.0.0.1:9000"}])
def test_incomplete_options_are_named(options):
    with pytest.raises(ConfigError, match="--nats and --policy"):
        provision(**options)
