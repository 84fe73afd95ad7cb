"""Events waiting to be delivered: bounded in memory, overflowing to disk, never blocking the host for long."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from controlplane.client.spill import Spill

BATCH_LINES = 1_000
BATCH_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines taken for delivery; exactly one batch is out at a time."""

    lines: tuple[bytes, ...]
    from_disk: bool


class EventBuffer:
    """A queue of encoded events.

    At most ``max_events`` events and ``max_bytes`` bytes wait in memory. When that is full the older half is
    written to ``spill`` as one file; when disk is full too, or there is none, the new event is dropped and counted.
    Delivery is at least once: a batch leaves only by `delivered`.
    """

    def __init__(
        self, *, max_events: int, max_bytes: int, spill: Spill | None, on_dropped: Callable[[int, str], None]
    ) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._spill = spill
        self._on_dropped = on_dropped
        self._changed = threading.Condition()
        self._memory: deque[bytes] = deque()
        self._memory_bytes = 0
        self._front: deque[bytes] = deque()
        self._front_open = False
        self._out: Batch | None = None
        self._closed = False
        self.tracked = 0
        self.dropped = 0
        self.spilled = 0

    @property
    def waiting(self) -> int:
        """Events in memory and in the batch that is out; files on disk count through `idle`."""
        with self._changed:
            return self._waiting()

    @property
    def idle(self) -> bool:
        """Nothing waits, in memory, on disk or on the wire."""
        with self._changed:
            return self._idle()

    def put(self, line: bytes) -> bool:
        """Queue one encoded event; False when it was dropped."""
        with self._changed:
            dropped = "the client is closed" if self._closed else ""
            if not dropped and self._full(len(line)):
                dropped = self._make_room()
            if not dropped:
                self._memory.append(line)
                self._memory_bytes += len(line)
                self.tracked += 1
                if len(self._memory) in (1, BATCH_LINES):
                    self._changed.notify_all()
            else:
                self.dropped += 1
        if dropped:
            self._on_dropped(1, dropped)
        return not dropped

    def take(self) -> Batch | None:
        """The next batch, disk first; None when nothing waits. The caller answers with exactly one of
        `delivered`, `give_back`."""
        with self._changed:
            self._open_front()
            source = self._front or self._memory
            lines: list[bytes] = []
            size = 0
            while source and len(lines) < BATCH_LINES and (not lines or size + len(source[0]) <= BATCH_BYTES):
                line = source.popleft()
                size += len(line)
                lines.append(line)
            if source is self._memory:
                self._memory_bytes -= size
            self._out = Batch(tuple(lines), from_disk=source is self._front) if lines else None
            return self._out

    def delivered(self, batch: Batch) -> None:
        """The server has these lines (or will never take them)."""
        with self._changed:
            self._out = None
            if batch.from_disk and not self._front and self._front_open and self._spill is not None:
                self._spill.discard_first()
                self._front_open = False
            self._changed.notify_all()

    def give_back(self, batch: Batch) -> None:
        """The batch was not acknowledged: it is the next one again."""
        with self._changed:
            if self._closed:
                return
            self._out = None
            if batch.from_disk:
                self._front.extendleft(reversed(batch.lines))
            else:
                self._memory.extendleft(reversed(batch.lines))
                self._memory_bytes += sum(map(len, batch.lines))
            self._changed.notify_all()

    def wait_idle(self, timeout: float) -> bool:
        """Block until nothing waits any more, or ``timeout`` seconds passed."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not self._idle():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
            return True

    def wait_for_work(self, *, timeout: float, interrupted: Callable[[], bool]) -> None:
        """Block until a full batch waits, ``timeout`` seconds passed, or ``interrupted()`` after an `interrupt`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while not interrupted() and len(self._memory) < BATCH_LINES:
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def wait_change(self, timeout: float) -> None:
        """Block until anything changed here, or ``timeout`` seconds passed."""
        with self._changed:
            self._changed.wait(timeout)

    def interrupt(self) -> None:
        """Wake whoever waits."""
        with self._changed:
            self._changed.notify_all()

    def adopt(self) -> int:
        """Take over what dead processes left on disk. Raises OSError."""
        with self._changed:
            return self._spill.adopt() if self._spill is not None else 0

    def close(self) -> None:
        """Put what waits in memory on disk for the next process; without disk it is dropped and counted."""
        with self._changed:
            self._closed = True
            lines = [*self._out.lines] if self._out and not self._out.from_disk else []
            lines += self._memory
            reason = self._write_out(lines) if lines else ""
            self._memory.clear()
            self._memory_bytes = 0
            if reason:
                self.dropped += len(lines)
            if self._spill is not None:
                self._spill.close()
        if reason:
            self._on_dropped(len(lines), reason)

    def forget(self) -> None:
        """In the child of a fork: these events are the parent's to send."""
        if self._spill is not None:
            self._spill.release_handle()

    def _waiting(self) -> int:
        return len(self._memory) + len(self._front) + (len(self._out.lines) if self._out else 0)

    def _idle(self) -> bool:
        return self._waiting() == 0 and (self._spill is None or self._spill.empty)

    def _full(self, size: int) -> bool:
        return len(self._memory) >= self._max_events or self._memory_bytes + size > self._max_bytes

    def _make_room(self) -> str:
        """Write the older half to disk; empty when there is room now, otherwise why there is none."""
        half = [self._memory[index] for index in range((len(self._memory) + 1) // 2)]
        if not half:
            return "one event is larger than the memory for waiting events"
        reason = self._write_out(half)
        if not reason:
            for line in half:
                self._memory.popleft()
                self._memory_bytes -= len(line)
        return reason

    def _write_out(self, lines: list[bytes]) -> str:
        if self._spill is None:
            return "memory for waiting events is full and no cache_dir was given"
        try:
            written = self._spill.write(lines)
        except OSError as error:
            return f"memory for waiting events is full and the disk refused: {error}"
        if not written:
            return "memory and disk for waiting events are full"
        self.spilled += len(lines)
        return ""

    def _open_front(self) -> None:
        while not self._front and self._spill is not None and not self._spill.empty:
            if self._front_open:
                self._spill.discard_first()
                self._front_open = False
                continue
            try:
                self._front.extend(self._spill.first())
            except OSError:
                self._front.clear()
            self._front_open = True
