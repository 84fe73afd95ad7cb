import fcntl
import os
from pathlib import Path

from controlplane.client.buffer import BATCH_LINES, EventBuffer
from controlplane.client.spill import Spill


class Dropped:
    """What the buffer said it dropped."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def __call__(self, count: int, reason: str) -> None:
        self.told.append((count, reason))


def line(number: int) -> bytes:
    return b'{"event_id":"e%06d"}' % number


def buffer_with(
    spill: Spill | None, *, max_events: int = 100, max_bytes: int = 1_000_000, dropped: Dropped | None = None
) -> EventBuffer:
    return EventBuffer(
        max_events=max_events, max_bytes=max_bytes, spill=spill, on_dropped=dropped or Dropped()
    )


def drain(buffer: EventBuffer) -> list[bytes]:
    got: list[bytes] = []
    while (batch := buffer.take()) is not None:
        got.extend(batch.lines)
        buffer.delivered(batch)
    return got


def test_buffer__within_memory__hands_out_in_order(tmp_path: Path) -> None:
    buffer = buffer_with(Spill(tmp_path, max_bytes=1_000_000))
    lines = [line(n) for n in range(50)]
    assert all(buffer.put(one) for one in lines)
    assert buffer.waiting == 50
    assert drain(buffer) == lines
    assert buffer.idle
    assert list(tmp_path.iterdir()) == []


def test_buffer__more_than_memory__overflows_to_disk_and_loses_nothing(tmp_path: Path) -> None:
    buffer = buffer_with(Spill(tmp_path, max_bytes=1_000_000), max_events=100)
    lines = [line(n) for n in range(1_000)]
    assert all(buffer.put(one) for one in lines)
    assert buffer.waiting <= 100
    assert buffer.spilled >= 900
    assert not buffer.idle
    assert drain(buffer) == lines
    assert buffer.wait_idle(0.0)
    assert list(tmp_path.rglob("*.ndjson")) == []


def test_buffer__bytes_full__overflows_to_disk(tmp_path: Path) -> None:
    buffer = buffer_with(Spill(tmp_path, max_bytes=1_000_000), max_bytes=len(line(0)) * 10)
    for number in range(25):
        assert buffer.put(line(number))
    assert buffer.waiting <= 10
    assert drain(buffer) == [line(n) for n in range(25)]


def test_buffer__no_disk_given__drops_the_newest_and_says_so() -> None:
    dropped = Dropped()
    buffer = buffer_with(None, max_events=10, dropped=dropped)
    queued = [buffer.put(line(n)) for n in range(13)]
    assert queued == [True] * 10 + [False] * 3
    assert buffer.dropped == 3
    assert dropped.told == [(1, "memory for waiting events is full and no cache_dir was given")] * 3
    assert drain(buffer) == [line(n) for n in range(10)]


def test_buffer__disk_bound_reached__drops_and_stays_within_it(tmp_path: Path) -> None:
    dropped = Dropped()
    bound = (len(line(0)) + 1) * 20
    buffer = buffer_with(Spill(tmp_path, max_bytes=bound), max_events=10, dropped=dropped)
    queued = sum(buffer.put(line(n)) for n in range(1_000))
    on_disk = sum(path.stat().st_size for path in tmp_path.rglob("*.ndjson"))
    assert on_disk <= bound
    assert queued + buffer.dropped == 1_000
    assert drain(buffer) == [line(n) for n in range(queued)]


def test_buffer__disk_refuses__drops_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    buffer = buffer_with(Spill(tmp_path / "file", max_bytes=1_000_000), max_events=2)
    assert [buffer.put(line(n)) for n in range(3)] == [True, True, False]
    assert drain(buffer) == [line(0), line(1)]


def test_buffer__given_back__comes_again_first(tmp_path: Path) -> None:
    buffer = buffer_with(Spill(tmp_path, max_bytes=1_000_000), max_events=BATCH_LINES * 3)
    lines = [line(n) for n in range(BATCH_LINES + 5)]
    for one in lines:
        buffer.put(one)
    first = buffer.take()
    assert first is not None
    assert len(first.lines) == BATCH_LINES
    buffer.give_back(first)
    assert buffer.waiting == BATCH_LINES + 5
    assert drain(buffer) == lines


def test_buffer__given_back_from_disk__file_stays_until_delivered(tmp_path: Path) -> None:
    buffer = buffer_with(Spill(tmp_path, max_bytes=1_000_000), max_events=10)
    for number in range(11):
        buffer.put(line(number))
    batch = buffer.take()
    assert batch is not None
    assert batch.from_disk
    buffer.give_back(batch)
    assert len(list(tmp_path.rglob("*.ndjson"))) == 1
    assert drain(buffer) == [line(n) for n in range(11)]
    assert list(tmp_path.rglob("*.ndjson")) == []


def test_buffer__closed_with_events__next_process_delivers_them(tmp_path: Path) -> None:
    first = buffer_with(Spill(tmp_path, max_bytes=1_000_000))
    for number in range(5):
        first.put(line(number))
    taken = first.take()
    assert taken is not None
    first.close()
    second = buffer_with(Spill(tmp_path, max_bytes=1_000_000))
    assert second.adopt() == 1
    assert drain(second) == [line(n) for n in range(5)]
    assert not second.put(b"x" * 2_000_000)
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_buffer__closed__takes_nothing_more(tmp_path: Path) -> None:
    dropped = Dropped()
    buffer = buffer_with(Spill(tmp_path, max_bytes=1_000_000), dropped=dropped)
    buffer.close()
    assert not buffer.put(line(1))
    assert dropped.told == [(1, "the client is closed")]


def test_spill__folder_of_a_living_process__is_left_alone(tmp_path: Path) -> None:
    living = Spill(tmp_path, max_bytes=1_000_000)
    assert living.write([line(1)])
    other = Spill(tmp_path, max_bytes=1_000_000)
    assert other.adopt() == 0
    assert other.empty
    living.close()
    assert other.adopt() == 1
    assert other.first() == [line(1)]


def test_spill__torn_last_file__is_not_adopted(tmp_path: Path) -> None:
    dead = tmp_path / "999-dead"
    dead.mkdir()
    (dead / "00000001.ndjson").write_bytes(line(1) + b"\n")
    (dead / "00000002.part").write_bytes(line(2)[:5])
    spill = Spill(tmp_path, max_bytes=1_000_000)
    assert spill.adopt() == 1
    assert spill.first() == [line(1)]
    assert not dead.exists()


def test_spill__files__only_the_owner_can_read(tmp_path: Path) -> None:
    spill = Spill(tmp_path / "events", max_bytes=1_000_000)
    spill.write([line(1)])
    files = list((tmp_path / "events").rglob("*"))
    assert {path.stat().st_mode & 0o077 for path in files} == {0}
    assert len(files) == 3


def test_spill__locked_by_another__lock_is_a_real_one(tmp_path: Path) -> None:
    spill = Spill(tmp_path, max_bytes=1_000_000)
    spill.write([line(1)])
    lock = next(tmp_path.rglob("lock"))
    handle = os.open(lock, os.O_RDWR)
    try:
        refused = False
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refused = True
        assert refused
    finally:
        os.close(handle)
