"""A followed file: as fresh as the file, and never without content."""

import os
from pathlib import Path

import pytest
from ringback_errors import ConfigError
from ringback_identity import FollowedFile


def number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        raise ConfigError(f"{path.name}: expected a number") from None


def test_without_a_good_file_there_is_nothing_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a number"):
        FollowedFile(tmp_path / "gone", number)


def test_a_file_that_is_written_to_or_replaced_is_read_again_and_else_it_is_not(tmp_path: Path) -> None:
    path, times = tmp_path / "n", []

    def counted(at: Path) -> int:
        times.append(at)
        return number(at)

    path.write_text("1")
    followed = FollowedFile(path, counted)
    assert [followed.content, followed.content] == [1, 1]
    assert len(times) == 1
    path.write_text("22")
    assert followed.content == 22
    # A replacement of the same size and time is another file.
    at_ns = path.stat().st_mtime_ns
    (tmp_path / "next").write_text("33")
    os.utime(tmp_path / "next", ns=(at_ns, at_ns))
    (tmp_path / "next").replace(path)
    assert followed.content == 33


def test_what_was_good_stays_while_the_file_is_bad_or_away_and_each_refusal_is_told_once(
    tmp_path: Path,
) -> None:
    path, told = tmp_path / "n", []
    path.write_text("1")
    followed = FollowedFile(path, number, on_refused=told.append)
    path.write_text("one and a half")
    assert [followed.content, followed.content] == [1, 1]
    assert [str(error) for error in told] == ["n: expected a number"]
    assert followed.refusal is told[0]
    path.unlink()
    assert [followed.content, followed.content] == [1, 1]
    assert len(told) == 2
    path.write_text("2")
    assert followed.content == 2
    assert followed.refusal is None
    assert "2" not in repr(followed).replace(str(tmp_path), "")
