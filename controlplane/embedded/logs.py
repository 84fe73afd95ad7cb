"""What supervised processes say: to a file each, and to the terminal with the process's name before every line."""

import os
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from controlplane.embedded.processes import NAMES

COLOURS = (36, 35, 32, 33, 34, 95, 92, 96)
LOG_BYTES = 10 * 2**20
TAIL_LINES = 20


class LogFile:
    """One process's log: VAR_DIR/log/<name>.log, kept under two times LOG_BYTES. A full disk loses lines, no more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._file: TextIO | None = None

    def write(self, line: str) -> None:
        if line.strip():
            self.tail.append(line)
        with suppress(OSError):
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("a", encoding="utf-8", buffering=1)
            self._file.write(line + "\n")
            if self._file.tell() > LOG_BYTES:
                self.close()
                self.path.replace(self.path.with_suffix(".log.1"))

    def close(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def last_words(self) -> str:
        """The line most likely to say why the process ended: PostgreSQL's fatal one, else the last."""
        fatal = [line for line in self.tail if "FATAL:" in line or "PANIC:" in line]
        return (fatal or list(self.tail) or ["it said nothing"])[-1].strip()


class Terminal:
    """Prefixed lines on a stream; coloured when it is a terminal and NO_COLOR is not set."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")
        self._open = True

    def __call__(self, name: str, line: str) -> None:
        """Write one line of the process `name`. A closed stream is given up silently."""
        if not self._open:
            return
        prefix = f"{name:<9}|"
        if self._coloured:
            colour = COLOURS[NAMES.index(name) % len(COLOURS)] if name in NAMES else 1
            prefix = f"\x1b[{colour}m{prefix}\x1b[0m"
        try:
            self._stream.write(f"{prefix} {line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._open = False
