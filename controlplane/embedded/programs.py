"""What the supervisor is given: command lines that are ready to run, and how to tell that each has started."""

import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from controlplane.embedded import launch, postgres, processes, valkey
from controlplane.embedded.account import server_environment
from controlplane.embedded.places import Places
from controlplane.embedded.processes import DEFAULTS, Process

PROBE_SECONDS = 2.0


@dataclass(frozen=True)
class Program:
    """A process as the supervisor runs it.

    ready: does it answer? None: it counts as ready when it has lived for a second.
    stops: signals to end it with and the seconds each is given; SIGKILL to its whole group follows.
    is_server: others depend on it, so it is stopped after them.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    runs_once: bool = False
    stops: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 5.0),)
    is_server: bool = False
    port: int | None = None


def with_life_of_parent(
    command: Sequence[str], *, death_signal: signal.Signals, directory: str
) -> tuple[str, ...]:
    """The command line that runs `command` in `directory` and ends it when the calling process is killed."""
    return (
        *(sys.executable, "-I", "-S", launch.__file__, "--directory", directory),
        *("--parent", str(os.getpid()), "--death-signal", str(int(death_signal)), "--"),
        *command,
    )


def database(where: Places) -> Program:
    """The embedded PostgreSQL; makes its data directory if there is none."""
    user = postgres.prepare(where)
    fast = signal.SIGINT  # PostgreSQL's fast shutdown; SIGTERM would wait for its clients
    return Program(
        processes.DATABASE_NAME,
        tuple(
            user.command(
                postgres.server_command(where), touches=postgres.touches(where), death_signal=int(fast)
            )
        ),
        environment=server_environment(),
        ready=lambda: postgres.is_set_up(where),
        stops=((fast, 20.0), (signal.SIGQUIT, 5.0)),
        is_server=True,
    )


def broker(where: Places) -> Program:
    """The embedded Valkey."""
    user = valkey.prepare(where)
    ends = signal.SIGTERM
    return Program(
        processes.BROKER_NAME,
        tuple(
            user.command(valkey.server_command(where), touches=valkey.touches(where), death_signal=int(ends))
        ),
        environment=server_environment(),
        ready=lambda: valkey.is_up(where),
        is_server=True,
    )


def own(process: Process, environ: Mapping[str, str]) -> Program:
    """One of our own processes with the environment's values in its command."""
    python, *rest = process.arguments(environ)
    command = [sys.executable if python == "python" else python, *rest]
    port = int(environ.get(process.port) or DEFAULTS[process.port]) if process.port else None
    host = environ.get("HOST") or DEFAULTS["HOST"]
    return Program(
        process.name,
        with_life_of_parent(command, death_signal=signal.SIGTERM, directory=str(processes.ROOT)),
        environment=dict(environ) | {"PYTHONUNBUFFERED": "1"} | dict(process.environment),
        ready=(lambda: answers(health_url(host, port))) if port is not None else None,
        runs_once=process.runs_once,
        stops=((signal.SIGTERM, process.grace_seconds),),
        port=port,
    )


def health_url(host: str, port: int) -> str:
    """Where a process that listens on `host` is asked for its health from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared
    return (
        f"http://[{reachable}]:{port}/healthz" if ":" in reachable else f"http://{reachable}:{port}/healthz"
    )


def answers(url: str) -> bool:
    """Does the address answer 2xx within PROBE_SECONDS?"""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url)  # noqa: S310 - an http address of our own
    try:
        with opener.open(request, timeout=PROBE_SECONDS) as response:
            return bool(200 <= response.status < 300)
    except (urllib.error.URLError, OSError, ValueError):
        return False
