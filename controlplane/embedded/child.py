"""One supervised program: its process, its output, and how often it has failed."""

import os
import signal
import subprocess
import time
from collections import deque
from contextlib import suppress
from enum import StrEnum
from typing import IO, Any

from controlplane.embedded.logs import LogFile
from controlplane.embedded.programs import Program

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 15.0
STAYED_UP_SECONDS = 5.0
WINDOW_SECONDS = 60.0
ALIVE_SECONDS = 1.0
PROBE_EVERY_SECONDS = 0.1
CHUNK = 65_536
LONGEST_LINE = 16_384


class State(StrEnum):
    """Where a program stands."""

    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    DONE = "done"
    STOPPED = "stopped"


class Child:
    """State of one program under a supervisor; used from the supervisor's thread only."""

    def __init__(self, program: Program, log: LogFile, *, first_pause: float) -> None:
        self.program, self.log, self._first_pause = program, log, first_pause
        self.state = State.WAITING
        self.due_at = 0.0
        self.restarts = -1
        self.quick_failures = 0
        self.output: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = self._ready_at = self._probed_at = 0.0
        self._exits: deque[float] = deque()
        self._partial = b""
        self._pushed = 0

    @property
    def pid(self) -> int:
        """Process id, also of its process group; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def start(self, now: float) -> IO[bytes]:
        """Run the program in a session of its own; the result is its output."""
        self._process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(self.program.environment) or None,
            start_new_session=True,
        )
        if self._process.stdout is None:
            raise RuntimeError("a pipe was asked for")
        self.output = self._process.stdout
        os.set_blocking(self.output.fileno(), False)
        self.state, self._started_at, self._ready_at = State.STARTING, now, 0.0
        self.restarts += 1
        return self.output

    def has_exited(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def after_exit(self, now: float) -> int:
        """Record the exit, end what is left of its group, set when to start again. Returns the exit code."""
        if self._process is None:
            raise RuntimeError(f"{self.program.name} does not run")
        code = self._process.returncode
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process, self._pushed = None, 0
        stayed = self._ready_at and now - self._ready_at >= STAYED_UP_SECONDS
        self.quick_failures = 0 if stayed else self.quick_failures + 1
        self._exits.append(now)
        while self._exits[0] < now - WINDOW_SECONDS:
            self._exits.popleft()
        self.due_at = now + min(self._first_pause * 2 ** (len(self._exits) - 1), LONGEST_PAUSE_SECONDS)
        self.state = State.WAITING
        return code

    def is_due(self, now: float) -> bool:
        return self.state is State.WAITING and now >= self.due_at

    def seconds_up(self, now: float) -> float:
        return now - self._started_at

    def looks_ready(self, now: float) -> bool:
        """Ask the program; at most every PROBE_EVERY_SECONDS."""
        if self.program.runs_once or now - self._probed_at < PROBE_EVERY_SECONDS:
            return False
        if self.program.ready is None:
            return self.seconds_up(now) >= ALIVE_SECONDS
        answer = self.program.ready()
        self._probed_at = time.monotonic()
        return answer and not self.has_exited()

    def became_ready(self, now: float) -> None:
        self.state, self._ready_at = State.READY, now

    def push_towards_end(self, seconds: float, *, at_once: bool) -> None:
        """Send the signal that is due after `seconds` of ending, each once, and SIGKILL to the group at last."""
        due_at = 0.0
        for number, (signal_number, grace) in enumerate(self.program.stops):
            if not at_once and seconds < due_at + grace:
                if self._pushed == number:
                    os.kill(self.pid, signal_number)
                    self._pushed = number + 1
                return
            due_at += grace
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    def read(self) -> tuple[list[str], bool]:
        """Whole lines that have arrived, and whether the output is still open."""
        if self.output is None:
            return [], False
        try:
            chunk = os.read(self.output.fileno(), CHUNK)
        except BlockingIOError:
            return [], True
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        if self._partial and (not chunk or len(self._partial) > LONGEST_LINE):
            lines, self._partial = [*lines, self._partial], b""
        return [line.decode("utf-8", "replace").rstrip("\r") for line in lines], bool(chunk)

    def close_output(self) -> None:
        if self.output is not None:
            self.output.close()
            self.output = None

    def as_json(self) -> dict[str, Any]:
        """What the status file says of it."""
        return {
            "state": self.state.value,
            "pid": self.pid or None,
            "port": self.program.port,
            "restarts": max(self.restarts, 0),
        }
