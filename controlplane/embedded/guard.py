"""Ends a supervisor's processes when the supervisor was killed. Standard library only; run by path.

Reads `+<pid> <signal> <seconds>` and `-<pid>` lines from its standard input. When that ends, the supervisor is
gone: every process still listed gets its signal, and its whole group SIGKILL when its seconds are over.
"""

import os
import signal
import sys
import time
from contextlib import suppress


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    listed: dict[int, tuple[int, float]] = {}
    for line in sys.stdin:
        if line.startswith("-"):
            listed.pop(int(line[1:]), None)
        else:
            pid, number, seconds = line[1:].split()
            listed[int(pid)] = (int(number), float(seconds))
    began = time.monotonic()
    for pid, (number, _) in listed.items():
        with suppress(ProcessLookupError):
            os.kill(pid, number)
    while listed:
        for pid, (_, seconds) in list(listed.items()):
            over = time.monotonic() - began > seconds
            try:
                os.killpg(pid, signal.SIGKILL if over else 0)
            except ProcessLookupError:
                over = True
            if over:
                del listed[pid]
        time.sleep(0.05)


if __name__ == "__main__":
    main()
