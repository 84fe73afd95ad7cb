"""Runs programs in order, keeps them running, and ends them all: on request, on failure, and when it is killed."""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from controlplane.embedded import guard
from controlplane.embedded.child import FIRST_PAUSE_SECONDS, Child, State
from controlplane.embedded.logs import LogFile
from controlplane.embedded.programs import Program
from controlplane.embedded.refusals import ExitCode, Refusal

READY_SECONDS = 90.0
TICK_SECONDS = 0.1
QUICK_FAILURES = 5  # that often in a row without staying up: give up
NAME = "up"


class Supervisor:
    """`with Supervisor(programs, ...) as supervisor:` has every program started and ready, in their order.

    All work happens in one thread of its own: a child's life is tied to the thread that started it.
    `echo(name, line)` receives what the programs say. `first_pause`: seconds before the first restart, doubled for
    each further one within a minute. `status` is a JSON file kept current with pids and states.
    """

    def __init__(
        self,
        programs: Sequence[Program],
        *,
        logs: Path,
        status: Path,
        echo: Callable[[str, str], None] = lambda _name, _line: None,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self.children = [
            Child(program, LogFile(logs / f"{program.name}.log"), first_pause=first_pause)
            for program in programs
        ]
        self._status, self._echo = status, echo
        self._selector = selectors.DefaultSelector()
        self._stop, self._at_once = threading.Event(), threading.Event()
        self._settled, self._ended = threading.Event(), threading.Event()
        self._refusal: BaseException | None = None
        self._guard: subprocess.Popen[str] | None = None
        self.is_attended = False  # somebody waits in start, wait or stop
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is ready.

        Raises Refusal, or KeyboardInterrupt when asked to stop meanwhile; nothing is left running then.
        """
        with self._attended():
            self._thread.start()
            try:
                self._settled.wait()
            except BaseException:
                self.stop()
                raise
            self._raise_refusal()
            if self._stop.is_set():
                self.stop()
                raise KeyboardInterrupt

    def wait(self) -> None:
        """Wait until `stop` is asked for. Raises Refusal when a program keeps failing."""
        with self._attended():
            self._ended.wait()
            self._raise_refusal()

    def request_stop(self) -> None:
        """Ask for the end without waiting for it; asked twice, programs get no grace. For signal handlers."""
        if self._stop.is_set():
            self._at_once.set()
        self._stop.set()

    def stop(self) -> None:
        """End every program and wait until they have ended."""
        with self._attended():
            self._stop.set()
            if self._thread.ident is not None:
                self._thread.join()

    @contextmanager
    def _attended(self) -> Iterator[None]:
        before, self.is_attended = self.is_attended, True
        try:
            yield
        finally:
            self.is_attended = before

    def pids(self) -> dict[str, int]:
        """Process ids of what runs now, by program name."""
        return {child.program.name: child.pid for child in list(self.children) if child.pid}

    @property
    def guard_pid(self) -> int:
        """Process id of the guard; 0 before the start."""
        return self._guard.pid if self._guard is not None else 0

    def _raise_refusal(self) -> None:
        if self._refusal is not None:
            self.stop()
            raise self._refusal

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._tick()
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits
            self._refusal = error
        finally:
            self._end_all()
            self._settled.set()
            self._ended.set()

    def _tick(self) -> None:
        self._keep_guard()
        self._read(TICK_SECONDS)
        now = time.monotonic()
        for child in self.children:
            if child.has_exited():
                self._after_exit(child, now)
            if child.is_due(now) and self._may_start(child):
                self._start_child(child, now)
            elif child.state is State.STARTING:
                self._look_whether_ready(child, now)
        if all(child.state in {State.READY, State.DONE} for child in self.children):
            self._settled.set()

    def _may_start(self, child: Child) -> bool:
        if self._settled.is_set():
            return True
        earlier = self.children[: self.children.index(child)]
        return all(other.state in {State.READY, State.DONE} for other in earlier)

    def _start_child(self, child: Child, now: float) -> None:
        output = child.start(now)
        self._selector.register(output, selectors.EVENT_READ, child)
        number, _ = child.program.stops[0]
        seconds = sum(seconds for _, seconds in child.program.stops)
        self._tell_guard(f"+{child.pid} {int(number)} {seconds}")
        self._write_status()

    def _look_whether_ready(self, child: Child, now: float) -> None:
        if child.looks_ready(now):
            child.became_ready(now)
            self._say(f"{child.program.name} is ready")
            self._write_status()
        elif child.seconds_up(now) > READY_SECONDS:
            raise Refusal(
                ExitCode.CRASH_LOOP,
                f"{child.program.name} was not ready after {READY_SECONDS:.0f} s; see {child.log.path}",
            )

    def _after_exit(self, child: Child, now: float) -> None:
        self._drain(child)
        self._tell_guard(f"-{child.pid}")
        code = child.after_exit(now)
        if child.program.runs_once and code == 0:
            child.state = State.DONE
        elif child.program.runs_once or child.quick_failures >= QUICK_FAILURES:
            how = "failed" if child.program.runs_once else f"ended {child.quick_failures} times in a row"
            raise Refusal(
                ExitCode.CRASH_LOOP,
                f"{child.program.name} {how} (exit code {code}): {child.log.last_words()}; see {child.log.path}",
            )
        else:
            self._say(f"{child.program.name} ended (exit code {code}); again in {child.due_at - now:.1f} s")
        self._write_status()

    def _end_all(self) -> None:
        for servers in (False, True):
            ending = [child for child in self.children if child.pid and child.program.is_server is servers]
            began = time.monotonic()
            while ending:
                for child in list(ending):
                    if child.has_exited():
                        self._drain(child)
                        self._tell_guard(f"-{child.pid}")
                        child.after_exit(time.monotonic())
                        child.state = State.STOPPED
                        ending.remove(child)
                    else:
                        child.push_towards_end(time.monotonic() - began, at_once=self._at_once.is_set())
                self._read(TICK_SECONDS / 2)
        for child in self.children:
            child.log.close()
        self._selector.close()
        self._close_guard()
        with suppress(OSError):
            self._status.unlink(missing_ok=True)

    def _read(self, seconds: float) -> None:
        if not self._selector.get_map():
            time.sleep(seconds)
            return
        for key, _ in self._selector.select(seconds):
            self._read_child(key.data)

    def _read_child(self, child: Child) -> None:
        lines, is_open = child.read()
        for line in lines:
            child.log.write(line)
            self._echo(child.program.name, line)
        if not is_open and child.output is not None:
            self._selector.unregister(child.output)
            child.close_output()

    def _drain(self, child: Child) -> None:
        # What the program said last. A grandchild may hold the pipe open, so only what has arrived.
        while child.output is not None and child in {key.data for key, _ in self._selector.select(0)}:
            self._read_child(child)
        if child.output is not None:
            self._selector.unregister(child.output)
            child.close_output()

    def _say(self, line: str) -> None:
        self._echo(NAME, line)

    def _keep_guard(self) -> None:
        if self._guard is not None and self._guard.poll() is None:
            return
        self._close_guard()
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            bufsize=1,
        )
        for child in self.children:
            if child.pid:
                self._tell_guard(f"+{child.pid} {int(child.program.stops[0][0])} {child.program.stops[0][1]}")

    def _close_guard(self) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(OSError):
                self._guard.stdin.close()
            self._guard.wait()

    def _tell_guard(self, line: str) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(OSError):  # a dead guard is replaced at the next tick
                self._guard.stdin.write(line + "\n")
                self._guard.stdin.flush()

    def _write_status(self) -> None:
        content = {
            "pid": os.getpid(),
            "guard": self.guard_pid,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "processes": {child.program.name: child.as_json() for child in self.children},
        }
        fresh = self._status.with_name(f".{self._status.name}.{os.getpid()}")
        with suppress(OSError):  # a full disk must not end what runs
            fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
            fresh.replace(self._status)


def stop_on_signals(supervisor: Supervisor) -> None:
    """Let Ctrl-C, TERM and HUP (unless run by nohup) end the supervisor cleanly. Call from the main thread.

    Where the main thread is at work of its own, not waiting for the supervisor, it gets KeyboardInterrupt.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        supervisor.request_stop()
        if not supervisor.is_attended:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN or number is signal.SIGTERM:
            signal.signal(number, handle)
