"""An installation as one thing: check, start in order, run, stop. `manage.py up` and `manage.py demo` stand on it."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager

from controlplane.embedded import external, postgres, preflight, programs, runtime_env, valkey
from controlplane.embedded.places import Places
from controlplane.embedded.processes import BROKER_NAME, DATABASE_NAME, NAMES, PROCESSES
from controlplane.embedded.programs import Program
from controlplane.embedded.refusals import ExitCode, Refusal
from controlplane.embedded.supervisor import Supervisor

FOLDERS = ("lake", "keys", "anchors", "state", "static", "log")


def _silent(_name: str, _line: str) -> None:
    pass


@contextmanager
def running(
    where: Places,
    environ: Mapping[str, str],
    *,
    only: Collection[str] = NAMES,
    echo: Callable[[str, str], None] = _silent,
    prepared: Callable[[Supervisor], None] = lambda _supervisor: None,
) -> Iterator[Supervisor]:
    """The installation, started and ready, for the length of the `with` block.

    environ: variables for its processes; a DATABASE_URL or BROKER_URL that is not the embedded one is used instead.
    only: names from the process table. echo: receives each line a process says. prepared: called with the
    supervisor before it starts, to tie it to signals. Raises Refusal.
    """
    _check_names(only)
    preflight.check_writable(where)
    with preflight.only_copy(where):
        leftovers = where.status.exists()
        preflight.check_disk(where)
        preflight.raise_open_file_limit()
        ports = [process.port for process in PROCESSES if process.port and process.name in only]
        preflight.check_ports(ports, environ, leftovers=leftovers)
        runtime_env.ensure(where)
        whole = dict(environ)
        runtime_env.load(where, whole)
        started = _programs(where, whole, only)
        supervisor = Supervisor(started, logs=where.logs, status=where.status, echo=echo)
        prepared(supervisor)
        with supervisor:
            yield supervisor


def _check_names(only: Collection[str]) -> None:
    unknown = sorted(set(only) - set(NAMES))
    if unknown:
        raise Refusal(
            ExitCode.SETTINGS, f"no process named {', '.join(unknown)}; there are {', '.join(NAMES)}"
        )


def _programs(where: Places, environ: Mapping[str, str], only: Collection[str]) -> list[Program]:
    for folder in FOLDERS:
        (where.var_dir / folder).mkdir(mode=0o700, exist_ok=True)
    chosen: list[Program] = []
    embedded = where.addresses()
    if environ["DATABASE_URL"] == embedded["DATABASE_URL"]:
        if DATABASE_NAME in only:
            postgres.stop(where)  # one that a test or a single command left running
            chosen.append(programs.database(where))
    else:
        for variable in ("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_DIRECT_URL"):
            if environ.get(variable):
                external.check_database(variable, environ[variable])
    if environ["BROKER_URL"] == embedded["BROKER_URL"]:
        if BROKER_NAME in only:
            valkey.stop(where)
            chosen.append(programs.broker(where))
    else:
        external.check_broker(environ["BROKER_URL"])
    environment = {**os.environ, **environ}
    chosen.extend(programs.own(process, environment) for process in PROCESSES if process.name in only)
    return chosen
