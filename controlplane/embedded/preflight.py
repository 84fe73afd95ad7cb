"""What must hold before an installation starts; each check raises a Refusal that says what to change."""

import errno
import fcntl
import json
import os
import resource
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from controlplane.embedded.places import Places
from controlplane.embedded.processes import DEFAULTS
from controlplane.embedded.refusals import ExitCode, Refusal

LEAST_FREE_BYTES = 200 * 2**20
LEAST_OPEN_FILES = 1024
LEFTOVER_SECONDS = 8.0


def check_writable(where: Places) -> None:
    """VAR_DIR exists, or can be made, and takes files."""
    probe = where.var_dir / f".probe.{os.getpid()}"
    try:
        where.var_dir.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(where, 0) from error
        raise Refusal(
            ExitCode.NOT_WRITABLE,
            f"cannot write in {where.var_dir} ({error.strerror}); give this user the folder, or set VAR_DIR",
        ) from error


def check_disk(
    where: Places, *, free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> None:
    """VAR_DIR's file system has LEAST_FREE_BYTES left."""
    free = free_bytes(where.var_dir)
    if free < LEAST_FREE_BYTES:
        raise _disk_full(where, free)


def _disk_full(where: Places, free: int) -> Refusal:
    return Refusal(
        ExitCode.DISK_FULL,
        f"the disk is (nearly) full: {free // 2**20} MB free for {where.var_dir}, "
        f"{LEAST_FREE_BYTES // 2**20} MB are needed; free some, or set VAR_DIR to another disk",
    )


def raise_open_file_limit(
    *,
    limits: Callable[[], tuple[int, int]] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    set_limits: Callable[[tuple[int, int]], None] = lambda pair: resource.setrlimit(
        resource.RLIMIT_NOFILE, pair
    ),
) -> int:
    """Raise the soft limit of open files to the hard one; refuse when even that is too low. Returns the limit."""
    soft, hard = limits()
    if soft != hard and soft != resource.RLIM_INFINITY:
        wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
        try:
            set_limits((wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            pass
    if soft != resource.RLIM_INFINITY and soft < LEAST_OPEN_FILES:
        raise Refusal(
            ExitCode.OPEN_FILES,
            f"only {soft} files may be open at once, {LEAST_OPEN_FILES} are needed; raise it: ulimit -n 4096",
        )
    return soft


def check_ports(variables: Sequence[str], environ: Mapping[str, str], *, leftovers: bool = False) -> None:
    """Nobody listens on the ports that the variables name.

    leftovers: an earlier run was killed and its processes may be ending just now; wait for them a little.
    """
    deadline = time.monotonic() + (LEFTOVER_SECONDS if leftovers else 0)
    host = environ.get("HOST") or DEFAULTS["HOST"]
    for variable in variables:
        port = port_of(variable, environ)
        while not is_free(host, port):
            if time.monotonic() > deadline:
                raise Refusal(
                    ExitCode.PORT_TAKEN,
                    f"port {port} ({variable}) is taken by {listener(port)}; stop it, or set {variable} to another",
                )
            time.sleep(0.2)


def port_of(variable: str, environ: Mapping[str, str]) -> int:
    """The port a variable names. Raises Refusal when it is none."""
    text = environ.get(variable) or DEFAULTS[variable]
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise Refusal(ExitCode.SETTINGS, f"{variable} must be a port from 1 to 65535, not {text!r}")
    return int(text)


def is_free(host: str, port: int) -> bool:
    """Could a server listen there? Raises Refusal when the host is not one of this machine's addresses."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise Refusal(
            ExitCode.SETTINGS, f"cannot listen on {host}:{port}: {error.strerror or error}"
        ) from error
    return True


def listener(port: int) -> str:
    """Who listens on the port, as far as /proc tells: "python3 (pid 12)" or "another program"."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
        except OSError:
            continue
    return "another program"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


@contextmanager
def only_copy(where: Places) -> Iterator[None]:
    """Hold the lock that says a `manage.py up` runs on this folder."""
    descriptor = os.open(where.up_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(
                ExitCode.ANOTHER_COPY,
                f"another manage.py up{_pid_of_other(where)} runs on {where.var_dir}; stop it, or set VAR_DIR",
            ) from None
        yield
    finally:
        os.close(descriptor)


def _pid_of_other(where: Places) -> str:
    try:
        return f" (pid {json.loads(where.status.read_text(encoding='utf-8'))['pid']})"
    except (OSError, ValueError, KeyError):
        return ""
