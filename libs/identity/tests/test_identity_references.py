"""A secret by reference is one line that a header can hold; what is wrong with it is said without showing it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ringback_errors import ConfigError
from ringback_identity import read_secret, sound_secret


def test_the_blanks_around_a_secret_are_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("\n sk-1\n\n")
    assert read_secret(tmp_path / "key", where="KEY") == "sk-1"
    (tmp_path / "key").write_text("Basic dTpw\n")
    assert read_secret(tmp_path / "key", where="KEY", spaces=True) == "Basic dTpw"


@pytest.mark.parametrize(
    "content", [b"", b"two words", b"two\nlines", b"tab\there", b"\xff", "ké".encode(), b"k" * 20_000]
)
def test_a_file_that_holds_none_is_named_and_what_it_holds_is_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_secret(path, where="KEY")
    expected = f"KEY: expected {path} to hold one line of printable ASCII characters without spaces"
    assert str(refused.value) == expected


def test_a_file_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"KEY: .*none cannot be read \(No such file or directory\)"):
        read_secret(tmp_path / "none", where="KEY")


@given(st.text(), st.booleans())
def test_what_passes_cannot_end_a_header(text: str, spaces: bool) -> None:
    try:
        secret = sound_secret(text, where="KEY", spaces=spaces)
    except ConfigError:
        return
    assert secret == text.strip()
    assert secret.isascii()
    assert secret.isprintable()
    assert spaces or " " not in secret
