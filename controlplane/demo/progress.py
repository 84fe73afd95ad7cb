"""How far a long step is: a bar on a terminal, a line every tenth elsewhere."""

import sys
from collections.abc import Iterable, Iterator
from typing import TextIO, TypeVar

WIDTH = 32
T = TypeVar("T")


def progress(values: Iterable[T], *, total: int, label: str, out: TextIO | None = None) -> Iterator[T]:
    """Pass the values on and show how many of ``total`` have been handled."""
    stream = out or sys.stderr
    live = stream.isatty()
    step = max(1, total // (100 if live else 10))
    for done, value in enumerate(values, start=1):
        yield value
        if done % step == 0 or done == total:
            _show(stream, done, total, label, live=live)
    if live:
        stream.write("\n")
        stream.flush()


def _show(stream: TextIO, done: int, total: int, label: str, *, live: bool) -> None:
    filled = WIDTH * done // max(total, 1)
    bar = "█" * filled + "·" * (WIDTH - filled)
    text = f"{label} [{bar}] {done:,}/{total:,}"
    stream.write(f"\r{text}" if live else f"{text}\n")
    stream.flush()
