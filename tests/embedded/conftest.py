"""Folders of their own for installations that tests start, stop and kill."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from controlplane.embedded import postgres, services
from controlplane.embedded.places import Places, places
from controlplane.embedded.processes import ROOT

# In memory where there is room: what is waited for is then the code under test, not the disk's write barriers.
SHARED_MEMORY = Path("/dev/shm")
ROOM = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 2 * 2**30
FOLDER = str(SHARED_MEMORY) if ROOM else None
Up = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def where() -> Iterator[Places]:
    """An empty VAR_DIR, with nothing left running behind it."""
    with tempfile.TemporaryDirectory(prefix="cp-test-", dir=FOLDER) as folder:
        at = places(Path(folder) / "var")
        yield at
        if at.var_dir.is_dir() and not services.supervised(at):
            services.stop(at.var_dir)


@pytest.fixture(scope="session")
def fresh_data() -> Iterator[Path]:
    """A data directory as initdb makes it: made once, to be copied."""
    with tempfile.TemporaryDirectory(prefix="cp-test-", dir=FOLDER) as folder:
        at = places(Path(folder))
        postgres.initialise(at)
        yield at.data


@pytest.fixture
def initialised(where: Places, fresh_data: Path) -> Places:
    """A VAR_DIR whose database was initialised but never started."""
    where.var_dir.mkdir(parents=True)
    subprocess.run(["cp", "-a", str(fresh_data), str(where.data)], check=True)
    return where


def bare_environment(where: Places, more: Mapping[str, str] = {}) -> dict[str, str]:
    """The environment of a person's shell who has set VAR_DIR only."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return kept | {
        "VAR_DIR": str(where.var_dir),
        "DJANGO_SETTINGS_MODULE": "tests.embedded.bare_settings",
        "PYTHONUNBUFFERED": "1",
        **more,
    }


@pytest.fixture
def up(where: Places) -> Iterator[Up]:
    """`up(*arguments, **environment)` runs `manage.py up` on the folder; what is left of it is killed afterwards."""
    running: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", *arguments],
            cwd=ROOT,
            env=bare_environment(where, environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def eventually(holds: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Does it hold within the time?"""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def mentions(text: str) -> set[int]:
    """Process ids of the living whose command line holds the text."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if text in (folder / "cmdline").read_bytes().decode("utf-8", "replace") and is_alive(
                int(folder.name)
            ):
                found.add(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    """Does a process with the id run (a zombie does not)?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}
