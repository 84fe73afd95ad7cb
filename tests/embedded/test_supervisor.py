"""The supervisor, with small programs of its own."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from controlplane.embedded import processes
from controlplane.embedded.processes import ROOT
from controlplane.embedded.programs import Program, own, with_life_of_parent
from controlplane.embedded.refusals import ExitCode, Refusal
from controlplane.embedded.supervisor import Supervisor
from tests.embedded.conftest import eventually, is_alive, mentions

STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pid = os.fork()
open(sys.argv[1] + (".child" if pid == 0 else ".parent"), "w").write(str(os.getpid()))
time.sleep(600)
"""


def _python(name: str, code: str, *arguments: str, grace: float = 5.0, **more: object) -> Program:
    command = [sys.executable, "-I", "-S", "-u", "-c", textwrap.dedent(code), *arguments]
    line = with_life_of_parent(command, death_signal=signal.SIGTERM, directory="/")
    return Program(name, line, stops=((signal.SIGTERM, grace),), **more)  # type: ignore[arg-type]  # test shorthand


def _supervisor(folder: Path, *programs: Program, heard: list[tuple[str, str]] | None = None) -> Supervisor:
    heard = [] if heard is None else heard
    return Supervisor(
        programs,
        logs=folder / "log",
        status=folder / "up.json",
        echo=lambda name, line: heard.append((name, line)),
    )


def test_start__later_programs__wait_for_earlier_ones(tmp_path: Path) -> None:
    flag, heard = tmp_path / "flag", list[tuple[str, str]]()
    first = _python(
        "first",
        "import sys, time; time.sleep(0.4); open(sys.argv[1], 'w'); print('here'); time.sleep(600)",
        str(flag),
        ready=flag.exists,
    )
    once = _python("once", "import os, sys; print(os.path.exists(sys.argv[1]))", str(flag), runs_once=True)
    last = _python("last", "print('last'); import time; time.sleep(600)", ready=lambda: True)

    with _supervisor(tmp_path, first, once, last, heard=heard) as supervisor:
        assert set(supervisor.pids()) == {"first", "last"}
        status = json.loads((tmp_path / "up.json").read_text())
        assert status["pid"] == os.getpid()
        assert {name: entry["state"] for name, entry in status["processes"].items()} == {
            "first": "ready",
            "once": "done",
            "last": "ready",
        }
        assert eventually(lambda: ("last", "last") in heard)

    said = [entry for entry in heard if entry[0] != "up"]
    assert said == [("first", "here"), ("once", "True"), ("last", "last")]
    assert not (tmp_path / "up.json").exists()
    assert (tmp_path / "log" / "first.log").read_text() == "here\n"


def test_run__program_killed__is_started_again(tmp_path: Path) -> None:
    with _supervisor(
        tmp_path, _python("one", "import time; time.sleep(600)", ready=lambda: True)
    ) as supervisor:
        before = supervisor.pids()["one"]
        os.kill(before, signal.SIGKILL)

        assert eventually(lambda: supervisor.pids().get("one", before) != before)
        assert not is_alive(before)


def test_run__leader_killed__its_children_go_before_it_starts_again(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with _supervisor(
        tmp_path, _python("one", STUBBORN, str(mark), grace=0.2, ready=lambda: True)
    ) as supervisor:
        assert eventually((tmp_path / "pid.child").exists)
        assert eventually(lambda: bool((tmp_path / "pid.child").read_text()))
        grandchild = int((tmp_path / "pid.child").read_text())
        os.kill(supervisor.pids()["one"], signal.SIGKILL)

        assert eventually(lambda: not is_alive(grandchild))


def test_run__program_that_always_fails__ends_with_its_last_words(tmp_path: Path) -> None:
    broken = _python("broken", "raise SystemExit('ValueError: no such thing')", ready=lambda: False)

    with pytest.raises(Refusal) as refused:
        _supervisor(tmp_path, broken).start()

    assert refused.value.exit_code == ExitCode.CRASH_LOOP
    assert refused.value.message == (
        f"broken ended 5 times in a row (exit code 1): ValueError: no such thing; see {tmp_path / 'log' / 'broken.log'}"
    )


def test_start__once_program_fails__nothing_after_it_starts(tmp_path: Path) -> None:
    once = _python("once", "raise SystemExit(3)", runs_once=True)
    after = _python("after", "import time; time.sleep(600)", ready=lambda: True)
    supervisor = _supervisor(tmp_path, once, after)

    with pytest.raises(Refusal, match=r"^once failed \(exit code 3\): it said nothing"):
        supervisor.start()
    assert supervisor.pids() == {}
    assert not (tmp_path / "log" / "after.log").exists()


def test_stop__program_that_ignores_term__is_killed_with_its_group_after_its_grace(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    supervisor = _supervisor(tmp_path, _python("one", STUBBORN, str(mark), grace=0.5, ready=lambda: True))
    supervisor.start()
    assert eventually(
        lambda: (tmp_path / "pid.child").exists() and bool((tmp_path / "pid.child").read_text())
    )
    parent, child = supervisor.pids()["one"], int((tmp_path / "pid.child").read_text())

    began = time.monotonic()
    supervisor.stop()

    assert 0.5 <= time.monotonic() - began < 3
    assert eventually(lambda: not is_alive(parent) and not is_alive(child))


def test_stop__servers__outlive_the_programs_that_use_them(tmp_path: Path) -> None:
    order = tmp_path / "order"
    code = """
        import signal, sys, time
        def end(*_):
            time.sleep(0.2)
            open(sys.argv[1], "a").write(sys.argv[2] + " ")
            sys.exit()
        signal.signal(signal.SIGTERM, end)
        print("up")
        time.sleep(600)
    """
    heard: list[tuple[str, str]] = []
    server = _python(
        "server", code, str(order), "server", ready=lambda: ("server", "up") in heard, is_server=True
    )
    user = _python("user", code, str(order), "user", ready=lambda: ("user", "up") in heard)

    with _supervisor(tmp_path, server, user, heard=heard):
        pass

    assert order.read_text() == "user server "


@pytest.mark.parametrize("guarded", [True, False])
def test_kill__supervisor_killed__leaves_no_process(tmp_path: Path, guarded: bool) -> None:
    """Without its guard the parent-death signal alone must do, for programs that obey it."""
    code = STUBBORN if guarded else "import time; time.sleep(600)"
    mark = str(tmp_path / "pid")
    script = f"""
        import signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from tests.embedded.test_supervisor import _python, _supervisor
        program = _python("one", {code!r}, {mark!r}, grace=1.0, ready=lambda: True)
        supervisor = _supervisor(Path({str(tmp_path)!r}), program)
        supervisor.start()
        print("ready", flush=True)
        supervisor.wait()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    if guarded:
        assert eventually((tmp_path / "pid.child").exists)
    assert mentions(mark) != set()
    if not guarded:
        os.kill(json.loads((tmp_path / "up.json").read_text())["guard"], signal.SIGKILL)

    process.kill()
    process.wait()
    process.stdout.close()

    assert eventually(lambda: mentions(mark) == set())


def test_guard__killed__is_replaced(tmp_path: Path) -> None:
    with _supervisor(
        tmp_path, _python("one", "import time; time.sleep(600)", ready=lambda: True)
    ) as supervisor:
        first = supervisor.guard_pid
        os.kill(first, signal.SIGKILL)

        assert eventually(lambda: supervisor.guard_pid not in {0, first})


def test_stop__server_with_an_open_stream__ends_within_its_grace(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    web = dataclasses.replace(
        processes.WEB,
        command=(*processes.WEB.command[:-1], "tests.embedded.streaming_app:application"),
        environment=(),
    )
    supervisor = _supervisor(tmp_path, own(web, {**os.environ, "WEB_PORT": str(port)}))
    supervisor.start()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
        stream.sendall(b"GET /stream HTTP/1.1\r\nHost: here\r\n\r\n")
        assert stream.recv(65_536).startswith(b"HTTP/1.1 200")

        began = time.monotonic()
        supervisor.stop()

    assert time.monotonic() - began < 7
    assert mentions(f"--port\0{port}") == set()


@pytest.mark.parametrize("place", ["time.sleep(60)", "supervisor.wait()"])
def test_signals__term__ends_work_of_ones_own_and_waiting_alike(tmp_path: Path, place: str) -> None:
    mark = str(tmp_path / "pid")
    script = f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        from controlplane.embedded.supervisor import stop_on_signals
        from tests.embedded.test_supervisor import _python, _supervisor
        program = _python("one", "import time; time.sleep(600)", {mark!r}, ready=lambda: True)
        supervisor = _supervisor(Path({str(tmp_path)!r}), program)
        stop_on_signals(supervisor)
        try:
            with supervisor:
                print("ready", flush=True)
                {place}
                print("done", flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"

    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)

    assert output == ("done\n" if "wait" in place else "interrupted\n")
    assert process.returncode == 0
    assert mentions(mark) == set()
