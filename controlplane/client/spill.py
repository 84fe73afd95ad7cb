"""Events that do not fit in memory, on disk: one folder per process, taken over by the next one after a crash."""

import os
import sys
import uuid
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from controlplane.client.cache import private_directory

if sys.platform != "win32":
    import fcntl

CLAIM_TRIES = 5


class Spill:
    """A queue of files, each holding whole events, one JSON line each, up to ``max_bytes`` in all.

    A process holds a lock on its own folder. Folders whose lock is free were left by a process that died: `adopt`
    moves their files here.
    """

    def __init__(self, directory: Path, *, max_bytes: int) -> None:
        self._root = directory
        self._own = directory / "unclaimed"
        self._max_bytes = max_bytes
        self._files: deque[tuple[Path, int]] = deque()
        self._bytes = 0
        self._lock_handle: int | None = None
        self._serial = 0

    @property
    def empty(self) -> bool:
        """Whether no file waits."""
        return not self._files

    def write(self, lines: Sequence[bytes]) -> bool:
        """Keep these lines as one file; False when that would exceed the bound. Raises OSError."""
        size = sum(map(len, lines)) + len(lines)
        if self._bytes + size > self._max_bytes:
            return False
        self._claim()
        self._serial += 1
        path = self._own / f"{self._serial:08d}.ndjson"
        beside = path.with_suffix(".part")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(b"\n".join(lines) + b"\n")
        beside.replace(path)
        self._add(path, size)
        return True

    def first(self) -> list[bytes]:
        """The lines of the oldest file, which stays until `discard_first`. Raises OSError."""
        return [line for line in self._files[0][0].read_bytes().split(b"\n") if line]

    def discard_first(self) -> None:
        """The oldest file was delivered (or cannot be read): remove it."""
        path, size = self._files.popleft()
        self._bytes -= size
        path.unlink(missing_ok=True)

    def adopt(self) -> int:
        """Take over files left by processes that died; the number of files. Raises OSError."""
        if sys.platform == "win32" or not self._root.is_dir():
            return 0
        adopted = 0
        for folder in sorted(self._root.iterdir()):
            if folder != self._own and folder.is_dir():
                try:
                    adopted += self._adopt_folder(folder)
                except FileNotFoundError:
                    continue  # another process adopted it first
        return adopted

    def close(self) -> None:
        """Give up the lock; an empty folder goes, a filled one waits for the next process."""
        if self._lock_handle is None:
            return
        if self.empty:
            (self._own / "lock").unlink(missing_ok=True)
            try:
                self._own.rmdir()
            except OSError:
                self._serial = 0
        self.release_handle()

    def release_handle(self) -> None:
        """Close this process's handle on the lock; in a fork's child the parent's lock stays with the parent."""
        if self._lock_handle is not None:
            os.close(self._lock_handle)
            self._lock_handle = None

    def _claim(self) -> None:
        if self._lock_handle is not None:
            return
        private_directory(self._root)
        for _ in range(CLAIM_TRIES):
            self._own = self._root / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
            private_directory(self._own)
            handle = os.open(self._own / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            _lock(handle, wait=True)
            if (self._own / "lock").exists():
                self._lock_handle = handle
                return
            os.close(handle)  # another process took the fresh folder for a dead one's before it was locked
        raise OSError(f"no folder could be locked under {self._root}")

    def _add(self, path: Path, size: int) -> None:
        self._files.append((path, size))
        self._bytes += size

    def _adopt_folder(self, folder: Path) -> int:
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(handle, wait=False):
            os.close(handle)
            return 0
        try:
            adopted = 0
            for path in sorted(folder.glob("*.ndjson")):
                self._claim()
                self._serial += 1
                target = self._own / f"{self._serial:08d}.ndjson"
                size = path.stat().st_size
                path.replace(target)
                self._add(target, size)
                adopted += 1
            for leftover in folder.glob("*.part"):
                leftover.unlink(missing_ok=True)
            (folder / "lock").unlink(missing_ok=True)
            folder.rmdir()
            return adopted
        finally:
            os.close(handle)


def _lock(handle: int, *, wait: bool) -> bool:
    """Lock a file for this process; False when another holds it. Without locks (Windows) folders are not adopted."""
    if sys.platform == "win32":
        return wait
    try:
        fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
