"""Database and broker of an installation without a supervisor: for tests, single commands, backup and restore."""

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from controlplane.embedded import postgres, runtime_env, valkey
from controlplane.embedded.account import Account
from controlplane.embedded.places import Places, places
from controlplane.embedded.refusals import ExitCode, Refusal

Environment = dict[str, str]


class Server(Protocol):
    """What `postgres` and `valkey` have in common."""

    def prepare(self, where: Places) -> Account: ...
    def server_command(self, where: Places) -> list[str]: ...
    def touches(self, where: Places) -> tuple[Path, ...]: ...
    def is_up(self, where: Places) -> bool: ...
    def wait_until_up(self, where: Places) -> bool: ...


def ensure_running(var_dir: Path) -> Environment:
    """Start database and broker of VAR_DIR, or find them running; return the variables that reach them.

    They outlive the caller: `stop` ends them. Any number of processes may call this at once.
    """
    where = places(var_dir)
    environment = runtime_env.ensure(where)
    with _alone(where):
        if not postgres.is_up(where):
            _start_detached(postgres, where, "database")
            postgres.set_up_roles(where)
        if not valkey.is_up(where):
            _start_detached(valkey, where, "broker")
    return environment | {"VAR_DIR": str(where.var_dir)}


def running(var_dir: Path) -> bool:
    """Do database and broker of VAR_DIR answer?"""
    where = places(var_dir)
    return postgres.is_up(where) and valkey.is_up(where)


def stop(var_dir: Path) -> None:
    """End what `ensure_running` started. Raises Refusal when a `manage.py up` is in charge of them."""
    where = places(var_dir)
    if not where.var_dir.exists():
        return
    if supervised(where):
        raise Refusal(ExitCode.ANOTHER_COPY, f"manage.py up runs on {where.var_dir}; stop it there")
    with _alone(where):
        valkey.stop(where)
        postgres.stop(where)


def supervised(where: Places) -> bool:
    """Does another process hold the lock of `manage.py up`?"""
    try:
        descriptor = os.open(where.up_lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


@contextmanager
def _alone(where: Places) -> Iterator[None]:
    descriptor = os.open(where.services_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _start_detached(server: Server, where: Places, name: str) -> None:
    user = server.prepare(where)
    where.logs.mkdir(exist_ok=True)
    log = where.logs / f"{name}.log"
    command = user.command(server.server_command(where), touches=server.touches(where), detach=True)
    with log.open("ab") as output:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=True)
    if not server.wait_until_up(where):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise Refusal(
            ExitCode.CRASH_LOOP, f"the {name} did not start: {lines[-1] if lines else 'it said nothing'}"
        )
