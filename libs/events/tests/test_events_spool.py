"""The spool: first in, first out; bounded; nothing whole is lost, whenever the process dies."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from ringback_errors import ConfigError
from ringback_events import DiskSpool, MemorySpool, SpoolFull
from ringback_events.message import Message
from ringback_events.spool import Spool

Make = Callable[..., Spool]


def message(number: int, size: int = 10) -> Message:
    return Message(
        "ringback.events.a.b.c", b"x" * size, f"id-{number}", {"traceparent": "00-é".encode().hex()}
    )


def ids(records: list[tuple[int, Message]]) -> list[str]:
    return [found.msg_id for _, found in records]


@pytest.fixture(params=["disk", "memory"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "memory":
        return lambda bytes_max=1_000_000, **_: MemorySpool(bytes_max=bytes_max)
    return lambda bytes_max=1_000_000, segment_bytes=1_000: DiskSpool(
        tmp_path / "spool", bytes_max=bytes_max, segment_bytes=segment_bytes
    )


def test_records_come_back_in_order_and_whole(make: Make) -> None:
    spool = make()
    numbers = [spool.append(message(n)) for n in range(50)]
    assert spool.unread == 50
    records = spool.read(20) + spool.read(100)
    assert [number for number, _ in records] == numbers
    assert [found for _, found in records] == [message(n) for n in range(50)]
    assert spool.unread == 0
    assert spool.read(1) == []


def test_what_is_not_committed_is_handed_out_again(make: Make) -> None:
    spool = make()
    for n in range(10):
        spool.append(message(n))
    records = spool.read(6)
    spool.commit(records[1][0])
    spool.rewind()
    assert spool.unread == 8
    assert ids(spool.read(100)) == [f"id-{n}" for n in range(2, 10)]


def test_a_full_spool_refuses_and_takes_again_after_a_commit(make: Make) -> None:
    spool = make(bytes_max=1_000)
    with pytest.raises(SpoolFull) as caught:
        _fill(spool)
    assert caught.value.retryable
    kept = spool.unread
    assert 0 < kept < 1_000
    spool.append(message(5_000), force=True)
    records = spool.read(1_000)
    assert len(records) == kept + 1
    spool.commit(records[-1][0])
    spool.append(message(6_000))
    assert ids(spool.read(10)) == ["id-6000"]


def test_a_new_process_finds_what_was_left_and_appends_after_it(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, segment_bytes=300)
    for n in range(20):
        spool.append(message(n))
    spool.commit(spool.read(7)[-1][0])
    spool.close()
    again = DiskSpool(tmp_path, segment_bytes=300)
    assert again.unread == 13
    again.append(message(20))
    assert ids(again.read(100)) == [f"id-{n}" for n in range(7, 21)]
    again.close()


def test_finished_segments_leave_the_disk(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path, segment_bytes=300)
    for n in range(50):
        spool.append(message(n))
    assert len(list(tmp_path.glob("*.spool"))) > 5
    records = spool.read(100)
    spool.commit(records[40][0])
    assert len(list(tmp_path.glob("*.spool"))) < 5
    spool.commit(records[-1][0])
    assert list(tmp_path.glob("*.spool")) == []
    assert spool.bytes_used == 0


@given(cut=st.integers(min_value=0, max_value=10_000))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_cut_short_anywhere_costs_only_itself(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = DiskSpool(folder)
    ends = [0]
    for n in range(8):
        spool.append(message(n, size=n * 3))
        ends.append(spool.bytes_used)
    spool.close()
    path = next(folder.glob("*.spool"))
    cut = cut % (ends[-1] + 1)
    path.write_bytes(path.read_bytes()[:cut])
    again = DiskSpool(folder)
    whole = max(index for index, end in enumerate(ends) if end <= cut)
    assert again.unread == whole
    again.append(message(99))
    assert ids(again.read(100)) == [*(f"id-{n}" for n in range(whole)), "id-99"]
    torn = list(folder.glob("*.torn-*"))
    assert bool(torn) == (cut != ends[whole])
    again.close()


@given(at=st.integers(min_value=0, max_value=10_000), value=st.integers(min_value=0, max_value=255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_record_never_becomes_a_wrong_message(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    spool = DiskSpool(folder)
    for n in range(5):
        spool.append(message(n))
    spool.close()
    path = next(folder.glob("*.spool"))
    data = bytearray(path.read_bytes())
    data[at % len(data)] = value
    path.write_bytes(data)
    again = DiskSpool(folder)
    found = [record for _, record in again.read(100)]
    assert found == [message(n) for n in range(len(found))]
    again.close()


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    with pytest.raises(ConfigError, match="in use by another process"):
        DiskSpool(tmp_path)
    spool.close()
    DiskSpool(tmp_path).close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/spool: a writable folder expected"):
        DiskSpool(tmp_path / "file" / "spool")


def test_a_refused_message_is_kept_for_people(tmp_path: Path) -> None:
    spool = DiskSpool(tmp_path)
    spool.refuse(message(1), "too large")
    assert "too large" in (tmp_path / "refused.jsonl").read_text()
    spool.close()


def _fill(spool: Spool) -> None:
    for n in range(1_000):
        spool.append(message(n))


class SpoolMachine(RuleBasedStateMachine):
    """A spool on disk against a plain model, with restarts at any moment."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.folder = Path(_folders.mktemp("spool"))
        self.spool = DiskSpool(self.folder, segment_bytes=200)
        self.kept: deque[str] = deque()
        self.handed: deque[tuple[int, str]] = deque()
        self.count = 0

    @rule()
    def append(self) -> None:
        self.count += 1
        self.spool.append(message(self.count))
        self.kept.append(f"id-{self.count}")

    @rule(count=st.integers(min_value=1, max_value=6))
    def read(self, count: int) -> None:
        records = self.spool.read(count)
        expected = [self.kept.popleft() for _ in range(min(count, len(self.kept)))]
        assert ids(records) == expected
        self.handed.extend((number, found.msg_id) for number, found in records)

    @rule(count=st.integers(min_value=1, max_value=6))
    def commit(self, count: int) -> None:
        number = 0
        for _ in range(min(count, len(self.handed))):
            number, _ = self.handed.popleft()
        if number:
            self.spool.commit(number)

    @rule()
    def rewind(self) -> None:
        self.spool.rewind()
        self.kept.extendleft(msg_id for _, msg_id in reversed(self.handed))
        self.handed.clear()

    @rule()
    def restart(self) -> None:
        self.spool.close()
        self.spool = DiskSpool(self.folder, segment_bytes=200)
        self.kept.extendleft(msg_id for _, msg_id in reversed(self.handed))
        self.handed.clear()

    @invariant()
    def counts(self) -> None:
        assert self.spool.unread == len(self.kept)

    def teardown(self) -> None:
        self.spool.close()


@pytest.fixture(autouse=True)
def _folder_factory(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _folders
    _folders = tmp_path_factory


_folders: pytest.TempPathFactory
TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
